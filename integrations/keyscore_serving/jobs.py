"""Blocking work of a server: a bounded number of threads, and a bounded queue before them."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

import anyio

from keyscore_serving.settings import whole_number

T = TypeVar("T")


class BusyError(Exception):
    """The queue is full."""

    def __init__(self) -> None:
        super().__init__("too many videos wait for their frames; try again later")


class LateError(TimeoutError):
    """The time for a call is over."""

    def __init__(self) -> None:
        super().__init__(
            "the frames were not chosen in time, which counts the waiting and a download of ours; "
            "give a shorter video, or ask the operator for more seconds"
        )


class Jobs:
    """Runs blocking calls in threads, so that the event loop stays free.

    A thread cannot be stopped from outside. Work that outlasts its time is given up by its caller,
    and its slot stays taken until the thread ends, so that the number of threads stays bounded. The
    threads are daemons: one that hangs does not keep the process from ending.

    Args:
        n_running: Calls that run at once.
        n_waiting: Further calls that wait.
        max_seconds: Longest time for one call, the waiting included; `math.inf` for a caller that
            bounds it.
    """

    def __init__(
        self, *, n_running: int = 2, n_waiting: int = 32, max_seconds: float = 120.0
    ) -> None:
        self.running = 0
        self.waiting = 0
        self._slots = asyncio.Semaphore(n_running)
        self._most_waiting = n_waiting
        self._max_seconds = max_seconds

    @classmethod
    def from_environment(cls) -> "Jobs":
        """The jobs of ``KEYSCORE_JOBS``, ``KEYSCORE_MAX_WAITING`` and ``KEYSCORE_SELECT_SECONDS``.

        A variable that is not set keeps the default.

        Raises:
            InputError: A variable cannot be used.
        """
        named = {
            "n_running": whole_number("KEYSCORE_JOBS"),
            "n_waiting": whole_number("KEYSCORE_MAX_WAITING"),
            "max_seconds": whole_number("KEYSCORE_SELECT_SECONDS"),
        }
        return cls(**{name: value for name, value in named.items() if value is not None})

    @property
    def is_full(self) -> bool:
        """Whether one more call would be refused."""
        return self._slots.locked() and self.waiting >= self._most_waiting

    async def run(self, work: Callable[[], T]) -> T:
        """The result of a blocking call.

        Raises:
            BusyError: The queue is full; nothing was started.
            LateError: The time is over.
        """
        if self.is_full:
            raise BusyError
        with anyio.move_on_after(self._max_seconds):
            self.waiting += 1
            try:
                await self._slots.acquire()
            finally:
                self.waiting -= 1
            return await self._started(work)
        raise LateError

    def _started(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Start a thread in the slot that was acquired."""
        loop = asyncio.get_running_loop()
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()  # a thread that runs cannot be cancelled
        self.running += 1

        def call() -> None:
            try:
                result = work()
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
            with suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(self._free)

        try:
            threading.Thread(target=call, name="keyscore-job", daemon=True).start()
        except BaseException:  # such as the system's limit of threads
            self._free()
            raise
        return asyncio.wrap_future(future)

    def _free(self) -> None:
        self.running -= 1
        self._slots.release()
