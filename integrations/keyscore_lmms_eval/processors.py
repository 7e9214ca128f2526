"""A processor of transformers that gets chosen frames, decoded already or still as paths."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from keyscore_lmms_eval.planned_video import plan_of
from keyscore_lmms_eval.planning import Plan
from keyscore_plugin.hosts import BACKEND, Chosen, clock_metadata

_SAMPLING = ("num_frames", "fps", "do_sample_frames")  # the host's own sampling


class ChosenFramesProcessor:
    """Replaces the processor of a model of lmms-eval, and passes calls on to it.

    Two kinds of models call it: those that fetch the frames first, through qwen-vl-utils, and those
    that pass paths. Both get true times, and their visual tokens are counted.

    Args:
        enabled: Processor that is enabled for samplers; everything but the call goes to it.
        fetched: Plans whose frames were fetched since the last call, in order; a call empties it.
        pair: Filling of the visual tokens by keyframes.
    """

    def __init__(self, enabled: Any, fetched: deque[Plan], *, pair: str) -> None:
        self._enabled = enabled
        self._fetched = fetched
        self._pair = pair

    def __getattr__(self, name: str) -> Any:
        return getattr(self._enabled, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the processor."""
        videos = kwargs.get("videos") or []
        plans = [plan for plan in map(plan_of, videos) if plan is not None]
        if plans:
            kwargs = {k: v for k, v in kwargs.items() if k not in _SAMPLING}
            # Some hosts pass [] for missing media, which processors refuse.
            kwargs = {k: v for k, v in kwargs.items() if not (k in ("images", "audios") and not v)}
            kwargs |= {"sampler": [video.keys["sampler"] for video in videos], "pair": self._pair}
        else:
            plans = [self._fetched.popleft() for _ in range(len(self._fetched))]
            if plans and kwargs.get("video_metadata") is None:
                kwargs["video_metadata"] = [
                    _metadata(plan.chosen) for plan in plans if plan.chosen is not None
                ]
        batch = self._enabled(*args, **kwargs)
        for plan, tokens in zip(plans, self._tokens(batch, plans), strict=True):
            plan.visual_tokens = tokens
        return batch

    def _tokens(self, batch: Mapping[str, Any], plans: list[Plan]) -> Iterator[int | None]:
        """Visual tokens of each video."""
        if "video_grid_thw" in batch:
            merged = self._enabled.video_processor.merge_size**2
            yield from (grid.prod().item() // merged for grid in batch["video_grid_thw"])
            return
        ids = {getattr(self._enabled, f"{kind}_token_id", None) for kind in ("video", "image")}
        n_tokens = sum(int((batch["input_ids"] == i).sum()) for i in ids - {None})
        n_frames = sum(plan.n_shown for plan in plans)
        # Frames of one call are of one size, so they cost the same.
        yield from (n_tokens * plan.n_shown // n_frames or None for plan in plans)


def _metadata(chosen: Chosen) -> dict[str, Any]:
    """Metadata from which a processor computes the times of the frames."""
    times = clock_metadata(chosen.seconds, chosen.metadata["duration"])
    return {**times, "video_backend": BACKEND}
