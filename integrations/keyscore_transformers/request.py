"""What a call asks for: our keywords, wherever they stand in a call of transformers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts.pairing import Pair, check_pair
from keyscore_plugin.samplers.base import Sampler
from keyscore_plugin.video.trim import check_part

TextGuide = Literal["caption", "question", "both"]

_NESTS = ("processor_kwargs", "videos_kwargs")
_SAMPLING = ("num_frames", "fps", "do_sample_frames", "video_metadata")  # also transformers' own
_STOCK_SAMPLING = ("min_frames", "max_frames", "skip_secs", "initial_shift")  # of one family each
_VIDEO_KEYS = ("video", "url", "path")  # of a content block


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoRequest:
    """What is asked for one video.

    Attributes:
        sampler: A name or an object.
        num_frames: The budget of keyframes.
        threshold: Instead of a budget, the least score of a keyframe.
        token_budget: Instead of a budget, as many visual tokens as this many uniform frames.
        caption: A sentence about the video.
        question: A question to score with.
        guide: The text that scores; None takes what there is, see `keyscore_transformers.texts`.
        pair: What fills a temporal patch, see `keyscore_plugin.hosts.pairing.pair_frames`.
        video_start: Choose from here on, seconds from the video's first frame.
        video_end: Choose up to here.
        video_metadata: Facts of a video given as an array: ``fps``, perhaps ``frames_indices``.
        user_text: What the user asks about it in the messages.
    """

    sampler: str | Sampler
    num_frames: int | None = None
    threshold: float | None = None
    token_budget: int | None = None
    caption: str | None = None
    question: str | None = None
    guide: TextGuide | None = None
    pair: Pair = "duplicate"
    video_start: float | None = None
    video_end: float | None = None
    video_metadata: Mapping[str, Any] | None = None
    user_text: str | None = None

    def __post_init__(self) -> None:
        check_pair(self.pair)
        check_part(self.video_start, self.video_end)
        budgets = (self.num_frames, self.threshold, self.token_budget)
        if sum(budget is not None for budget in budgets) > 1:
            raise InputError("num_frames, threshold and token_budget exclude each other; give one")
        if self.guide not in (None, "caption", "question", "both"):
            raise InputError(f"guide {shown(self.guide)} is not caption|question|both")


# No chat template has these.
_ONLY_OURS = ("threshold", "token_budget", "guide", "pair", "video_start", "video_end")
_OURS = tuple(f.name for f in fields(VideoRequest) if f.name not in (*_SAMPLING, "user_text"))
_KEYS = (*_OURS, *_SAMPLING)


def names_a_sampler(keywords: Mapping[str, Any]) -> bool:
    """Whether a call says anything about a sampler, be it None."""
    return any("sampler" in level for level in _levels(keywords))


def _levels(keywords: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The keywords of a call, and those nested in them."""
    yield keywords
    for nest in _NESTS:
        if isinstance(keywords.get(nest), Mapping):
            yield from _levels(keywords[nest])


def says_to_sample(keywords: Mapping[str, Any]) -> bool | None:
    """What a call says of ``do_sample_frames``; None if nothing."""
    said = [level["do_sample_frames"] for level in _levels(keywords) if "do_sample_frames" in level]
    return said[0] if said else None


def without_sampler(
    keywords: Mapping[str, Any], *, blocks: Sequence["Block"] = ()
) -> dict[str, Any]:
    """A call for none of our samplers, as transformers gets it.

    Args:
        keywords: Of the call.
        blocks: The content block of each video.

    Raises:
        InputError: Something that only a sampler reads is asked for; transformers passes over it.
    """
    if names_a_sampler(keywords):
        return without_ours(keywords)
    for level in (*_levels(keywords), *(block.keywords for block in blocks)):
        if lone := next((name for name in _ONLY_OURS if level.get(name) is not None), None):
            raise InputError(
                f"{lone} is for a sampler, and the call names no sampler; add sampler=... "
                "('uniform' for even frames), or leave it out"
            )
    return dict(keywords)


def without_ours(keywords: Mapping[str, Any]) -> dict[str, Any]:
    """The call as if we were not there; what transformers knows as well stays where it is."""
    return {
        key: without_ours(value) if key in _NESTS and isinstance(value, Mapping) else value
        for key, value in keywords.items()
        if key not in _OURS
    }


def sort_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Find our keywords: flat, in ``processor_kwargs``, in ``videos_kwargs``, or in both nested.

    Returns:
        Ours by name, with those that say how transformers should sample; and the call without them.

    Raises:
        InputError: One is given in two places.
    """
    ours: dict[str, Any] = {}

    def lift(level: Mapping[str, Any]) -> dict[str, Any]:
        rest = {}
        for key, value in level.items():
            if key in _KEYS and key in ours:
                raise InputError(f"{key} is given twice, flat and nested; give it once")
            if key in _KEYS:
                ours[key] = value
            elif key in _NESTS and isinstance(value, Mapping):
                inner = lift(value)
                if inner or not value:  # an emptied nest is left out: some versions know none
                    rest[key] = inner
            else:
                rest[key] = value
        return rest

    rest = lift(keywords)
    return ours, rest


def refuse_stock_sampling(keywords: Mapping[str, Any]) -> None:
    """What bounds the processor's own sampling would be passed over where a sampler chooses.

    Raises:
        InputError: The call has such a keyword.
    """
    for level in _levels(keywords):
        if name := next((name for name in _STOCK_SAMPLING if level.get(name) is not None), None):
            raise InputError(
                f"{name} is for the processor's own sampling, and a sampler spends a budget; give "
                "num_frames, token_budget or threshold instead, or sampler=None"
            )


def refuse_audio_of_videos(keywords: Mapping[str, Any]) -> None:
    """Omni models weave the sound of a video between frames that they take to be evenly spaced.

    Raises:
        InputError: The call asks for that.
    """
    nested = keywords.get("videos_kwargs") or {}
    for name in ("load_audio_from_video", "use_audio_in_video"):
        if keywords.get(name) or nested.get(name):
            raise InputError(
                f"{name}=True needs evenly spaced frames, and a sampler chooses others; "
                "leave one of them out, or give the sound as an audio of its own"
            )


def requests_for(
    ours: Mapping[str, Any], n_videos: int, *, blocks: Sequence["Block"] = ()
) -> list[VideoRequest]:
    """One request a video: the call's keywords, and over them those of the video's own block.

    Args:
        ours: Keywords of the call; a list or tuple of samplers, captions or questions is one a
            video.
        n_videos: Videos of the call.
        blocks: The content block of each video; none, or one a video.

    Raises:
        InputError: A keyword cannot be used, or a video is left without a sampler.
    """
    requests = []
    for i in range(n_videos):
        own = {name: _of_video(name, value, i, n_videos) for name, value in ours.items()}
        if blocks:
            own |= {**blocks[i].keywords, "user_text": blocks[i].user_text}
        if own.get("sampler") is None:
            raise InputError(
                f"video {i + 1} of {n_videos} has no sampler and another one has; give each one a "
                "sampler ('uniform' for even frames), or none"
            )
        if own.pop("fps", None) is not None:
            raise InputError(
                "fps is a rate, and a sampler spends a budget; give num_frames, token_budget or "
                "threshold instead of fps, or sampler=None for the processor's own sampling"
            )
        if own.pop("do_sample_frames", None) is False:
            raise InputError(
                "do_sample_frames=False keeps every frame, and a sampler chooses some; "
                "leave one of them out"
            )
        requests.append(VideoRequest(**own))
    return requests


def _of_video(name: str, value: Any, i: int, n_videos: int) -> Any:
    """The value of one video, where the call gives one a video."""
    if name in ("sampler", "caption", "question", "video_metadata") and isinstance(
        value, (list, tuple)
    ):
        flat = [v for part in value for v in (part if isinstance(part, (list, tuple)) else [part])]
        if len(flat) != n_videos:
            raise InputError(f"{name} has {len(flat)} entries for {n_videos} videos")
        return flat[i]
    return value


@dataclass(frozen=True, slots=True)
class Block:
    """A video in the messages.

    Attributes:
        video: What the block names as the video.
        keywords: Our keywords in the block.
        user_text: What the user asks about it in its conversation.
    """

    video: Any
    keywords: Mapping[str, Any]
    user_text: str | None


def video_blocks(conversation: Sequence[Any]) -> list[Block]:
    """The videos of one conversation or of several, in the order transformers reads them."""
    batched = bool(conversation) and isinstance(conversation[0], (list, tuple))
    return [
        Block(
            block[key],
            {name: block[name] for name in _KEYS if name in block},
            user_text(messages, at),
        )
        for messages in (conversation if batched else [conversation])
        for at, message in enumerate(messages)
        for block in _blocks(message)
        if block.get("type") == "video"
        for key in _VIDEO_KEYS
        if key in block
    ]


def user_text(messages: Sequence[Any], at: int) -> str | None:
    """What the user asks about a video; an answer that follows settles it for the rest of the chat.

    It is the text of the video's own message. Where that has none, it is the last text of the user
    up to the next answer, or else the first after it.

    Args:
        messages: A conversation.
        at: Place of the message that has the video.

    Example:
        >>> asked, answered = [{"role": "user", "content": "Who wins?"}, {"role": "assistant"}]
        >>> user_text([asked, answered, {"role": "user", "content": "And why?"}], 0)
        'Who wins?'
    """
    roles = [message.get("role") if isinstance(message, Mapping) else None for message in messages]
    answer = roles.index("assistant", at) if "assistant" in roles[at:] else len(roles)
    for place in (at, *reversed(range(answer)), *range(answer, len(roles))):
        if roles[place] == "user" and (text := _text(messages[place])):
            return text
    return None


def _text(message: Mapping[str, Any]) -> str:
    texts = [message.get("content"), *(block.get("text") for block in _blocks(message))]
    return "\n".join(text for text in texts if isinstance(text, str)).strip()


def _blocks(message: Any) -> list[Mapping[str, Any]]:
    """The content blocks of a message."""
    content = message.get("content") if isinstance(message, Mapping) else None
    blocks = content if isinstance(content, (list, tuple)) else []
    return [block for block in blocks if isinstance(block, Mapping)]
