"""A processor of transformers that gets chosen frames, be they decoded already or still paths."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from keyscore_lmms_eval.planned_video import plan_of
from keyscore_lmms_eval.planning import Plan
from keyscore_plugin.video.metadata import clock_metadata
from keyscore_transformers.times import BACKEND

_SAMPLING = ("num_frames", "fps", "do_sample_frames")  # what the host would have sampled by


class ChosenFramesProcessor:
    """Stands before the processor of a model of lmms-eval.

    Two kinds of hosts call it: those that fetch the frames first, through qwen-vl-utils, and those
    that hand over paths. Times and tokens are told for both.

    Args:
        enabled: The processor, enabled for samplers; everything but the call goes to it.
        fetched: Plans whose frames were fetched since the last call, in order; emptied here.
        pair: How keyframes fill the visual tokens.
    """

    def __init__(self, enabled: Any, fetched: deque[Plan], *, pair: str) -> None:
        self._enabled = enabled
        self._fetched = fetched
        self._pair = pair

    def __getattr__(self, name: str) -> Any:
        return getattr(self._enabled, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the processor's own call."""
        videos = kwargs.get("videos") or []
        plans = [plan for plan in map(plan_of, videos) if plan is not None]
        if plans:
            kwargs = {k: v for k, v in kwargs.items() if k not in _SAMPLING}
            # Some hosts pass [] for media that are not there, which processors refuse.
            kwargs = {k: v for k, v in kwargs.items() if not (k in ("images", "audios") and not v)}
            kwargs |= {"sampler": [video.keys["sampler"] for video in videos], "pair": self._pair}
        else:
            plans = [self._fetched.popleft() for _ in range(len(self._fetched))]
            if plans and kwargs.get("video_metadata") is None:
                kwargs["video_metadata"] = [_metadata(plan) for plan in plans]
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
        n_frames = sum(len(plan.shown) for plan in plans)
        # Frames of one call are of one size, so they cost the same.
        yield from (n_tokens * len(plan.shown) // n_frames or None for plan in plans)


def _metadata(plan: Plan) -> dict[str, Any]:
    """Facts from which a processor computes the times of the frames."""
    duration = 0.0 if plan.selection is None else plan.selection.duration_seconds
    return {**clock_metadata(plan.shown_seconds, duration), "video_backend": BACKEND}
