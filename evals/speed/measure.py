"""Costs that can be compared: taken in turns in one run, as medians."""

import platform
import resource
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cost:
    """What one job took.

    Attributes:
        wall: Seconds on the clock.
        cpu: Seconds of all cores; on a busy machine the figure to trust.
    """

    wall: float
    cpu: float


def timed(job: Callable[[], Result]) -> tuple[Cost, Result]:
    """Run a job once."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = job()
    return Cost(time.perf_counter() - wall, time.process_time() - cpu), result


def median(costs: list[Cost]) -> Cost:
    """The median of each figure."""
    return Cost(
        statistics.median(cost.wall for cost in costs),
        statistics.median(cost.cpu for cost in costs),
    )


def in_turns(
    jobs: Mapping[str, Callable[[], Result]], *, repeats: int, warm_up: bool = False
) -> dict[str, tuple[Cost, Result]]:
    """Run every job ``repeats`` times, one after the other in turns: A B A B.

    Whatever else the machine does then hits all of them alike.

    Args:
        jobs: What to run, by name.
        repeats: Turns that count.
        warm_up: Run each once before, for jobs so short that a first time would show.

    Returns:
        The median cost of each job, and what its last run returned.
    """
    if warm_up:
        for job in jobs.values():
            job()
    costs: dict[str, list[Cost]] = {name: [] for name in jobs}
    results: dict[str, Result] = {}
    for _ in range(repeats):
        for name, job in jobs.items():
            cost, results[name] = timed(job)
            costs[name].append(cost)
    return {name: (median(costs[name]), results[name]) for name in jobs}


_STATUS = Path("/proc/self/status")


def peak_megabytes() -> float:
    """Most memory this process, or a child of it that has ended, ever held.

    On Linux `getrusage` counts what the parent held when it started this process; the kernel's
    own high-water mark does not.
    """
    unit = 2**20 if sys.platform == "darwin" else 2**10
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    return max(children, _own_megabytes(unit))


def _own_megabytes(unit: int) -> float:
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


_CPU_FACTS = Path("/proc/cpuinfo")


def cpu_model() -> str:
    """The processor's own name, where the system tells it."""
    if _CPU_FACTS.is_file():
        for line in _CPU_FACTS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
