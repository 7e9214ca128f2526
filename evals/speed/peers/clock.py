"""Time one job of a peer and print an `evals.speed.child.Outcome` as JSON."""

import json
import resource
import time
from collections.abc import Callable

from evals.speed.measure import peak_megabytes


def _cpu_seconds() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def report(name: str, job: Callable[[], int]) -> None:
    """Run a job, which returns the number of frames or scenes it found, and print its cost."""
    wall, cpu = time.perf_counter(), _cpu_seconds()
    n_frames = job()
    wall, cpu = time.perf_counter() - wall, _cpu_seconds() - cpu
    # Katna works in child processes, of which the largest counts.
    outcome = {
        "wall": wall,
        "cpu": cpu,
        "peak_mb": peak_megabytes(),
        "report": {"frames": n_frames},
    }
    print("\n" + json.dumps({name: outcome}))
