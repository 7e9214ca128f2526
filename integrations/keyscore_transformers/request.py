"""Our keywords, wherever a call of transformers holds them, as a `HostRequest` for each video."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import HostRequest
from keyscore_plugin.types import TimedText

_NESTS = ("processor_kwargs", "videos_kwargs")
_SAMPLING = ("num_frames", "fps", "do_sample_frames", "video_metadata")  # also transformers' own
_STOCK_SAMPLING = ("min_frames", "max_frames", "skip_secs", "initial_shift")  # of one family each
_VIDEO_KEYS = ("video", "url", "path")  # of a content block
# No chat template has these.
_ONLY_OURS = (
    "threshold",
    "token_budget",
    "guide",
    "join",
    "subtitles",
    "with_texts",
    "clip_mode",
    "pair",
    "video_start",
    "video_end",
)
_OURS = ("sampler", "caption", "question", *_ONLY_OURS)
_KEYS = (*_OURS, *_SAMPLING)
_FIELDS = {"video_start": "start_seconds", "video_end": "end_seconds"}  # of `HostRequest`


def names_a_sampler(keywords: Mapping[str, Any]) -> bool:
    """Whether a call has the keyword ``sampler``, even as None."""
    return any("sampler" in level for level in _levels(keywords))


def _levels(keywords: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The keywords of a call, and the keywords nested in them."""
    yield keywords
    for nest in _NESTS:
        if isinstance(keywords.get(nest), Mapping):
            yield from _levels(keywords[nest])


def says_to_sample(keywords: Mapping[str, Any]) -> bool | None:
    """The ``do_sample_frames`` of a call; None if the call does not have this keyword."""
    said = [level["do_sample_frames"] for level in _levels(keywords) if "do_sample_frames" in level]
    return said[0] if said else None


def without_sampler(
    keywords: Mapping[str, Any], *, blocks: Sequence["Block"] = ()
) -> dict[str, Any]:
    """The keywords of a call without a sampler, as transformers gets them.

    Args:
        keywords: Keywords of the call.
        blocks: Content block of each video.

    Raises:
        InputError: A keyword is given that only a sampler reads; transformers would ignore it.
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
    """The keywords without ours; those that transformers takes too are kept."""
    return {
        key: without_ours(value) if key in _NESTS and isinstance(value, Mapping) else value
        for key, value in keywords.items()
        if key not in _OURS
    }


def sort_keywords(keywords: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Take out our keywords: flat, in ``processor_kwargs``, in ``videos_kwargs``, or in both.

    Returns:
        Our keywords by name, with those by which transformers samples; and the other keywords.

    Raises:
        InputError: A keyword is given in two places.
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
    """Refuse bounds of the processor's own sampling: they would not count for a sampler.

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
    """Refuse the sound of a video, which Omni models interleave with evenly spaced frames.

    Raises:
        InputError: The call asks for the sound.
    """
    nested = keywords.get("videos_kwargs") or {}
    for name in ("load_audio_from_video", "use_audio_in_video"):
        if keywords.get(name) or nested.get(name):
            raise InputError(
                f"{name}=True needs evenly spaced frames, and a sampler chooses others; "
                "leave one of them out, or give the sound as a separate audio"
            )


def requests_for(
    ours: Mapping[str, Any], videos: Sequence[Any], *, blocks: Sequence["Block"] = ()
) -> list[HostRequest]:
    """The request for each video: the keywords of its content block, else those of the call.

    Args:
        ours: Keywords of the call; a list or tuple of samplers, captions or questions holds one
            for each video. Several texts of one video are a list inside of it, or the list itself
            if the call has no other video.
        videos: Videos of the call.
        blocks: Content block of each video, if there are messages.

    Raises:
        InputError: A keyword cannot be used, or a video has no sampler.
    """
    requests, n_videos = [], len(videos)
    for i, video in enumerate(videos):
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
        fields = {_FIELDS.get(name, name): value for name, value in own.items()}
        requests.append(HostRequest(video=video, **fields))
    return requests


def _of_video(name: str, value: Any, i: int, n_videos: int) -> Any:
    """The value for one video, if the call gives a list with one for each."""
    if name in ("sampler", "caption", "question", "video_metadata") and isinstance(
        value, (list, tuple)
    ):
        flat = [v for part in value for v in (part if isinstance(part, (list, tuple)) else [part])]
        is_text = name in ("caption", "question")
        if is_text and len(flat) != n_videos and len(value) == n_videos:
            return value[i]
        if is_text and n_videos == 1:
            return flat
        if len(flat) != n_videos:
            raise InputError(
                f"{name} has {len(flat)} entries for {n_videos} videos; give one for each video"
            )
        return flat[i]
    return value


@dataclass(frozen=True, slots=True)
class Block:
    """A video in the messages.

    Attributes:
        video: Video that the block names.
        keywords: Our keywords in the block.
        user_text: Text in which the user asks about the video; None if there is no text.
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


def with_lines(conversation: Sequence[Any], lines: Sequence[Sequence[TimedText]]) -> list[Any]:
    """The conversation, or conversations, with what is said in each video as a text before it.

    A processor writes the times of a video's frames itself, if at all, so that no text can come
    between them; each line has its own time.

    Args:
        conversation: Conversation as `video_blocks` takes it.
        lines: Lines of each of its videos, in order.
    """
    left = iter(lines)

    def said_before(block: Any) -> list[Any]:
        is_video = isinstance(block, Mapping) and block.get("type") == "video"
        said = next(left) if is_video and any(key in block for key in _VIDEO_KEYS) else ()
        text = "".join(f"{line}\n" for line in said)
        return [{"type": "text", "text": text}, block] if text else [block]

    def rewritten(message: Any) -> Any:
        if not _blocks(message):
            return message
        content = [part for block in message["content"] for part in said_before(block)]
        return {**message, "content": content}

    if conversation and isinstance(conversation[0], (list, tuple)):
        return [[rewritten(message) for message in messages] for messages in conversation]
    return [rewritten(message) for message in conversation]


def user_text(messages: Sequence[Any], at: int) -> str | None:
    """The text in which the user asks about a video.

    It is the text of the video's own message. If that has none, it is the last text of the user up
    to the next answer, or else the first text after that answer. So once the video was asked about
    and answered, later messages do not change its question.

    Args:
        messages: Conversation.
        at: Position of the message that has the video.

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
