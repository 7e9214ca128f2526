"""A process of its own for what is measured on a video: imports do not count, memory does.

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
    """Jobs of `evals.speed.jobs.JOBS` to run in turns on one video."""

    jobs: Sequence[str]
    video: str
    decoder: str
    repeats: int
    threads: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a job took.

    Attributes:
        wall: Seconds.
        cpu: Seconds of all cores.
        peak_mb: Most memory of the process that ran it, imports included.
        report: What the job itself says.
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
    """What a command answers in JSON to a text on its standard input.

    Raises:
        subprocess.CalledProcessError: It fails.
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
    # The last line: some packages print what nobody asked for.
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
