"""One worker process of a batch: the code that it runs, and the parent's handle on it.

The worker makes its sampler once, then answers the lines it is given. The two processes exchange
JSON lines and no pickle: a video that exploits a decoder must not gain control of the process that
writes the output. The worker sends ``{"ready": true}``, then for each line ``{"record": {...}}``,
or ``{"stop": message}`` if no line can be answered (a model is missing).
"""

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from socket import socket, socketpair
from typing import Any

import torch

from keyscore_plugin._runtime.processes import end_with_parent, ending, sigint_blocked
from keyscore_plugin.batch.manifest import Item
from keyscore_plugin.batch.run import Budget, Record, answer, error_record
from keyscore_plugin.errors import KeyScoreError, VideoError
from keyscore_plugin.samplers.base import Sampler
from keyscore_plugin.video.decoders.decoding import decode_on_one_thread

Outcome = Record | KeyScoreError

_END_SECONDS = 5.0  # a killed process ends within milliseconds, unless it waits for a disk
_SEND_SECONDS = 5.0  # an idle worker reads within milliseconds
_READ_BYTES = 1 << 16
_OUT_OF_MEMORY = "the system may have run out of memory: use fewer --workers"


@dataclass(frozen=True, slots=True)
class Job:
    """The work of every worker.

    Attributes:
        make_sampler: Function that makes the sampler and loads its models. A new process imports
            it, so it must be defined in a module.
        budget: Number of frames or threshold for each video.
        answer: Function that answers a line; it too must be defined in a module.
    """

    make_sampler: Callable[[], Sampler]
    budget: Budget
    answer: Callable[[Item, Sampler, Budget], Record] = answer


class Worker:
    """The parent's handle on one worker process, which it starts.

    Args:
        job: Work of the process.
        limit_seconds: Time for each line.

    Attributes:
        channel: Socket that becomes readable when the worker has sent something or has ended.
        was_ready: Whether its models were loaded.
        ended: Description of how it ended, such as ``"was killed by SIGSEGV"``; None while it runs.
        left_seconds: Time left for its current line in seconds; infinite between lines.
    """

    def __init__(self, job: Job, *, limit_seconds: float) -> None:
        self.channel, theirs = socketpair()
        self.was_ready = False
        self.ended: str | None = None
        self.left_seconds = float("inf")
        self._limit_seconds = limit_seconds
        self._line: tuple[int, Item] | None = None
        self._unread = b""
        with theirs, sigint_blocked():
            self._process = get_context("spawn").Process(target=_work, args=(theirs, job))
            self._process.start()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a line."""
        return self.was_ready and self._line is None and self.ended is None

    def take(self, place: int, item: Item) -> None:
        """Send a line to the worker; its time limit begins now.

        Args:
            place: Position of the line in the manifest.
            item: The line.
        """
        self._line = place, item
        self.left_seconds = self._limit_seconds
        self.channel.settimeout(_SEND_SECONDS)
        with suppress(OSError):  # it has just died: `outcomes` will report that
            self.channel.sendall(_message({**asdict(item), "path": str(item.path)}))

    def outcomes(self, *, has_news: bool, seconds: float) -> Iterator[tuple[int, Outcome]]:
        """Yield the place and the record or error of the current line, if it has one by now.

        Args:
            has_news: Whether the channel is readable.
            seconds: Time to count for the current line, in seconds.

        Raises:
            KeyScoreError: The worker could not load its models.
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
        """End the process at once."""
        self._process.kill()
        self._bury()

    def _listen(self) -> Iterator[tuple[int, Outcome]]:
        """Read what has arrived without waiting; the worker may hang in the middle of a line."""
        self.channel.setblocking(False)
        received = b""
        with suppress(ConnectionError):
            received = self.channel.recv(_READ_BYTES)
        *messages, self._unread = (self._unread + received).split(b"\n")
        for message in messages:
            yield from self._understand(json.loads(message))
        if not received:
            self._bury()
            if self._line is not None:
                killed = self.ended == ending(-signal.SIGKILL)
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
        """Record how the process ended; kill one that closed its channel but still runs."""
        self._process.join(_END_SECONDS)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join(_END_SECONDS)
        self.ended = ending(self._process.exitcode)
        self.channel.close()


def _work(channel: socket, job: Job) -> None:
    """Answer lines until the parent closes the channel; the body of a worker process."""
    end_with_parent()
    # What native libraries print must not mix with the result on standard output.
    os.dup2(2, 1)
    # With several threads, sums differ in their last digit, and so do the frames of a damaged
    # video. If the workers divided the cores among them, the output would depend on their number.
    # One thread per worker also uses the cores better.
    torch.set_num_threads(1)
    decode_on_one_thread()
    with channel, channel.makefile("rb") as lines:
        try:
            sampler = job.make_sampler()
        except KeyScoreError as error:
            channel.sendall(_message({"stop": str(error)}))
            return
        channel.sendall(_message({"ready": True}))
        for line in lines:
            values = json.loads(line)
            item = Item(**{**values, "path": Path(values["path"])})
            try:
                channel.sendall(_message({"record": job.answer(item, sampler, job.budget)}))
            except KeyScoreError as error:
                channel.sendall(_message({"stop": str(error)}))


def _message(values: Mapping[str, Any]) -> bytes:
    # JSON in ASCII can hold file names that are not UTF-8, and contains no line break.
    return json.dumps(values, allow_nan=False).encode("ascii") + b"\n"
