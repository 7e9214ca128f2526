"""What a message's element asks for."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import Guide, SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts.download import DownloadLimits, local_path, open_anywhere
from keyscore_plugin.hosts.pairing import Pair, check_pair
from keyscore_plugin.samplers.base import Sampler, get_sampler, require_sampler
from keyscore_plugin.video.source import VideoInput, VideoSource, open_video

_ALLOWED_BY = "'limits': DownloadLimits(max_bytes=..., max_seconds=...) in the video's element"
_MAKING = ("guide", "encoder", "captioner", "device")
_SAMPLERS_KEPT = 8  # ours: enough for a comparison; each may hold an encoder


class KeyedVideo(str):
    """A path that brings the element's keys along, through a host that passes on only the path.

    Attributes:
        keys: Keys of the element; they go before those that the host gives.

    Example:
        >>> video = KeyedVideo("clip.mp4", {"sampler": "keyscore", "nframes": 8})
        >>> with_own_keys({"type": "video", "video": video, "fps": 2.0})["nframes"]
        8
    """

    keys: Mapping[str, Any]

    def __new__(cls, path: str, keys: Mapping[str, Any]) -> "KeyedVideo":
        """A path and its keys."""
        video = super().__new__(cls, path)
        video.keys = keys
        return video

    def __deepcopy__(self, memo: dict[int, Any]) -> "KeyedVideo":
        """Itself: it does not change, and a sampler in its keys may be large."""
        return self


_OTHER_BUDGETS = ("num_frames", "threshold", "token_budget")  # of keyscore_transformers
_BUDGETS = ("nframes", "fps", "min_frames", "max_frames")  # at most one is allowed


def with_own_keys(element: dict[str, Any]) -> dict[str, Any]:
    """The element with the keys of its `KeyedVideo` put in; itself if its video is no such."""
    video = element.get("video")
    if not isinstance(video, KeyedVideo):
        return element
    return {**{k: v for k, v in element.items() if k not in _BUDGETS}, **video.keys}


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRequest:
    """Our keys of one element.

    Attributes:
        video: Path or URL; a list of frames (image files, Pillow images); or anything else that
            `keyscore_plugin.open_video` takes.
        sampler: The sampler, made or taken from an earlier call.
        caption: A sentence about the video.
        question: A question to score with.
        pair: What the frames of one visual token are.
        decoder: See `keyscore_plugin.open_video`.
        limits: What a URL may cost; None refuses URLs.
        sample_fps: Frames per second of a list.
    """

    video: VideoInput
    sampler: Sampler
    caption: str | None = None
    question: str | None = None
    pair: Pair = "duplicate"
    decoder: str = "auto"
    limits: DownloadLimits | None = None
    sample_fps: float | None = None

    @classmethod
    def from_element(cls, element: Mapping[str, Any]) -> "VideoRequest":
        """Read our keys.

        Raises:
            InputError: A key cannot be used, or a text is missing.
        """
        if other := next((name for name in _OTHER_BUDGETS if name in element), None):
            raise InputError(
                f"{other}={element[other]} is not read by qwen-vl-utils; "
                "its name for the number of frames is nframes"
            )
        pair = element.get("pair", "duplicate")
        check_pair(pair)
        request = cls(
            video=element["video"],
            sampler=_sampler(element),
            caption=element.get("caption"),
            question=element.get("question"),
            pair=pair,
            decoder=element.get("decoder", "auto"),
            limits=element.get("limits"),
            sample_fps=element.get("sample_fps"),
        )
        request._check_text()
        return request

    @contextmanager
    def opened(self) -> Iterator[VideoSource]:
        """Open the video, or the list of frames as one."""
        if isinstance(self.video, str):
            with open_anywhere(
                self.video, decoder=self.decoder, limits=self.limits, allowed_by=_ALLOWED_BY
            ) as source:
                yield source
        else:
            with open_video(self._frames(), self.decoder, fps=self.sample_fps) as source:
                yield source

    def _frames(self) -> VideoInput:
        """What is no string; in a list of frames, paths in place of ``file:`` URLs."""
        if not isinstance(self.video, (list, tuple)):
            return self.video
        if self.sample_fps is None:
            raise InputError(
                "the times of a list of frames are unknown; put 'sample_fps', its frames per "
                "second, into the video's element, or give the path of the video"
            )
        return [local_path(frame) if isinstance(frame, str) else frame for frame in self.video]

    def _check_text(self) -> None:
        captioner = getattr(self.sampler, "captioner", None)
        if self.sampler.needs_text and (self.caption, self.question, captioner) == (None,) * 3:
            raise InputError(
                f"sampler={shown(self.sampler.name)} has no text to choose the frames by; put a "
                "'caption' or a 'question' into the video's element, or a 'captioner' ('labels')"
            )


def _sampler(element: Mapping[str, Any]) -> Sampler:
    """The element's sampler; one and the same for the same keys."""
    named = element["sampler"]
    making = {key: element[key] for key in _MAKING if key in element}
    if isinstance(named, str):
        return _made(named, **making)
    if making:
        key = next(iter(making))
        raise InputError(
            f"{shown(key)} is given together with a ready-made sampler, which has its own; "
            "leave it out, or give the sampler's name"
        )
    require_sampler(named)
    sampler: Sampler = named
    return sampler


@lru_cache(maxsize=_SAMPLERS_KEPT)
def _made(
    name: str,
    *,
    guide: Guide = "given",
    encoder: str | Encoder = "auto",
    captioner: str | Captioner | None = None,
    device: str = "auto",
) -> Sampler:
    config = replace(SamplerConfig(), guide=guide)
    return get_sampler(name, config=config, encoder=encoder, captioner=captioner, device=device)


def forget_samplers() -> None:
    """Let go of the samplers that were kept, and of their encoders."""
    _made.cache_clear()
