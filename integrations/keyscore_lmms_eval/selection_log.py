"""The log of a run, one line per video, and the figures of lmms-eval's table of throughput."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keyscore_lmms_eval.arguments import SamplerArguments
from keyscore_lmms_eval.planning import Plan
from keyscore_plugin.errors import shown
from keyscore_plugin.hosts import is_data_url
from keyscore_plugin.types import STAGES

FOLDER = "keyscore_logs"  # if the arguments name no file


class SelectionLog:
    """A JSONL file that joins with ``--log_samples`` by task and doc_id.

    A line has: task, doc_id, video, error (null, or why the document got no answer), question,
    sampler, config_hash, indices and pts_seconds of the keyframes, start_pts_seconds of the video,
    shown and shown_seconds (the frames that the model got, in order, in seconds from the video's
    first frame), visual_tokens, cached, seconds by stage, caption, fallback (null, or why another
    rule than the sampler's own chose), notes.

    Args:
        arguments: Arguments of the run; ``log`` names the file.
        rank: Rank of this process; each process writes its own file.
        world_size: Number of processes.
    """

    def __init__(self, arguments: SamplerArguments, *, rank: int, world_size: int) -> None:
        self._settings = {"sampler": arguments.sampler, "config_hash": arguments.config_hash()}
        self.path: Path | None = None
        if arguments.log != "none":
            stamp = time.strftime("%Y%m%d_%H%M%S")
            name = f"{stamp}_{arguments.sampler}_{self._settings['config_hash']}.jsonl"
            path = Path(arguments.log) if arguments.log else Path(FOLDER, name)
            self.path = path.with_suffix(f".{rank}{path.suffix}") if world_size > 1 else path

    def write(self, plans: Sequence[Plan]) -> None:
        """Append one line for each plan."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            for plan in plans:
                line = self._line(plan)
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")

    def _line(self, plan: Plan) -> dict[str, Any]:
        path = plan.span.path
        facts: dict[str, Any] = {
            "task": plan.task,
            "doc_id": plan.doc_id,
            "video": shown(path) if is_data_url(path) else path,
            "error": None if plan.error is None else " ".join(str(plan.error).split()),
            "question": plan.question,
            **self._settings,
        }
        chosen = plan.chosen
        if chosen is None:
            return facts
        selection = chosen.selection
        return facts | {
            "indices": list(selection.indices),
            "pts_seconds": selection.pts_seconds,
            "start_pts_seconds": selection.start_pts_seconds,
            "shown": chosen.indices.tolist(),
            "shown_seconds": chosen.seconds.tolist(),
            "visual_tokens": plan.visual_tokens,
            "cached": chosen.cached,
            "seconds": dict(selection.seconds),
            "caption": None if selection.caption is None else selection.caption.text,
            "encoder": selection.encoder,
            "decoder": selection.decoder,
            "fallback": selection.fallback,
            "notes": list(selection.notes),
        }


def figures(plans: Sequence[Plan], *, end_to_end_seconds: float) -> dict[str, float]:
    """Means over the videos of a run, for lmms-eval's table of throughput.

    Args:
        plans: Plans of all videos.
        end_to_end_seconds: Time from the first selection to the last answer.
    """
    done = [(plan, plan.chosen) for plan in plans if plan.chosen is not None]
    sums = dict.fromkeys(("selected_frames", "shown_frames", "cached", "visual_tokens"), 0.0)
    seconds = dict.fromkeys((*STAGES, "total"), 0.0)
    for plan, chosen in done:
        sums["selected_frames"] += len(chosen.selection)
        for stage in seconds:
            seconds[stage] += chosen.selection.seconds.get(stage, 0.0)
        sums["shown_frames"] += plan.n_shown
        sums["cached"] += chosen.cached
        sums["visual_tokens"] += plan.visual_tokens or 0
    means = {f"keyscore_{name}": total / max(1, len(done)) for name, total in sums.items()}
    if any(plan.visual_tokens is None for plan, _ in done):
        del means["keyscore_visual_tokens"]  # some hosts do not say
    means |= {
        f"keyscore_{stage}_seconds": total / max(1, len(done)) for stage, total in seconds.items()
    }
    return means | {
        "keyscore_videos": float(len(plans)),
        "keyscore_errors": float(len(plans) - len(done)),
        "keyscore_end_to_end_seconds": end_to_end_seconds / max(1, len(plans)),
    }
