"""Answer the lines of a batch in worker processes, each video within a time limit.

A worker that exceeds the limit or dies costs only its current line, and is replaced. Records are
given in the order of the lines, so that the output is the same for any number of workers. A record
that is ready early is kept until its turn.

pebble's pool was tried and not taken: a worker that dies while no line is being answered ends the
whole run, its time limit counts time in which all processes were stopped, and it does not report
how a worker died while loading its models.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from multiprocessing import connection

from keyscore_plugin.batch.manifest import Item
from keyscore_plugin.batch.run import Record, Records
from keyscore_plugin.batch.worker import Job, Outcome, Worker
from keyscore_plugin.errors import InputError, KeyScoreError, ModelError

# Ours: most lines that each worker may be ahead of the output. It bounds the memory and the work
# that is lost when the run is killed; workers answer 16 short videos while another has a long one.
AHEAD_PER_WORKER = 16
_MAX_FAILED_STARTS = 3  # ours: this many in a row cannot be by chance
_TICK_SECONDS = 1.0


def answers_of_workers(
    items: Sequence[Item], job: Job, *, n_workers: int, limit_seconds: float
) -> Records:
    """Answer lines in worker processes, and yield the records in the order of the lines.

    Args:
        items: Lines of the manifest.
        job: Work of every worker.
        n_workers: Number of processes; no more are started than there are lines.
        limit_seconds: Time limit for one line in seconds, once the models are loaded.

    Raises:
        KeyScoreError: A line cannot be answered for a reason other than its video, such as a
            missing model; the records before it were given. Or no worker starts.
    """
    with closing(_Workers(job, limit_seconds=limit_seconds)) as workers:
        workers.start(min(n_workers, len(items)))
        waiting = deque(enumerate(items))
        ready: dict[int, Outcome] = {}
        for turn, item in enumerate(items):
            while turn not in ready:
                while waiting and waiting[0][0] < turn + AHEAD_PER_WORKER * n_workers:
                    if not workers.hand_out(*waiting[0]):
                        break
                    waiting.popleft()
                ready.update(workers.wait(replace=len(waiting) > 0))
            outcome = ready.pop(turn)
            if isinstance(outcome, KeyScoreError):
                raise outcome
            yield item, outcome


class OneWorker:
    """A worker process that answers one line at a time, and is replaced when it ends.

    Args:
        job: Work of the process.
        limit_seconds: Time limit for one line in seconds, once the models are loaded.

    Raises:
        InputError: The system's limit of processes or open files is reached.
    """

    def __init__(self, job: Job, *, limit_seconds: float) -> None:
        self._workers = _Workers(job, limit_seconds=limit_seconds)
        self._workers.start(1)

    def answer(self, item: Item) -> Record:
        """Return the record of a line; a video on which the worker hangs or ends gets an error.

        Raises:
            KeyScoreError: The line cannot be answered for a reason other than its video.
        """
        while not self._workers.hand_out(0, item):
            list(self._workers.wait(replace=True))
        outcomes: list[tuple[int, Outcome]] = []
        while not outcomes:
            outcomes = list(self._workers.wait(replace=True))
        _, outcome = outcomes[0]
        if isinstance(outcome, KeyScoreError):
            raise outcome
        return outcome

    def close(self) -> None:
        """Kill the process."""
        self._workers.close()


class _Workers:
    """The worker processes of a run; one that ends is replaced."""

    def __init__(self, job: Job, *, limit_seconds: float) -> None:
        self._job = job
        self._limit_seconds = limit_seconds
        self._n_failed_starts = 0
        self._workers: list[Worker] = []

    def start(self, n_workers: int) -> None:
        """Start additional workers.

        Raises:
            InputError: The system's limit of processes or open files is reached.
        """
        try:
            for _ in range(n_workers):
                self._workers.append(Worker(self._job, limit_seconds=self._limit_seconds))
        except OSError as error:
            raise InputError(
                f"cannot start worker {len(self._workers) + 1}: {error.strerror or error}; "
                "use fewer --workers"
            ) from error

    def hand_out(self, place: int, item: Item) -> bool:
        """Give a line to an idle worker; return False if no worker is idle."""
        idle = next((worker for worker in self._workers if worker.is_idle), None)
        if idle is not None:
            idle.take(place, item)
        return idle is not None

    def wait(self, *, replace: bool) -> Iterator[tuple[int, Outcome]]:
        """Wait for news of the workers, a second at most, and yield the outcomes of their lines.

        Args:
            replace: Whether a worker that ended is replaced.

        Raises:
            KeyScoreError: Models do not load, or workers do not start.
        """
        start = time.monotonic()
        left_seconds = min(worker.left_seconds for worker in self._workers)
        channels = [worker.channel for worker in self._workers]
        news = connection.wait(channels, min(left_seconds, _TICK_SECONDS))
        # Time in which all processes were stopped (Ctrl-Z) does not count.
        seconds = min(time.monotonic() - start, 2 * _TICK_SECONDS)
        for worker in list(self._workers):
            yield from worker.outcomes(has_news=worker.channel in news, seconds=seconds)
            if worker.ended is not None:
                self._workers.remove(worker)
                self._check_start(worker)
                if replace:
                    self.start(1)

    def close(self) -> None:
        """Kill all workers."""
        for worker in self._workers:
            worker.kill()

    def _check_start(self, worker: Worker) -> None:
        self._n_failed_starts = 0 if worker.was_ready else self._n_failed_starts + 1
        if self._n_failed_starts == _MAX_FAILED_STARTS:
            raise ModelError(
                f"{_MAX_FAILED_STARTS} workers in a row died while loading their models, the "
                f"last one {worker.ended}; use fewer --workers, or none to see why"
            )
