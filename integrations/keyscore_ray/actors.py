"""The actors of a batch on a cluster, of which any may die at any moment."""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from keyscore_plugin.errors import KeyScoreError, VideoError, one_line
from keyscore_plugin.hosts import AHEAD_PER_WORKER, Item, Record, Records, error_record
from keyscore_ray.answering import Answerer

_MAX_DEATHS = 3  # ours: this many over one line, or of starting actors in a row, are no accident
_START = -1  # place of an actor that starts, which has no line


class _Actor:
    """Body of an actor. An error of ours comes back as text: its class may differ there."""

    def __init__(self, make: Callable[[], Answerer]) -> None:
        self._answer = make()

    def start(self) -> None:
        """Return once the actor runs."""

    def answer(self, item: Item) -> tuple[Record | None, str | None]:
        """Return the record of a line; or None and why no line can be answered."""
        try:
            return self._answer(item), None
        except KeyScoreError as error:
            return None, str(error)


class Actors:
    """Actors that answer lines; one that dies, alone or with its node, is replaced.

    Ray's own retries are not used: they have no bound for an actor that the node's lack of memory
    ended, and they tie a line to an actor that may wait for a place on the cluster for ever.

    Args:
        ray: Package ray, which is connected to a cluster.
        make: Function that makes what answers the lines.
        num_gpus: Share of a GPU for each actor.
    """

    def __init__(self, ray: Any, make: Callable[[], Answerer], *, num_gpus: float) -> None:
        self._ray = ray
        self._make = make
        self._remote = ray.remote(num_cpus=1, num_gpus=num_gpus, max_restarts=0)(_Actor)
        self._idle: list[Any] = []
        self._at_work: dict[Any, tuple[Any, int]] = {}  # reference: its actor, place of its line
        self._n_failed_starts = 0

    def answer(self, items: Sequence[Item], *, n_actors: int) -> Records:
        """Answer lines, and yield the records in the order of the lines.

        The actors are at most `AHEAD_PER_WORKER` lines each ahead of the output.

        Args:
            items: Lines of the manifest.
            n_actors: Number of actors.

        Raises:
            KeyScoreError: A line cannot be answered for a reason other than its video, or no actor
                starts.
        """
        for _ in range(n_actors):
            self._start()
        waiting = deque(range(len(items)))
        ready: dict[int, tuple[Record | None, str | None]] = {}
        n_deaths: Counter[int] = Counter()
        for turn, item in enumerate(items):
            while turn not in ready:
                end = turn + AHEAD_PER_WORKER * n_actors
                while self._idle and waiting and waiting[0] < end:
                    self._hand_out(waiting.popleft(), items)
                place, outcome = self._wait()
                if outcome is not None:
                    ready[place] = outcome
                elif place != _START:
                    n_deaths[place] += 1
                    if n_deaths[place] < _MAX_DEATHS:
                        waiting.appendleft(place)
                    else:
                        ready[place] = _deadly(items[place]), None
            record, stop = ready.pop(turn)
            if record is None:
                raise KeyScoreError(str(stop))
            yield item, record

    def _start(self) -> None:
        actor = self._remote.remote(self._make)
        self._at_work[actor.start.remote()] = actor, _START

    def _hand_out(self, place: int, items: Sequence[Item]) -> None:
        actor = self._idle.pop()
        self._at_work[actor.answer.remote(items[place])] = actor, place

    def _wait(self) -> tuple[int, tuple[Record | None, str | None] | None]:
        """Wait for an actor: return the place of its line, and its outcome if it did not die.

        Raises:
            KeyScoreError: No actor starts.
        """
        (reference,), _ = self._ray.wait(list(self._at_work), num_returns=1)
        actor, place = self._at_work.pop(reference)
        errors = self._ray.exceptions
        try:
            outcome = self._ray.get(reference)
        except (errors.RayActorError, errors.NodeDiedError, errors.OutOfMemoryError) as error:
            self._ray.kill(actor)  # it may live on, out of reach
            self._n_failed_starts += place == _START
            if getattr(error, "actor_init_failed", False) or self._n_failed_starts == _MAX_DEATHS:
                raise KeyScoreError(
                    f"no actor of Ray starts: {_cause(error)}; install the same keyscore-plugin "
                    "and what it needs on every node"
                ) from error
            self._start()
            return place, None
        self._n_failed_starts = 0
        self._idle.append(actor)
        return place, outcome


def _deadly(item: Item) -> Record:
    cause = f"{_MAX_DEATHS} actors of Ray died while they had it"
    remedy = "the node may have run out of memory: use fewer --workers, or check the file"
    return error_record(item, VideoError(item.video, cause, remedy))


def _cause(error: Exception) -> str:
    """The last line of Ray's text, which holds a traceback before it."""
    return one_line(str(error).strip().rpartition("\n")[2], most=150)
