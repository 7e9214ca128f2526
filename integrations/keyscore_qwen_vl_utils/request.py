"""A message's element as a `HostRequest`, and the samplers that elements name."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from keyscore_plugin import Captioner, Encoder, SamplerConfig
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import (
    QUERY_RULES,
    HostProfile,
    HostRequest,
    SamplerPool,
    own_guide,
    require_sampler,
    split_frames,
)

HOST = HostProfile(
    rule=QUERY_RULES["qwen-vl-utils"],
    allowed_by="'limits': DownloadLimits(max_bytes=..., max_seconds=...) in the video's element",
    give_text="put a 'caption' or a 'question' into the video's element",
    make_text="a 'captioner' ('labels')",
    give_times="put 'sample_fps', its frames per second, into the video's element, or give the "
    "path of the video",
)
_MAKING = ("guide", "encoder", "captioner", "device", "index")
_SAMPLERS_KEPT = 8  # ours: enough for a comparison; each may hold an encoder


class KeyedVideo(str):
    """A path that carries the element's keys through a host that passes on only the path.

    Attributes:
        keys: Keys of the element; they replace those that the host gives.

    Example:
        >>> video = KeyedVideo("clip.mp4", {"sampler": "keyscore", "nframes": 8})
        >>> with_own_keys({"type": "video", "video": video, "fps": 2.0})["nframes"]
        8
    """

    keys: Mapping[str, Any]

    def __new__(cls, path: str, keys: Mapping[str, Any]) -> "KeyedVideo":
        """Make the path with its keys."""
        video = super().__new__(cls, path)
        video.keys = keys
        return video

    def __deepcopy__(self, memo: dict[int, Any]) -> "KeyedVideo":
        """The same object: it does not change, and a sampler in its keys may be large."""
        return self


_OTHER_BUDGETS = ("num_frames", "threshold", "token_budget")  # of keyscore_transformers
_BUDGETS = ("nframes", "fps", "min_frames", "max_frames")  # qwen-vl-utils allows one at most


def with_own_keys(element: dict[str, Any]) -> dict[str, Any]:
    """The element with the keys of its `KeyedVideo`, and with the frames that its address names.

    Raises:
        InputError: The address names no rising frames, or the element has a sampler too.
    """
    video = element.get("video")
    if isinstance(video, KeyedVideo):
        element = {**{k: v for k, v in element.items() if k not in _BUDGETS}, **video.keys}
        video = element.get("video")
    if not isinstance(video, str):
        return element
    address, given = split_frames(video)
    if given is None:
        return element
    if element.get("sampler") is not None:
        raise InputError(
            f"{shown(video)} names its frames, and the element names the sampler "
            f"{shown(element['sampler'])}; leave one of them out"
        )
    return {**element, "video": address, "sampler": given}


def request_of(element: Mapping[str, Any]) -> HostRequest:
    """What an element asks for; the number of frames follows once the video is open.

    Raises:
        InputError: A key cannot be used.
    """
    if other := next((name for name in _OTHER_BUDGETS if name in element), None):
        raise InputError(
            f"{other}={element[other]} is not read by qwen-vl-utils; "
            "its name for the number of frames is nframes"
        )
    sampler, guide = element["sampler"], element.get("guide")
    if not isinstance(sampler, str):
        if key := next((key for key in _MAKING if key in element), None):
            raise InputError(
                f"{shown(key)} is given together with a ready-made sampler, which has its own, or "
                "with #frames=, which need none; leave it out, or give a sampler's name"
            )
        require_sampler(sampler)
        guide = own_guide(sampler)
    return HostRequest(
        video=element["video"],
        sampler=sampler,
        guide=guide,
        clip_mode=element.get("clip_mode"),
        caption=element.get("caption"),
        question=element.get("question"),
        join=element.get("join", "all"),
        subtitles=element.get("subtitles"),
        pair=element.get("pair", "duplicate"),
        start_seconds=element.get("video_start"),
        end_seconds=element.get("video_end"),
        fps=element.get("sample_fps"),
        decoder=element.get("decoder", "auto"),
        limits=element.get("limits"),
    )


def samplers_of(element: Mapping[str, Any]) -> SamplerPool:
    """The pool that has the sampler an element names; one and the same for the same keys."""
    if not isinstance(element["sampler"], str):
        return SamplerPool()
    making = {key: element[key] for key in _MAKING if key in element and key != "guide"}
    return _pool(element["sampler"], **making)


@lru_cache(maxsize=_SAMPLERS_KEPT)
def _pool(
    name: str,
    *,
    encoder: str | Encoder = "auto",
    captioner: str | Captioner | None = None,
    device: str = "auto",
    index: str | bool | None = None,
) -> SamplerPool:
    """A pool for one sampler, so that the cache bounds the number of samplers."""
    config = SamplerConfig().with_index(index)
    return SamplerPool(encoder=encoder, captioner=captioner, config=config, device=device)


def forget_samplers() -> None:
    """Drop the samplers that were kept, and their encoders."""
    _pool.cache_clear()
