"""Frames chosen in worker processes: one that hangs or dies costs its video only, and is replaced.

A decoder that hangs cannot be stopped in a thread, and may hold the GIL, so that the whole proxy
would stand still. The processes exchange JSON and no pickle: a video that exploits a decoder must
not gain control of the process that talks to clients.
"""

import json
import signal
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing import Pipe, get_context
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Lock
from typing import Any

import torch

from keyscore_openai.parts import PartSettings, fold_of, parts_of
from keyscore_openai.proxy.logs import log
from keyscore_openai.proxy.refusals import RefusedError, refused_by
from keyscore_plugin.errors import KeyScoreError, ModelError, VideoError
from keyscore_plugin.hosts import end_with_parent, ending, named, sigint_blocked
from keyscore_serving import FrameChooser, FrameRequest
from keyscore_serving.jobs import LateError

_END_SECONDS = 5.0  # a killed process ends within milliseconds, unless it waits for a disk
# To start a process asks how all others ended, and to join one asks for its end: if two threads do
# so at once, only one of them learns it.
_PROCESSES = Lock()


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """What every worker does.

    Attributes:
        make_chooser: Function that loads the encoder. A new process imports it, so it must be
            defined in a module.
        parts: Settings by which frames are written for the server.
    """

    make_chooser: Callable[[], FrameChooser]
    parts: PartSettings


@dataclass(frozen=True, slots=True)
class ChosenParts:
    """What a worker makes of a video.

    Attributes:
        content: Content parts of a message.
        seconds: Seconds of each stage of the selection.
    """

    content: list[dict[str, Any]]
    seconds: dict[str, float]


class Workers:
    """Worker processes with their encoders loaded.

    Args:
        job: Job of each of them.
        n_workers: Number of processes.

    Raises:
        ModelError: The encoder cannot be loaded.
        InputError: The device does not exist.
    """

    def __init__(self, job: WorkerJob, *, n_workers: int) -> None:
        self._job = job
        self._idle: SimpleQueue[_Worker] = SimpleQueue()
        self._workers: set[_Worker] = set()
        self._lock = Lock()
        self._is_closed = False
        try:
            for _ in range(n_workers):
                self._started()
            for worker in self._workers:
                worker.wait_until_ready()
                self._idle.put(worker)
        except BaseException:
            self.close()
            raise

    def choose(
        self, video: str, request: FrameRequest, *, name: str, max_seconds: float
    ) -> ChosenParts:
        """Choose the frames of one video. Threads may call this at the same time.

        Args:
            video: Path of a file.
            request: Request of the client.
            name: Name of the video in errors.
            max_seconds: Longest time for the frames. A worker that needs longer is killed, and this
                call ends when another one has loaded its encoder in its place.

        Raises:
            RefusedError: The request cannot be met.
            ModelError: No worker can load its encoder any more.
            LateError: The time is over.
            VideoError: The worker died.
        """
        worker = self._idle.get()
        try:
            if worker.has_died():  # also one in whose place none could be started
                worker = self._replaced(worker)
            try:
                return worker.choose(video, request, name, max_seconds)
            finally:
                worker = self._in_order(worker)
        finally:  # without it in the queue, a later call would wait for ever
            self._idle.put(worker)

    def close(self) -> None:
        """Kill all workers, and start no others in their places."""
        with self._lock:
            self._is_closed = True
            for worker in self._workers:
                worker.kill()

    def _in_order(self, worker: "_Worker") -> "_Worker":
        """The worker, or a new one in its place if it ended and one can be started."""
        try:
            return self._replaced(worker) if worker.has_ended else worker
        except KeyScoreError as error:  # the next video tries again
            log("worker failed", error=str(error))
            return worker

    def _replaced(self, ended: "_Worker") -> "_Worker":
        """A new worker in the place of one that ended.

        Raises:
            ModelError: It cannot load its encoder, or all workers were closed.
        """
        with self._lock:  # a worker started after `close` would keep this process from ending
            if self._is_closed:
                raise ModelError("the proxy is stopping; ask again when it has started again")
            log("worker replaced", how_it_ended=ended.ending)
            worker = self._started()
        worker.wait_until_ready()
        return worker

    def _started(self) -> "_Worker":
        """A new worker, which `close` knows before its process is there.

        Raises:
            ModelError: The system's limit of processes or open files is reached.
        """
        self._workers = {worker for worker in self._workers if not worker.has_ended}
        try:
            worker = _Worker(self._job)
            self._workers.add(worker)
            worker.start()
        except OSError as error:
            raise ModelError(
                f"cannot start a worker: {error.strerror or error}; use fewer --jobs"
            ) from error
        return worker


class _Worker:
    """The parent's handle on one process."""

    def __init__(self, job: WorkerJob) -> None:
        self._channel, self._theirs = Pipe()
        self._process = get_context("spawn").Process(target=_work, args=(self._theirs, job))
        self.has_ended = False

    def start(self) -> None:
        """Start the process.

        Raises:
            OSError: The system's limit of processes or open files is reached.
        """
        try:
            with self._theirs, _PROCESSES, sigint_blocked():
                self._process.start()
        except OSError:
            self.has_ended = True
            raise

    @property
    def ending(self) -> str:
        """How it ended."""
        return ending(self._process.exitcode)

    def has_died(self) -> bool:
        """Whether its process is not there any more, such as one that was killed for its memory."""
        with _PROCESSES:
            self.has_ended |= self._process.exitcode is not None
        return self.has_ended

    def wait_until_ready(self) -> None:
        """Wait until its encoder is loaded.

        Raises:
            ModelError: It cannot be loaded.
        """
        try:
            message = json.loads(self._channel.recv_bytes())
        except (EOFError, OSError):
            self.kill()
            raise ModelError(
                f"a worker {self.ending} while loading the encoder; use fewer --jobs, or a smaller "
                "encoder"
            ) from None
        if "error" in message:
            self.kill()
            raise ModelError(message["error"])

    def choose(
        self, video: str, request: FrameRequest, name: str, max_seconds: float
    ) -> ChosenParts:
        """Choose the frames of one video, see `Workers.choose`."""
        asked = {"video": video, "name": name, "request": asdict(request)}
        try:
            self._channel.send_bytes(json.dumps(asked).encode())
            in_time = self._channel.poll(max_seconds)
            answer = json.loads(self._channel.recv_bytes()) if in_time else None
        except (EOFError, OSError) as error:
            self.kill()
            cause = f"the worker that read it {self.ending}"
            raise VideoError(name, cause, "check the file") from error
        if answer is None:
            self.kill()
            raise LateError
        if "fault" in answer:
            raise RuntimeError(answer["fault"])
        if "refusal" in answer:
            raise RefusedError(**answer["refusal"])
        return ChosenParts(**answer)

    def kill(self) -> None:
        """End the process at once. A thread that waits for its answer learns that it died.

        The channel is left to the garbage collector: that thread may be about to read from it, and
        its number could belong to another file by then.
        """
        with _PROCESSES:
            if self._process.pid is not None:  # it was started
                self._process.kill()
                self._process.join(_END_SECONDS)
            self.has_ended = True


def _work(channel: Connection, job: WorkerJob) -> None:
    """Answer until the parent closes the channel; the body of a worker process."""
    end_with_parent()
    # A service manager may send this to all processes; running answers still need this one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # Workers run side by side already: with two threads each, the same selection took three times
    # as long on a busy machine.
    torch.set_num_threads(1)
    try:
        chooser = job.make_chooser()
    except KeyScoreError as error:
        _send(channel, {"error": str(error)})
        return
    _send(channel, {})
    while True:
        asked = json.loads(channel.recv_bytes())
        _send(channel, _answer(chooser, job.parts, asked))


def _answer(chooser: FrameChooser, settings: PartSettings, asked: dict[str, Any]) -> dict[str, Any]:
    """The answer to one message, as plain JSON values."""
    request = FrameRequest(**asked["request"])
    try:
        with named(asked["name"]):
            fold = fold_of("images", settings)
            chosen = chooser.choose(asked["video"], request, fold=fold)
        content = parts_of(chosen, "images", settings).content
        return asdict(ChosenParts(content, dict(chosen.selection.seconds)))
    except KeyScoreError as error:
        refused = refused_by(error)
        return {"refusal": {"status": refused.status, "text": str(refused)}}
    except Exception:  # a fault of ours, which the parent raises again
        return {"fault": traceback.format_exc()}


def _send(channel: Connection, message: dict[str, Any]) -> None:
    channel.send_bytes(json.dumps(message).encode())
