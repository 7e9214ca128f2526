"""Whole calls on whole videos, compared with the floor and with other tools."""

import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from evals.speed.child import Outcome, Task, run_jobs, run_peer
from evals.speed.clips import long_video
from evals.speed.table import Cell, Table
from keyscore_plugin.types import STAGES

Clip = tuple[float, int]  # minutes, and pixels of height

_OURS = ("decode", "stacfp", "keyscore", "clips", "llmvs", "keyframes", "refine")
CALLED = {
    "nothing": "imports alone",
    "decode": "decode the 2 fps grid: the floor",
    "stacfp": "stacfp",
    "keyscore": "keyscore, an encoder that costs nothing",
    "clips": "clips, an encoder that costs nothing",
    "llmvs": "llmvs, a captioner and a language model that cost nothing",
    "keyframes": "stacfp, grid of codec keyframes",
    "refine": "keyscore, codec keyframes, then closer around what scores",
    "decord_1fps": "decord, 1 fps",
    "katna": "Katna, 8 keyframes",
    "scenedetect": "PySceneDetect, content detector",
}
# Module of `evals.speed.peers`, and the name its outcome goes by.
_PEERS = {"katna": "katna", "pyscenedetect": "scenedetect"}


@dataclass(frozen=True, slots=True)
class Setting:
    """How videos are measured.

    Attributes:
        folder: Folder of the videos.
        decoder: Decoder of our jobs.
        repeats: Number of turns.
        threads: Number of threads of torch; decoders choose their number themselves.
        decord: Whether decord is installed and compared with.
        peers: Python executable of an environment with Katna or PySceneDetect, or None.
    """

    folder: Path
    decoder: str
    repeats: int
    threads: int
    decord: bool
    peers: str | None

    def task(self, jobs: Sequence[str], *, seconds: float, height: int) -> Task:
        """A task of jobs on one video, which is made if it is missing."""
        video = long_video(self.folder, seconds=seconds, height=height)
        return Task(jobs, str(video), self.decoder, self.repeats, self.threads)


def tables(clips: Iterable[Clip], setting: Setting) -> Iterator[Table]:
    """The time of each job in units of the floor, the stages of ours, and the memory of each.

    Yields:
        Two tables for each clip, as soon as it is measured.
    """
    idle = _idle(setting)
    jobs = [*_OURS, *(["decord_1fps"] if setting.decord else [])]
    for length, height in clips:
        task = setting.task(jobs, seconds=60 * length, height=height)
        notes = [] if setting.decord else ["decord is not installed: its rows are left out"]
        done = run_jobs(task) | _peers(task, setting, notes)
        memory = {name: run_jobs(replace(task, jobs=[name], repeats=1)) for name in jobs}
        peaks = {name: alone[name].peak_mb for name, alone in memory.items()}
        clip: dict[str, Cell] = {"clip": f"{length:g} min, {height}p"}
        yield Table(
            "select",
            "Whole calls, compared with pure decoding of the same grid by the same decoder",
            [clip | _times(name, done, peaks) for name in done],
            [*notes, _PEERS_NOTE, _PEAK_NOTE.format(idle=idle)],
            _KEY,
        )
        stages = [clip | _stages(name, done[name]) for name in _OURS[1:]]
        yield Table("stages", _STAGES_TITLE, stages, [_STAGES_NOTE], _KEY)


_KEY = ("clip", "what")
_PEERS_NOTE = (
    "Katna and PySceneDetect ran once, in a separate environment (`--peers`); a clip without "
    "their lines was measured without it."
)
_PEAK_NOTE = "Peak MB: of a process that does this alone, imports included ({idle})."
_STAGES_TITLE = "Where the time of a call goes, in seconds"


_STAGES_NOTE = (
    "decode: waiting for the decoder, which prefetches in a thread; propose: histograms (while the "
    "decoder works) and clustering."
)


def growth(minutes: Iterable[float], height: int, setting: Setting) -> Iterator[Table]:
    """The time and memory of `stacfp` over the length of the video; yields a table per length."""
    for length in minutes:
        task = setting.task(["decode", "stacfp"], seconds=60 * length, height=height)
        done = run_jobs(task)
        alone = [
            run_jobs(replace(task, jobs=[name], repeats=1))[name].peak_mb
            for name in ("stacfp", "keyscore")
        ]
        line: dict[str, Cell] = {
            "minutes": length,
            "grid frames": int(done["stacfp"].report["frames"]),
            "decode s CPU": done["decode"].cpu,
            "stacfp s CPU": done["stacfp"].cpu,
            "ratio CPU": done["stacfp"].cpu / done["decode"].cpu,
            "stacfp peak MB": alone[0],
            "keyscore peak MB": alone[1],
        }
        title = f"Time and memory over the length of a {height}p video"
        yield Table("growth", title, [line], key=("minutes",))


def _peers(task: Task, setting: Setting, notes: list[str]) -> dict[str, Outcome]:
    """The cost of the peers; a note names each one that does not run."""
    done: dict[str, Outcome] = {}
    if setting.peers is None:
        return done
    for peer, name in _PEERS.items():
        try:
            done |= run_peer(setting.peers, peer, task)
        except subprocess.CalledProcessError as error:
            reason = f"exit code {error.returncode}"
            notes.append(
                f"{CALLED[name]} is left out: it does not run in {setting.peers} ({reason})"
            )
    return done


def _times(name: str, done: Mapping[str, Outcome], peaks: Mapping[str, float]) -> dict[str, Cell]:
    one, floor = done[name], done["decode"]
    return {
        "what": CALLED[name],
        "frames": int(one.report["frames"]),
        "s": one.wall,
        "s CPU": one.cpu,
        "of the floor": one.wall / floor.wall,
        "of the floor, CPU": one.cpu / floor.cpu,
        "peak MB": peaks.get(name, one.peak_mb),
    }


def _stages(name: str, one: Outcome) -> dict[str, Cell]:
    return {"what": CALLED[name]} | {
        stage: float(one.report[stage]) for stage in (*STAGES, "total")
    }


def _idle(setting: Setting) -> str:
    """The peak memory of a process that only imports the modules, in words."""
    task = Task(["nothing"], "", setting.decoder, 1, setting.threads)
    return f"imports alone: {run_jobs(task)['nothing'].peak_mb:.0f}"
