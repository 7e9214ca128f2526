"""Costs that can be compared: taken in turns in one run, as medians."""

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
