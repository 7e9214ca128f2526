"""Time and memory of jobs, and the name of the CPU. The environments of peers use it too."""

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
    """The cost of one job.

    Attributes:
        wall: Seconds on the clock.
        cpu: Seconds of all cores, which depend less on other work of the machine.
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
    """Run every job ``repeats`` times in turns: A B A B.

    So other work of the machine slows all of them alike.

    Args:
        jobs: Jobs by name.
        repeats: Number of turns that count.
        warm_up: Whether each job runs once before, as short jobs are slower the first time.

    Returns:
        The median cost of each job, and the value of its last run.
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
    """The peak memory of this process, or of one of its finished children.

    On Linux `getrusage` includes the memory that the parent had when it started this process; the
    kernel's high-water mark does not.
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
    """The name of the processor, as far as the system knows it."""
    if _CPU_FACTS.is_file():
        for line in _CPU_FACTS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
