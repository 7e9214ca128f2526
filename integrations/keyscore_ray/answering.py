"""One line of a batch in an actor: download, then choose in another process within a time limit."""

import base64
import io
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any
from weakref import finalize

from PIL import Image

from keyscore_plugin import open_video
from keyscore_plugin.errors import InputError, VideoError, one_line
from keyscore_plugin.hosts import (
    Budget,
    DownloadLimits,
    Item,
    Job,
    OneWorker,
    Record,
    answer,
    error_record,
)
from keyscore_ray.fetch import is_address, local_copy

JPEG = "jpeg"  # key of a record with the chosen frames, each a JPEG in base64
_MOST_ADDRESS = 160  # ours: characters in an error, as of a path
_QUALITY = 95  # of Pillow's JPEG; ours, as visually lossless


class Answerer:
    """Answers lines in a worker process that loads its models once.

    A video on which a decoder hangs or crashes costs its own line: the process is replaced. It ends
    with this object.

    Args:
        make_sampler: Function that makes the sampler and loads its models.
        budget: Number of frames or threshold for each video.
        limit_seconds: Time limit for one video, once the models are loaded.
        limits: Limits of the download of a video at an fsspec address.
        with_frames: Whether the records hold the chosen frames as JPEG.
    """

    def __init__(
        self,
        make_sampler: Callable[[], Any],
        budget: Budget,
        *,
        limit_seconds: float,
        limits: DownloadLimits,
        with_frames: bool = False,
    ) -> None:
        self._limits = limits
        job = Job(make_sampler, budget, answer_with_frames if with_frames else answer)
        self._worker = OneWorker(job, limit_seconds=limit_seconds)
        finalize(self, self._worker.close)

    def __call__(self, item: Item) -> Record:
        """Answer one line: return its selection, or the error that prevented one.

        Raises:
            KeyScoreError: No line can be answered, since a package or a model is missing.
        """
        with ExitStack() as stack:
            if is_address(item.video):
                try:
                    path = stack.enter_context(local_copy(item.video, self._limits))
                except (VideoError, InputError) as error:
                    return error_record(item, error)
                record = self._worker.answer(replace(item, path=path))
                if "error" in record:
                    address = one_line(item.video, most=_MOST_ADDRESS)
                    record["error"] = one_line(record["error"].replace(str(path), address))
                return record
            return self._worker.answer(item)


def answer_with_frames(item: Item, sampler: Any, budget: Budget) -> Record:
    """Answer one line, with the chosen frames at full size under the key `JPEG`."""
    record = answer(item, sampler, budget)
    if "error" in record:
        return record
    try:
        with open_video(item.path, record["decoder"]) as video:
            pixels = video.read(record["indices"]).pixels.numpy()
    except VideoError as error:
        return error_record(item, error)
    return {**record, JPEG: [_as_jpeg(frame) for frame in pixels]}


def _as_jpeg(pixels: Any) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="JPEG", quality=_QUALITY)
    return base64.b64encode(content.getvalue()).decode("ascii")


def sampler_maker(name: str, **settings: Any) -> Callable[[], Any]:
    """A function that makes a sampler and loads its models, for another process to call."""
    return partial(_made, name, settings)


def _made(name: str, settings: dict[str, Any]) -> Any:
    from keyscore_plugin import get_sampler

    return get_sampler(name, **settings)
