"""The true times of the frames, in the form that each family reads."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import BatchFeature
from transformers.video_utils import VideoMetadata

from keyscore_plugin.hosts import BACKEND, Chosen, clock_metadata

_INTERVALS = ("second_per_grid_ts", "video_second_per_grid")  # of Qwen2.5-VL; of Qwen2.5-Omni


def frame_metadata(chosen: Chosen, *, in_milliseconds: bool = False) -> VideoMetadata:
    """The metadata from which processors of transformers compute the times of chosen frames.

    Args:
        chosen: Frames with their times.
        in_milliseconds: Whether the indices count milliseconds, for processors that cut 1 / fps.
    """
    clock = chosen.metadata
    if in_milliseconds:
        clock = clock_metadata(chosen.seconds, clock["duration"])
    return VideoMetadata(**clock, width=chosen.width, height=chosen.height, video_backend=BACKEND)


def patches_chosen_before(
    keywords: Mapping[str, Any], frames_per_patch: int
) -> list[Tensor] | None:
    """Times of the temporal patches of videos whose frames KeyScore chose in another host.

    Args:
        keywords: Keywords of a processor's call, with the ``video_metadata`` of that host.
        frames_per_patch: Frames that the model folds into one visual token.

    Returns:
        ``(n_patches,)`` seconds for each video; None unless KeyScore chose the frames of all.
    """
    nested = keywords.get("videos_kwargs") or {}
    given = keywords.get("video_metadata") or nested.get("video_metadata")
    if not isinstance(given, (list, tuple)) or not given:
        return None
    facts = [one for part in given for one in (part if isinstance(part, (list, tuple)) else [part])]
    if any(not isinstance(one, Mapping) or one.get("video_backend") != BACKEND for one in facts):
        return None
    return [
        (torch.as_tensor(one["frames_indices"]).double() / one["fps"])
        .view(-1, frames_per_patch)
        .mean(1)
        for one in facts
    ]


def grid_intervals(patch_times: Tensor, *, rate: float, whole: bool = True) -> Tensor:
    """Intervals from which Qwen2.5-VL and the Omni models compute each patch's true position.

    The model places patch k at floor(k * rate * s); the stock processor gives one s, the mean
    spacing. With one s for each patch, s[k] = (p[k] + 1/4) / (k * rate), patch k is placed at p[k],
    the position of its true time, counted from the first patch. The quarter keeps float32 rounding
    from changing the floor at any length of video. Qwen3-Omni does not cut positions to whole
    numbers: there s[k] is the time over k, and nothing is added.

    Args:
        patch_times: ``(n_patches,)`` seconds, rising.
        rate: Positions per second.
        whole: Whether the model rounds positions down to whole numbers.

    Returns:
        ``(n_patches,)`` float32.

    Example:
        >>> s = grid_intervals(torch.tensor([0.0, 0.8, 3.0, 6.8]), rate=2)
        >>> (torch.arange(4) * 2 * s).long()
        tensor([ 0,  1,  6, 13])
    """
    elapsed = patch_times.double() - patch_times[0].double()
    steps = torch.arange(len(elapsed), dtype=torch.float64)
    positions = elapsed * rate
    if whole:
        # 1e-6: a time such as 0.3 * 10 falls just short of its whole number in binary.
        positions = (positions + 1e-6).floor() + 0.25
    intervals = positions / (rate * steps.clamp_min(1))
    return torch.where(steps > 0, intervals, 1.0).float()


class TimedBatch(BatchFeature):
    """A batch whose grid intervals stay float32 when everything else is cast.

    bfloat16 has 8 bits for a position: in a video of 20 minutes frames would be off by seconds.
    """

    def to(self, *args: Any, **kwargs: Any) -> "TimedBatch":
        """Call `BatchFeature.to`; a dtype casts the other tensors only."""
        exact = {name: self.data[name] for name in _INTERVALS if name in self.data}
        super().to(*args, **kwargs)
        for name, values in exact.items():
            self.data[name] = _on_devices_of(values, self.data[name])
        return self


def with_intervals(batch: BatchFeature, rows: Sequence[Tensor], *, name: str) -> TimedBatch:
    """The batch with each video's `grid_intervals` in place of the stock mean spacing.

    Args:
        batch: Output of the processor.
        rows: Intervals of each video: stacked to ``(n_videos, n_patches)``, left a list if the
            videos differ in patches, and plain numbers if the call asked for no tensors.
        name: Input that carries them.
    """
    data = dict(batch.items())
    if not isinstance(data[name], Tensor):
        data[name] = [row.tolist() for row in rows]
    elif len({len(row) for row in rows}) == 1:
        data[name] = torch.stack(list(rows))
    else:
        data[name] = list(rows)
    return TimedBatch(data)


def _on_devices_of(values: Any, others: Any) -> Any:
    if isinstance(values, Tensor):
        return values.to(others.device)
    if isinstance(values, list):
        return [_on_devices_of(one, other) for one, other in zip(values, others, strict=True)]
    return values
