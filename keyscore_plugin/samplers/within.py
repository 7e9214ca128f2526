"""A sampler that chooses from a part of each video."""

import time
from contextlib import ExitStack
from dataclasses import replace

from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.index.video_index import recalled_frames
from keyscore_plugin.samplers.base import Sampler, text_keywords
from keyscore_plugin.types import Join, Selection, SubtitleInput, TextInput
from keyscore_plugin.video.source import VideoInput, open_video
from keyscore_plugin.video.trim import TrimmedVideo, check_part


def within(
    sampler: Sampler, *, start_seconds: float | None = None, end_seconds: float | None = None
) -> Sampler:
    """Restrict a sampler to a part of each video.

    Args:
        sampler: Any sampler.
        start_seconds: Start of the part, in seconds from the video's first frame: frames that begin
            there or later may be chosen. None means the video's start.
        end_seconds: End of the part: frames that begin there or earlier may be chosen. None means
            the video's end.

    Returns:
        A sampler whose selections name the frames by their places in the whole video; the same
        sampler if neither bound is given.

    Raises:
        InputError: A bound is not a time, or the bounds are reversed.
    """
    if start_seconds is None and end_seconds is None:
        return sampler
    return _PartSampler(sampler, start_seconds, end_seconds)


class _PartSampler:
    def __init__(
        self, sampler: Sampler, start_seconds: float | None, end_seconds: float | None
    ) -> None:
        check_part(start_seconds, end_seconds)
        self.name = sampler.name
        self.needs_text = sampler.needs_text
        self._sampler = sampler
        self._bounds = start_seconds, end_seconds

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
        start = time.perf_counter()
        with ExitStack() as stack:
            config = getattr(self._sampler, "config", None)
            index = config.index if isinstance(config, SamplerConfig) else None
            with recalled_frames(video, index):
                source = open_video(
                    video, decoder=getattr(self._sampler, "decoder", "auto"), fps=fps
                )
            if source is not video:
                stack.enter_context(source)
            part = TrimmedVideo.between(source, *self._bounds)
            opening_seconds = time.perf_counter() - start
            selection = self._sampler(
                part,
                num_frames=num_frames,
                threshold=threshold,
                caption=caption,
                question=question,
                **text_keywords(join, subtitles),
            )
        seconds = dict(selection.seconds)
        for stage in ("decode", "total"):
            seconds[stage] = seconds.get(stage, 0.0) + opening_seconds
        return replace(part.of_whole(selection), seconds=seconds)
