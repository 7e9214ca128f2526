"""Captions of several videos in one generation, although each sampler asks for one caption."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Protocol, TypeVar, runtime_checkable

from keyscore_plugin import Captioner, ClipQuestion, FrameCaptioner
from keyscore_plugin.hosts import require_judge, require_writer
from keyscore_plugin.types import Caption, Frames

T = TypeVar("T")


@runtime_checkable
class BatchCaptioner(Captioner, Protocol):
    """A captioner that is cheaper for many videos at once."""

    def caption_batch(self, videos: Sequence[Frames]) -> list[Caption]:
        """One sentence about each video, in their order."""


class BatchingCaptioner:
    """A captioner that waits until every running job wants its caption, and asks for all at once.

    The jobs take turns: one runs at a time, until it ends or waits for its caption. So what they
    share does not have to be thread-safe.

    Args:
        captioner: Captioner that writes the captions.
    """

    def __init__(self, captioner: BatchCaptioner) -> None:
        self.name = captioner.name
        self._captioner = captioner
        self._one_at_a_time = threading.Lock()
        self._turn = threading.Condition()
        self._running = 0
        self._waiting: list[Frames] = []
        self._round: Future[list[Caption]] = Future()

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Run the jobs and return what each returned, in their order.

        Raises:
            Exception: The error of the first job that failed.
        """
        with self._one_at_a_time, ThreadPoolExecutor(len(jobs), "keyscore") as pool:
            self._running = len(jobs)
            futures = [pool.submit(copy_context().run, self._take_part, job) for job in jobs]
        return [future.result() for future in futures]

    def caption(self, frames: Frames) -> Caption:
        """One sentence about these frames, for a job or for a caller outside of `run`."""
        if self._running == 0:
            return self._captioner.caption(frames)
        mine, seat = self._round, len(self._waiting)
        self._waiting.append(frames)
        self._ask_when_all_wait()
        while not mine.done():
            self._turn.wait()  # lets the next job run
        return mine.result()[seat]

    def caption_each(self, frames: Frames) -> list[str]:
        """One sentence about each of these frames; nothing waits for other videos."""
        if isinstance(self._captioner, FrameCaptioner):
            return self._captioner.caption_each(frames)
        rows = range(len(frames))
        return [self._captioner.caption(frames[row : row + 1]).text for row in rows]

    def judge(self, question: ClipQuestion, *, max_new_tokens: int) -> str:
        """Ask the captioner for clips, if it is a Video-LLM; nothing waits for other videos.

        Raises:
            ModelError: The captioner only writes captions.
        """
        judge = require_judge(self._captioner, asker="kframes")
        return judge.judge(question, max_new_tokens=max_new_tokens)

    def write(self, prompt: str, *, max_new_tokens: int) -> str:
        """The answer to a prompt without a video; nothing waits for other videos.

        Raises:
            ModelError: The captioner only writes captions.
        """
        return require_writer(self._captioner).write(prompt, max_new_tokens=max_new_tokens)

    def _take_part(self, job: Callable[[], T]) -> T:
        with self._turn:
            try:
                return job()
            finally:
                self._running -= 1
                self._ask_when_all_wait()

    def _ask_when_all_wait(self) -> None:
        if not self._waiting or len(self._waiting) < self._running:
            return
        this_round, videos = self._round, self._waiting
        self._round, self._waiting = Future(), []
        with ThreadPoolExecutor(1) as asker:  # keeps an error for every job that waits
            asked = asker.submit(self._captioner.caption_batch, videos)
        if (error := asked.exception()) is not None:
            this_round.set_exception(error)
        else:
            this_round.set_result(asked.result())
        self._turn.notify_all()
