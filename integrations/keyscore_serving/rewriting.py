"""A chat request whose keys for chosen frames are turned into ``keyscore:`` URLs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyscore_plugin.errors import InputError
from keyscore_serving.request import (
    CLIENT_KEYS,
    OTHER_KEYS,
    SERVER_KEYS,
    FrameRequest,
    RequestLimits,
    split_url,
)
from keyscore_serving.sources import is_pictures

_PART_KEYS = ("type", "video_url", "uuid")  # what hosts read of a video's part
# Arguments of hosts by which a client samples frames itself, and where vLLM and SGLang take them.
_SAMPLING_KEYS = frozenset(
    ("do_sample_frames", "fps", "frames_indices", "max_frames", "min_frames", "num_frames")
)
_SAMPLING_PLACES = ("media_io_kwargs", "mm_processor_kwargs")
_SIGNS = (b'"video_url"', b'"sampler"')  # a body that holds neither asks nothing of us


def rewrite_json(
    body: bytes, *, limits: RequestLimits, default: Mapping[str, Any] | None = None
) -> bytes | None:
    """`rewrite` for the body of an HTTP request.

    Returns:
        The new body; None if the old one stays, byte for byte. What is not JSON, or not the form
        of a chat, stays too, so that the host says what is wrong with it.

    Raises:
        InputError: The request for frames cannot be met.
    """
    chat = chat_of(body)
    rewritten = None if chat is None else rewrite(chat, limits=limits, default=default)
    return None if rewritten is None else json.dumps(rewritten).encode()


def chat_of(body: bytes | bytearray) -> dict[str, Any] | None:
    """The chat request in a body; None if it is none, or has neither a video nor a sampler."""
    if not any(sign in body for sign in _SIGNS):
        return None
    try:
        chat = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return chat if isinstance(chat, dict) else None


def rewrite(
    chat: Mapping[str, Any], *, limits: RequestLimits, default: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The chat request with one ``keyscore:`` URL for each video that frames are chosen of.

    The keys may be given in the request, for all its videos, in the part of one video, or in its
    URL; the closest one counts. If no text is given for a video, the text of its message is the
    question, or the next user's text if that message has none. The last text of the chat would
    choose other frames in each turn, so that neither the answer given before nor the host's prefix
    cache would fit the frames.

    The default counts for whole videos of clients that leave the choice to the server: not for
    lists of pictures, not for a part with keys of the host, and not in a request that gives the
    host arguments for its sampling.

    A client's ``uuid``, the host's cache key of a video, is extended by the request: hosts take
    equal ones for equal frames.

    Args:
        chat: Body of a chat request, as OpenAI's API defines it.
        limits: Upper bounds of the server.
        default: Keys for clients that give none; None chooses only where a client asks for it.

    Returns:
        The new body; None if no frames are chosen. ``chat`` is not changed.

    Raises:
        InputError: A key is unknown, a value cannot be used, a budget comes without a sampler, or
            a sampler comes without a video.
    """
    messages = chat.get("messages")
    if not isinstance(messages, list):
        return None
    names = (*CLIENT_KEYS, *SERVER_KEYS, *OTHER_KEYS) if "sampler" in chat else CLIENT_KEYS
    shared = {name: chat[name] for name in names if name in chat}
    questions = _questions(messages)
    rewriting = _Rewriting(shared, {} if _samples_itself(chat) else default or {}, limits)
    rewritten = [
        rewriting.message(message, question)
        for message, question in zip(messages, questions, strict=True)
    ]
    if "sampler" in chat and not rewriting.n_videos:
        raise InputError(
            "a sampler is given, and no message has a video to choose from; add a part of the type "
            "'video_url', or leave 'sampler' out"
        )
    if not rewriting.n_chosen:
        return None
    rest = {key: value for key, value in chat.items() if key not in shared}
    return {**rest, "messages": rewritten}


@dataclass(slots=True)
class _Rewriting:
    """The rewriting of one chat, which counts its videos."""

    shared: Mapping[str, Any]
    default: Mapping[str, Any]
    limits: RequestLimits
    n_videos: int = 0
    n_chosen: int = 0

    def message(self, message: Any, question: str | None) -> Any:
        """The message with its videos rewritten; what is no message stays as it is."""
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            return message
        return {**message, "content": [self.part(part, question) for part in content]}

    def part(self, part: Any, question: str | None) -> Any:
        """The part with its URL rewritten, if it is a video that frames are chosen of."""
        place = part.get("video_url") if isinstance(part, dict) else None
        place = {"url": place} if isinstance(place, str) else place
        if not isinstance(place, dict) or not isinstance(place.get("url"), str):
            return part
        self.n_videos += 1
        in_url = split_url(place["url"])
        keys, video = in_url or ({}, place["url"])
        own = {key: value for key, value in place.items() if key != "url"}
        own |= {key: value for key, value in part.items() if key not in _PART_KEYS}
        given = {**self.shared, **own, **keys}
        asks = any(key in given for key in CLIENT_KEYS)
        if not asks and (not self.default or own or is_pictures(video)):
            return part
        given = {**self.default, **given}
        if question is not None and "question" not in given and "caption" not in given:
            given["question"] = question
        request = FrameRequest.of(given, self.limits)
        self.n_chosen += 1
        made = {"type": "video_url", "video_url": {"url": request.url(video)}}
        if part.get("uuid") is not None:
            made["uuid"] = f"{part['uuid']}-{request.digest()}"
        return made


def _samples_itself(chat: Mapping[str, Any]) -> bool:
    """Whether a client gives the host arguments by which it samples frames of its choice."""
    given = [chat[name] for name in _SAMPLING_PLACES if isinstance(chat.get(name), dict)]
    by_kind = [value for place in given for value in place.values() if isinstance(value, dict)]
    return any(not _SAMPLING_KEYS.isdisjoint(place) for place in (*given, *by_kind))


def _questions(messages: Sequence[Any]) -> list[str | None]:
    """The text that each message's videos are asked by, see `rewrite`."""
    questions: list[str | None] = []
    following: str | None = None
    for message in reversed(messages):
        text = _text(message)
        if isinstance(message, dict) and message.get("role") == "user":
            following = text or following
        questions.append(text or following)
    return questions[::-1]


def _text(message: Any) -> str | None:
    """The text of a message, its parts joined; None if it has none."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content.strip() or None
    if not isinstance(content, list):
        return None
    texts = (
        part["text"].strip()
        for part in content
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    )
    return " ".join(text for text in texts if text) or None
