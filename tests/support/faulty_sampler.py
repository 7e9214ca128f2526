"""A sampler that does what the video's name says: answers, fails, crashes, hangs."""

import ctypes
import os
import signal
import time
from dataclasses import replace
from pathlib import Path

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import (
    MemoryEndedError,
    MissingDependencyError,
    ModelError,
    VideoError,
)
from keyscore_plugin.types import (
    Caption,
    Join,
    Selection,
    SubtitleInput,
    TextInput,
    one_text,
    texts_of,
)
from keyscore_plugin.video.source import VideoInput, open_video
from tests.support.selections import SELECTION


class FaultySampler:
    """Answers without a video; see `misbehave` for the names that do something else."""

    name = "faulty"
    needs_text = False

    def __init__(
        self,
        config: SamplerConfig | None = None,
        *,
        encoder: str | Encoder = "auto",
        captioner: str | Captioner | None = None,
        decoder: str = "auto",
        device: str = "auto",
    ) -> None:
        self.config = config or SamplerConfig()
        self.calls: list[str] = []

    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        assert isinstance(video, Path)
        self.calls.append(video.name)
        misbehave(video)
        return replace(
            SELECTION,
            video=str(video),
            sampler=self.name,
            config=self.config.to_dict(),
            num_frames=8 if num_frames is None and threshold is None else num_frames,
            indices=[1, 2],
            pts_seconds=[0.1, 0.2],
            caption=None if caption is None else Caption(str(caption), "given"),
            question=one_text(texts_of(question, "question")),
        )


def misbehave(video: Path) -> None:
    """Do what stands before the first dash of the name."""
    kind, _, rest = video.stem.partition("-")
    if kind == "bad":
        raise VideoError(str(video), "it is\nbroken", "give another")
    if kind == "model":
        raise ModelError("no model")
    if kind == "gpu":
        raise MemoryEndedError("the memory of the device does not hold it")
    if kind == "wait":
        time.sleep(float(rest))
    if kind == "until":
        while len(list(video.parent.iterdir())) < int(rest):
            time.sleep(0.01)
        time.sleep(0.2)  # in which too many would come
    if kind in ("hang", "sign") and video.parent.is_dir():
        video.write_text(str(os.getpid()))
    if kind == "segfault":
        os.kill(os.getpid(), signal.SIGSEGV)
    if kind == "memory":
        os.kill(os.getpid(), signal.SIGKILL)  # as the system does when memory runs out
    if kind == "parent":
        os.kill(os.getppid(), signal.SIGKILL)
    if kind == "exit":
        os._exit(3)
    if kind == "hang":
        ctypes.PyDLL(None).sleep(1000)  # a decoder that never comes back, and holds the GIL


class ThreadCounter(FaultySampler):
    """Says, as an error, how many threads this process starts to decode a video."""

    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        assert isinstance(video, Path)
        before = len(list(Path("/proc/self/task").iterdir()))
        with open_video(video) as source:
            source.read([source.n_frames - 1])
            next(source.thumbnails(range(0, source.n_frames, 2), short_side=32))
            n_started = len(list(Path("/proc/self/task").iterdir())) - before
        raise VideoError(video.name, f"{n_started} threads", "stop counting")


def thread_counter() -> ThreadCounter:
    """Make the counter; a worker can import this."""
    return ThreadCounter()


def faulty() -> FaultySampler:
    """Make the sampler; a worker can import this."""
    return FaultySampler()


def without_model() -> FaultySampler:
    """What happens where the model is missing."""
    raise ModelError("no model here")


def without_package() -> FaultySampler:
    """What happens where the encoder's package is missing."""
    raise MissingDependencyError("open_clip is not installed; install it on every node")


def stillborn() -> FaultySampler:
    """What happens where the model does not fit in memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    return FaultySampler()
