"""The frames of a video that matter, as parts of a message."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from keyscore_openai.parts import Form, FrameParts, PartSettings, fold_of, parts_of
from keyscore_plugin import Sampler, VideoInput
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import (
    QUERY_RULES,
    DownloadLimits,
    HostProfile,
    HostRequest,
    SamplerPool,
    choose,
)
from keyscore_plugin.types import Join, SubtitleInput, TextInput
from keyscore_serving import FrameRequest, RequestLimits

HOST = HostProfile(
    rule=QUERY_RULES["serving"],
    allowed_by="frames(..., limits=DownloadLimits(max_bytes=..., max_seconds=...))",
    give_text="give frames(...) a 'question' or a 'caption'",
    give_times="give the path of a video",
)
_SETTINGS = PartSettings()


def frames(
    video: VideoInput,
    *,
    question: TextInput | None = None,
    caption: TextInput | None = None,
    join: Join = "all",
    subtitles: SubtitleInput = None,
    with_texts: bool = False,
    num_frames: int = 8,
    sampler: str | Sampler = "keyscore",
    form: Form = "images",
    settings: PartSettings = _SETTINGS,
    limits: DownloadLimits | None = None,
) -> FrameParts:
    """Choose frames of a video, and write them as parts of a message.

    ============  ==============================================  =================================
    form          parts                                           servers
    ============  ==============================================  =================================
    ``"images"``  a text with the time and an image for each      all that take images
                  keyframe
    ``"video"``   one video of JPEG pictures with its metadata    vLLM, from 0.31 on with
                                                                  ``--trust-request-mm-kwargs``
    ``"url"``     the request; the server chooses                 those with a plugin of ours, and
                                                                  ``keyscore proxy``
    ============  ==============================================  =================================

    In Qwen3-VL, ``"images"`` gives the model the same pixels and the same times as its own video
    input does. A ``uuid``, the server's cache key of a part, is never set: with one, a server would
    show the frames of another question.

    Args:
        video: A path, or anything that `keyscore_plugin.open_video` takes; for ``form="url"`` a
            path or a URL that the server can read.
        question: The question that the model will be asked about the video, or a list of them.
        caption: A sentence about the video, or a list; it scores instead of the question.
        join: Join of several texts, see `keyscore_plugin.Sampler`.
        subtitles: Subtitles that score, too, see `keyscore_plugin.Sampler`; not for ``form="url"``.
        with_texts: Whether what is said is written before each frame of the form ``"images"``: the
            lines of the subtitles within a second of it.
        num_frames: The budget of keyframes.
        sampler: A name of `keyscore_plugin.list_samplers`, which is made once and kept, or a
            sampler with an encoder of your choice.
        form: Form of the parts.
        settings: Sizes and format of the pictures.
        limits: Limits of the download of a URL; None refuses URLs, except for ``form="url"``.

    Raises:
        VideoError: The video cannot be read.
        InputError: An argument cannot be used, or no text is given for a sampler that needs one.
        ModelError: The encoder cannot be loaded.
    """
    if with_texts and form != "images":
        raise InputError(f"with_texts=True is for form='images', got {shown(form)}; leave one out")
    if form == "url":
        if subtitles is not None:
            raise InputError(
                f"a URL has no key for subtitles={shown(subtitles)}; leave them out, or give "
                "another form than 'url'"
            )
        texts = {"question": question, "caption": caption, "join": join}
        return _request(video, texts, num_frames, sampler)
    request = HostRequest(
        video=video,
        sampler=sampler,
        num_frames=num_frames,
        question=question,
        caption=caption,
        join=join,
        subtitles=subtitles,
        with_texts=with_texts,
        limits=limits,
    )
    chosen = choose(request, host=HOST, samplers=_samplers(), fold=fold_of(form, settings))
    return parts_of(chosen, form, settings)


def _request(
    video: VideoInput,
    texts: Mapping[str, TextInput | None],
    num_frames: int,
    sampler: str | Sampler,
) -> FrameParts:
    """One video part whose URL asks the server for the frames."""
    if not isinstance(sampler, str):
        raise InputError(
            f"sampler={shown(sampler)} stays on this machine; give the server a name, or another "
            "form than 'url'"
        )
    if not isinstance(video, (str, os.PathLike)):
        raise InputError(
            f"video={shown(video)} has no address that the server could read; give a path or a "
            "URL, or another form than 'url'"
        )
    keys = {**texts, "num_frames": num_frames, "sampler": sampler}
    request = FrameRequest.of(
        {key: value for key, value in keys.items() if value is not None}, RequestLimits()
    )
    address = video if isinstance(video, str) else Path(video).absolute().as_uri()
    return FrameParts(content=[{"type": "video_url", "video_url": {"url": request.url(address)}}])


@cache
def _samplers() -> SamplerPool:
    """Samplers by name, made once per process."""
    return SamplerPool()
