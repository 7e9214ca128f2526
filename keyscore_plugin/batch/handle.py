"""A worker process as its parent sees it: what it is at, what it said, how it ended."""

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import get_context, resource_tracker
from socket import socketpair
from typing import Any

from keyscore_plugin.batch.manifest import Item
from keyscore_plugin.batch.run import Record, error_record
from keyscore_plugin.batch.worker import Job, encode_item, work
from keyscore_plugin.errors import KeyScoreError, VideoError

Outcome = Record | KeyScoreError

_END_SECONDS = 5.0  # a killed process is gone in milliseconds, unless a disk hangs below it
_SEND_SECONDS = 5.0  # an idle worker reads at once
_READ_BYTES = 1 << 16
_OUT_OF_MEMORY = "the system may have run out of memory: use fewer --workers"


class Handle:
    """One worker process, started.

    Args:
        job: What it does.
        limit_seconds: Time for each line.

    Attributes:
        channel: Becomes readable when the worker has said something or has ended.
        was_ready: Whether its models were loaded.
        ended: How it ended, such as ``"was killed by SIGSEGV"``; None while it lives.
        left_seconds: Time left for the line it is at; infinite when it is at none.
    """

    def __init__(self, job: Job, *, limit_seconds: float) -> None:
        self.channel, theirs = socketpair()
        self.was_ready = False
        self.ended: str | None = None
        self.left_seconds = float("inf")
        self._limit_seconds = limit_seconds
        self._line: tuple[int, Item] | None = None
        self._unread = b""
        with theirs:
            self._process = get_context("spawn").Process(target=work, args=(theirs, job))
            self._process.start()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a line."""
        return self.was_ready and self._line is None and self.ended is None

    def take(self, place: int, item: Item) -> None:
        """Hand it a line; its time begins."""
        self._line = place, item
        self.left_seconds = self._limit_seconds
        self.channel.settimeout(_SEND_SECONDS)
        with suppress(OSError):  # it has just died: `outcomes` will tell
            self.channel.sendall(encode_item(item))

    def outcomes(self, *, has_news: bool, seconds: float) -> Iterator[tuple[int, Outcome]]:
        """What came of the line it is at, if anything did: its place, and a record or an error.

        Args:
            has_news: Whether the channel is readable.
            seconds: How much time passed for the line it is at.

        Raises:
            KeyScoreError: It could not load its models.
        """
        if has_news:
            yield from self._listen()
        self.left_seconds -= seconds
        if self.left_seconds <= 0:
            self.kill()
            yield self._failure(
                f"it took longer than {self._limit_seconds:g} s",
                "check the file, or raise --timeout-seconds",
            )

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._bury()

    def _listen(self) -> Iterator[tuple[int, Outcome]]:
        """Read what is there; wait for no more, it may hang in the middle of a word."""
        self.channel.setblocking(False)
        heard = b""
        with suppress(ConnectionError):
            heard = self.channel.recv(_READ_BYTES)
        *messages, self._unread = (self._unread + heard).split(b"\n")
        for message in messages:
            yield from self._understand(json.loads(message))
        if not heard:
            self._bury()
            if self._line is not None:
                killed = self.ended == _ending(-signal.SIGKILL)
                remedy = _OUT_OF_MEMORY if killed else "check the file, or try another --decoder"
                yield self._failure(f"the worker that read it {self.ended}", remedy)

    def _understand(self, message: Mapping[str, Any]) -> Iterator[tuple[int, Outcome]]:
        if "ready" in message:
            self.was_ready = True
        elif self._line is None:
            raise KeyScoreError(message["stop"])
        elif "stop" in message:
            yield self._done(KeyScoreError(message["stop"]))
        else:
            yield self._done(message["record"])

    def _failure(self, cause: str, remedy: str) -> tuple[int, Outcome]:
        assert self._line is not None
        _, item = self._line
        return self._done(error_record(item, VideoError(str(item.path), cause, remedy)))

    def _done(self, outcome: Outcome) -> tuple[int, Outcome]:
        assert self._line is not None
        place, _ = self._line
        self._line, self.left_seconds = None, float("inf")
        return place, outcome

    def _bury(self) -> None:
        """See how it ended; what cut its channel and lives on is killed."""
        self._process.join(_END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(_END_SECONDS)
        self.ended = _ending(self._process.exitcode)
        self.channel.close()


@contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Let Ctrl-C wait; a process started meanwhile never hears it.

    Ctrl-C goes to all processes of a terminal. The parent alone answers to it, and ends its
    workers; they would print a traceback each.
    """
    resource_tracker.ensure_running()  # it is started with the first worker, and unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(exit_code: int | None) -> str:
    if exit_code is None:
        return "does not end, though it was killed"
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
