"""Exact times for Qwen2.5-VL on transformers before 5.18: a wrapper around one model instance."""

import inspect
from typing import Any

import torch
import transformers
from packaging.version import Version
from torch import Tensor

_INTERVAL_A_PATCH = Version("5.18")  # from here on a row of intervals a video is read as it is
_TEXT_AFTER_SPACE = Version("5.1")  # from here on the text after a video ignores the video's time

_MARK = "_keyscore_stock_get_rope_index"


def installed_transformers() -> Version:
    """The installed release of transformers; a build of the source counts as what it leads to."""
    return Version(Version(transformers.__version__).base_version)


def reads_rows() -> bool:
    """Whether the installed transformers reads one interval a patch by itself."""
    return installed_transformers() >= _INTERVAL_A_PATCH


def is_ready(model: Any) -> bool:
    """Whether this Qwen2.5-VL reads one interval a patch."""
    return reads_rows() or hasattr(getattr(model, "model", None), _MARK)


def make_ready(model: Any) -> None:
    """Let this one model read one interval a patch; its class stays as it is.

    Args:
        model: A ``Qwen2_5_VLForConditionalGeneration``.
    """
    if is_ready(model):
        return
    inner = model.model
    stock = inner.get_rope_index
    signature = inspect.signature(stock)

    def get_rope_index(*args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        call = signature.bind(*args, **kwargs)
        intervals = call.arguments.get("second_per_grid_ts")
        if intervals is None or not all(isinstance(r, Tensor) and r.ndim == 1 for r in intervals):
            result: tuple[Tensor, Tensor] = stock(*args, **kwargs)
            return result
        # With an interval of zero every patch gets its video's first position; the times are added.
        call.arguments["second_per_grid_ts"] = torch.zeros(len(intervals), dtype=torch.long)
        return _with_times(
            stock(*call.args, **call.kwargs), call.arguments, intervals, inner.config
        )

    setattr(inner, _MARK, stock)
    inner.get_rope_index = get_rope_index


def _with_times(
    still: tuple[Tensor, Tensor], call: dict[str, Any], intervals: Any, config: Any
) -> tuple[Tensor, Tensor]:
    """Move each temporal patch from its video's start to its time.

    Args:
        still: ``(3, batch, length)`` position ids without times, ``(batch, 1)`` deltas.
        call: The arguments of `get_rope_index`.
        intervals: ``(n_patches,)`` for each video, see `times.grid_intervals`.
        config: The model's.
    """
    positions, deltas = still
    merge = config.vision_config.spatial_merge_size
    rate = config.vision_config.tokens_per_second
    videos = iter(zip(call["video_grid_thw"].tolist(), intervals, strict=True))
    for row, ids in enumerate(call["input_ids"]):
        visual = (ids == config.video_token_id).nonzero()[:, 0]
        before = positions[:, row].max()
        done = 0
        while done < len(visual):
            (steps, height, width), interval = next(videos)
            tokens = height * width // merge**2
            places = visual[done : done + steps * tokens]
            done += len(places)
            moved = (torch.arange(steps) * rate * interval.cpu()).long().to(positions.device)
            positions[0, row, places] += moved.repeat_interleave(tokens)
            if installed_transformers() < _TEXT_AFTER_SPACE:
                extent = max(height, width) // merge - 1
                positions[:, row, places[-1] + 1 :] += max(0, int(moved[-1]) - extent)
        deltas[row] += positions[:, row].max() - before
    return positions, deltas
