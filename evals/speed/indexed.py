"""The cost of questions about one long video: the first one, and those that an index answers."""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch

from evals.speed.clips import long_video
from evals.speed.jobs import FreeEncoder
from evals.speed.table import Line, Table
from evals.speed.whole import Setting
from keyscore_plugin import GridConfig, IndexConfig, KeyScoreSampler, SamplerConfig

FIRST = "first question, without an index"
REFINED = "first question by the grid `refine`, an encoder that costs nothing"
FILL = "`keyscore index`: every frame of the grid"
SECOND = "a further question"
MANY = "further questions, in all"
_RIVAL = (
    "for comparison, as its README says: framesieve 0.2.0 answers a further question in 110 ms on "
    "a CPU and keeps 11 MB an hour (SigLIP 2, 1 frame a second)"
)


def table(minutes: float, height: int, n_questions: int, setting: Setting) -> Table:
    """`keyscore`, from the call to the selection, in one process; mostly with the encoder `conse`.

    Args:
        minutes: Length of the video.
        height: Height of its pictures in pixels.
        n_questions: Number of further questions, all of them different.
        setting: Folder of the videos, decoder and threads.
    """
    torch.set_num_threads(setting.threads)
    video = long_video(setting.folder, seconds=60 * minutes, height=height)
    with TemporaryDirectory(dir=setting.folder) as folder:
        plain, indexed = (_sampler(setting, index) for index in (None, IndexConfig(folder)))
        plain.encoder.encode_text("loads what the first text loads")
        first = _seconds(partial(_ask, plain, video, 0))
        refined = _seconds(partial(_ask, _refining(setting), video, 0))
        fill = _seconds(partial(indexed.fill_index, video))
        further = [_seconds(partial(_ask, indexed, video, n)) for n in range(n_questions)]
        n_bytes = sum(file.stat().st_size for file in Path(folder).rglob("*.safetensors"))
    seconds = {
        FIRST: first,
        REFINED: refined,
        FILL: fill,
        SECOND: median(further),
        MANY: sum(further),
    }
    clip = f"{minutes:g} min, {height}p"
    lines: list[Line] = [
        {"clip": clip, "what": what, "questions": n_questions if what == MANY else 1, "s": s}
        for what, s in seconds.items()
    ]
    lines = [line | {"MB an hour": n_bytes / 1e6 * 60 / minutes} for line in lines]
    notes = [
        "`conse` has 384 numbers a vector; of 768, the vectors of 2,048 frames take 3.1 MB more",
        _RIVAL,
    ]
    return Table(
        "index", "Questions about one video, with an index", lines, notes, key=("clip", "what")
    )


def _sampler(setting: Setting, index: IndexConfig | None) -> KeyScoreSampler:
    config = SamplerConfig(index=index)
    return KeyScoreSampler(config, encoder="conse", decoder=setting.decoder, device="cpu")


def _refining(setting: Setting) -> KeyScoreSampler:
    """A sampler that decodes keyframes and frames around those that score."""
    config = SamplerConfig(grid=GridConfig("refine"))
    return KeyScoreSampler(
        config, encoder=FreeEncoder(), decoder=setting.decoder, device=FreeEncoder.device.type
    )


def _ask(sampler: KeyScoreSampler, video: Path, number: int) -> None:
    sampler(video, num_frames=8, question=f"a dog that runs after {number} cars")


def _seconds(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
