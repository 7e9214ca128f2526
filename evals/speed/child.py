"""Jobs on a video in a new process, so that imports take no time and peak memory can be measured.

``python -m evals.speed.child`` reads a `Task` as JSON from standard input.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Task:
    """Jobs of `evals.speed.jobs.JOBS` that take turns on one video.

    Attributes:
        jobs: Names of the jobs.
        video: Path of the video.
        decoder: Decoder of our jobs.
        repeats: Number of turns.
        threads: Number of threads of torch and OpenMP.
    """

    jobs: Sequence[str]
    video: str
    decoder: str
    repeats: int
    threads: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """The cost of a job.

    Attributes:
        wall: Seconds on the clock.
        cpu: Seconds of all cores.
        peak_mb: Peak memory of the process in MB, imports included.
        report: Figures that the job returns.
    """

    wall: float
    cpu: float
    peak_mb: float
    report: Mapping[str, float]


def run_jobs(task: Task) -> dict[str, Outcome]:
    """Run a task in a new process."""
    command = [sys.executable, "-m", "evals.speed.child"]
    return _outcomes(answer(command, json.dumps(asdict(task)), threads=task.threads))


def run_peer(python: str, peer: str, task: Task) -> dict[str, Outcome]:
    """Run a module of `evals.speed.peers` once, with the Python of another environment."""
    command = [python, "-m", f"evals.speed.peers.{peer}", task.video]
    return _outcomes(answer(command, "", threads=task.threads))


def answer(command: Sequence[str], text: str, *, threads: int) -> dict[str, Any]:
    """Run a command with a text on its standard input; returns the JSON that it prints.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    done = subprocess.run(
        command,
        input=text,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": str(threads)},
    )
    # The last line only, because some packages print other things before it.
    values: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return values


def _outcomes(values: Mapping[str, Any]) -> dict[str, Outcome]:
    return {name: Outcome(**value) for name, value in values.items()}


def _main() -> None:
    import torch

    from evals.speed.jobs import JOBS
    from evals.speed.measure import in_turns, peak_megabytes

    task = Task(**json.load(sys.stdin))
    torch.set_num_threads(task.threads)
    jobs = {name: lambda job=JOBS[name]: job(task.video, task.decoder) for name in task.jobs}
    costs = in_turns(jobs, repeats=task.repeats)
    print(
        json.dumps(
            {
                name: asdict(Outcome(cost.wall, cost.cpu, peak_megabytes(), report))
                for name, (cost, report) in costs.items()
            }
        )
    )


if __name__ == "__main__":
    _main()
