"""A chosen selection as a sampler, and a path that carries it to where frames are read."""

from collections import deque
from typing import Any

from keyscore_lmms_eval.planning import Plan
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Selection
from keyscore_plugin.video.source import VideoInput
from keyscore_qwen_vl_utils.request import KeyedVideo


class Replay:
    """A sampler that gives what was planned; see `keyscore_plugin.samplers.base.Sampler`.

    Args:
        plan: With a selection.
        fetched: Gets the plan each time its frames are about to be read.
    """

    name = "replay"
    needs_text = False

    def __init__(self, plan: Plan, fetched: deque[Plan]) -> None:
        self.plan = plan
        self._fetched = fetched

    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: str | None = None,
        question: str | None = None,
        fps: float | None = None,
    ) -> Selection:
        """The planned selection, whatever is asked."""
        if self.plan.selection is None:
            raise InputError(f"nothing was selected from {self.plan.span.path}: {self.plan.error}")
        self.plan.reads += 1
        self._fetched.append(self.plan)
        return self.plan.selection


def planned_video(plan: Plan, fetched: deque[Plan]) -> KeyedVideo:
    """The path of a plan's video, which brings the chosen frames along."""
    keys: dict[str, Any] = {
        "sampler": Replay(plan, fetched),
        "pair": plan.arguments.shown,
        "decoder": plan.arguments.decoder,
        "limits": plan.arguments.limits,
    }
    span = {"video_start": plan.span.start_seconds, "video_end": plan.span.end_seconds}
    keys |= {name: seconds for name, seconds in span.items() if seconds is not None}
    # Replay has its frames; qwen-vl-utils asks for some number it would accept all the same.
    return KeyedVideo(plan.span.path, {**keys, "nframes": 2})


def plan_of(video: Any) -> Plan | None:
    """The plan that a path brings along; None for anything else."""
    sampler = video.keys.get("sampler") if isinstance(video, KeyedVideo) else None
    return sampler.plan if isinstance(sampler, Replay) else None
