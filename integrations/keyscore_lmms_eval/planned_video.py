"""A finished plan as a sampler, and a path that carries it to the place where frames are read."""

from collections import deque
from dataclasses import replace
from typing import Any

from keyscore_lmms_eval.planning import Plan
from keyscore_plugin import VideoInput
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Join, Selection, SubtitleInput, TextInput
from keyscore_qwen_vl_utils.request import KeyedVideo


class Replay:
    """A sampler that returns the selection of a plan.

    Args:
        plan: Plan with chosen frames.
        fetched: Queue that gets the plan each time its frames are about to be read.
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
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        """The selection of the plan, by the frame indices of its span; no argument counts."""
        chosen = self.plan.chosen
        if chosen is None:
            raise InputError(f"nothing was selected from {self.plan.span.path}: {self.plan.error}")
        self.plan.reads += 1
        self._fetched.append(self.plan)
        indices = [index - chosen.first for index in chosen.selection.indices]
        return replace(chosen.selection, indices=indices, candidates=(), curves=())


def planned_video(plan: Plan, fetched: deque[Plan]) -> KeyedVideo:
    """The path of a plan's video, which carries the chosen frames."""
    keys: dict[str, Any] = {
        "sampler": Replay(plan, fetched),
        "pair": plan.arguments.shown,
        "decoder": plan.arguments.decoder,
        "limits": plan.arguments.limits,
    }
    span = {"video_start": plan.span.start_seconds, "video_end": plan.span.end_seconds}
    keys |= {name: seconds for name, seconds in span.items() if seconds is not None}
    # Replay ignores the number, but qwen-vl-utils wants one that it accepts.
    return KeyedVideo(plan.span.path, {**keys, "nframes": 2})


def plan_of(video: Any) -> Plan | None:
    """The plan that a path carries; None for anything else."""
    sampler = video.keys.get("sampler") if isinstance(video, KeyedVideo) else None
    return sampler.plan if isinstance(sampler, Replay) else None
