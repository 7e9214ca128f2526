"""What a client asks for one video, and the URL in which the request travels."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode

from keyscore_plugin import list_samplers
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import Pair, check_pair, unknown
from keyscore_plugin.types import Join, check_join, texts_of

SCHEME = "keyscore:"
TEXT_KEYS = ("question", "caption")
CLIENT_KEYS = ("sampler", "num_frames", *TEXT_KEYS, "join", "pair")
SERVER_KEYS = ("encoder", "captioner", "config", "decoder", "device", "index", "limits")
# Arguments of other hosts. A client that gives one with a sampler must not be ignored.
OTHER_KEYS = ("clip_mode", "guide", "subtitles", "threshold", "token_budget", "with_texts")
_FORM = "keyscore:sampler=NAME&num_frames=K&question=TEXT;URL"
_MOST_DIGITS = 9  # of a number of frames


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Upper bounds of a client's request, set by the server.

    Attributes:
        max_frames: Largest number of keyframes of one video.
        max_characters: Largest number of characters of all questions, and of all captions.
        max_texts: Largest number of questions, and of captions.

    Raises:
        InputError: A bound is below 1.
    """

    max_frames: int = 256  # ours: at 64 tokens a frame, half of a context of 32,768 tokens
    max_characters: int = 20_000  # ours: encoders read fewer words; it bounds the URL
    max_texts: int = 32  # ours: each of them is encoded

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if value < 1:
                raise InputError(f"{name} must be a whole number >= 1, got {shown(value)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameRequest:
    """What a client asks for one video.

    Attributes:
        sampler: A name of `keyscore_plugin.list_samplers`.
        num_frames: The budget of keyframes.
        question: The question that the model will be asked about the video, or several.
        caption: A sentence about the video, or several.
        join: Join of several texts of one kind, see `keyscore_plugin.Sampler`.
        pair: Filling of a temporal patch, see `keyscore_plugin.hosts.pairing.pair_frames`.
    """

    sampler: str
    num_frames: int = 8
    question: str | tuple[str, ...] | None = None
    caption: str | tuple[str, ...] | None = None
    join: Join = "all"
    pair: Pair = "duplicate"

    @classmethod
    def of(cls, given: Mapping[str, object], limits: RequestLimits) -> "FrameRequest":
        """The request that a client's keys describe.

        Args:
            given: Keys with strings, as a URL has them, or with JSON values; several texts of one
                kind are a list.
            limits: Upper bounds of the server.

        Raises:
            InputError: A key is unknown or not the client's to choose, a value cannot be used, or
                the sampler is missing.
        """
        for key in given:
            if key in SERVER_KEYS:
                raise InputError(f"{shown(key)} is chosen by the server; leave it out")
            if key not in CLIENT_KEYS:
                raise InputError(unknown("key", key, CLIENT_KEYS))
        if "sampler" not in given:
            raise InputError(
                f"{shown(next(iter(given), ''))} is given without a sampler, and only a sampler "
                "reads it; add 'sampler': 'keyscore', or leave it out"
            )
        known = list_samplers()
        if given["sampler"] not in known:
            raise InputError(unknown("sampler", given["sampler"], known))
        made: dict[str, Any] = dict(given)
        if "pair" in made:
            check_pair(made["pair"])
        if "num_frames" in made:
            made["num_frames"] = _budget(made["num_frames"], limits.max_frames)
        if "join" in made:
            check_join(made["join"])
        for key in TEXT_KEYS:
            if key in made:
                made[key] = _texts(key, made[key], limits)
        return cls(**made)

    def url(self, video: str) -> str:
        """The URL that asks a server for these frames of a video.

        Several texts of one kind repeat their key.

        Args:
            video: Address of the video, as the server's host takes it.

        Example:
            >>> FrameRequest(sampler="topk", num_frames=4, question="a goal?").url("file:///a.mp4")
            'keyscore:sampler=topk&num_frames=4&question=a+goal%3F&pair=duplicate;file:///a.mp4'
        """
        keys = {key: value for key, value in asdict(self).items() if value is not None}
        if self.join == "all":  # one text is not joined
            del keys["join"]
        return f"{SCHEME}{urlencode(keys, doseq=True)};{video}"

    def digest(self) -> str:
        """Sixteen hexadecimal digits that differ for requests that differ."""
        return hashlib.sha256(self.url("").encode()).hexdigest()[:16]


def split_url(url: str) -> tuple[dict[str, str | list[str]], str] | None:
    """The keys of a ``keyscore:`` URL and the address of its video; None for any other URL.

    Texts whose key is repeated are a list.

    Example:
        >>> split_url("keyscore:sampler=topk&question=a+dog%3F;https://host/a.mp4")
        ({'sampler': 'topk', 'question': 'a dog?'}, 'https://host/a.mp4')

    Raises:
        InputError: The URL has no semicolon or no video, or its keys are not readable.
    """
    if not is_request_url(url):
        return None
    query, semicolon, video = url[len(SCHEME) :].partition(";")
    if not semicolon or not video or is_request_url(video):
        raise InputError(f"a URL that begins with {SCHEME} has the form {_FORM}; got {shown(url)}")
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise InputError(
            f"the keys of {shown(url)} are not readable; the form is {_FORM}, percent-encoded"
        ) from error
    given: dict[str, list[str]] = {}
    for key, value in pairs:
        given.setdefault(key, []).append(value)
    if any(len(values) > 1 for key, values in given.items() if key not in TEXT_KEYS):
        raise InputError(
            f"{shown(url)} gives a key twice; only {' and '.join(TEXT_KEYS)} may be repeated"
        )
    return {key: values if len(values) > 1 else values[0] for key, values in given.items()}, video


def is_request_url(url: object) -> bool:
    """Whether this is a URL that asks for chosen frames; hosts also pass on what is no text."""
    return isinstance(url, str) and url[: len(SCHEME)].lower() == SCHEME


def _budget(given: object, most: int) -> int:
    if isinstance(given, str) and given.isascii() and given.isdecimal():
        given = int(given[: _MOST_DIGITS + 1])
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= most:
        raise InputError(
            f"num_frames must be a whole number from 1 to {most}, got {shown(given)}; the upper "
            "bound is the server's"
        )
    return given


def _texts(key: str, given: Any, limits: RequestLimits) -> str | tuple[str, ...]:
    """The text that a client gives, or its several texts."""
    texts = texts_of(given, key)
    if not texts:
        raise InputError(f"the {key} is null; give a text or a list of texts, or leave it out")
    if len(texts) > limits.max_texts:
        raise InputError(
            f"there are {len(texts):,} texts in {key}, and the server takes {limits.max_texts}; "
            "give fewer"
        )
    n_characters = sum(map(len, texts))
    if n_characters > limits.max_characters:
        raise InputError(
            f"the {key} has {n_characters:,} characters, and the server takes "
            f"{limits.max_characters:,}; give a shorter 'question' or 'caption' with the video"
        )
    try:
        "".join(texts).encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"the {key} holds half of a surrogate pair ({shown(given)}), which is no text; "
            "give Unicode text"
        ) from error
    return texts[0] if len(texts) == 1 else texts
