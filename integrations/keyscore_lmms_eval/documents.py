"""What a request of lmms-eval shows of its document: videos and a question, never the document."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

# By these lmms-eval tells a path's kind; every other file is a video to it.
_IMAGES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tiff", ".webp")
_SOUNDS = (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus")


@dataclass(frozen=True, slots=True)
class VideoSpan:
    """A video file, or a part of it.

    Attributes:
        path: As the task names it.
        start_seconds: Where the part begins, None at the beginning.
        end_seconds: Where it ends, None at the end.
    """

    path: str
    start_seconds: float | None = None
    end_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What the model would get of one document.

    Attributes:
        videos: Its video files, in order.
        question: The text without the task's own instructions around it; None if there is none.
    """

    videos: tuple[VideoSpan, ...]
    question: str | None


def span_of(visual: Any) -> VideoSpan | None:
    """The video file that a visual names, as lmms-eval understands it; None for any other."""
    if isinstance(visual, Mapping) and visual.get("type", "video") == "video":
        return _named_span(visual)
    if isinstance(visual, str) and PurePath(visual).suffix.lower() not in _IMAGES + _SOUNDS:
        return VideoSpan(visual)
    return None


def shown_in_messages(messages: Any, task: Any) -> Shown:
    """What chat messages show.

    Args:
        messages: Of ``doc_to_messages``.
        task: The task that made them.
    """
    content = [part for message in _messages(messages) for part in _parts(message)]
    texts = [
        part["text"]
        for message in _messages(messages)
        if message.get("role") == "user"
        for part in _parts(message)
        if part.get("type") == "text"
    ]
    videos = tuple(_span_of_part(part) for part in content if part.get("type") == "video")
    return Shown(videos, without_instructions("\n".join(texts), task))


def shown_in_visuals(visuals: Iterable[Any] | None, context: str, task: Any) -> Shown:
    """What a simple model's visuals and context show."""
    spans = map(span_of, visuals or ())
    return Shown(
        tuple(span for span in spans if span is not None), without_instructions(context, task)
    )


def with_videos(messages: Any, videos: Sequence[str]) -> list[dict[str, Any]]:
    """New messages with these in place of the video files, in order."""
    left = iter(videos)
    return [
        {
            **message,
            "content": [
                {**part, "url": next(left)} if part.get("type") == "video" else part
                for part in _parts(message)
            ]
            if isinstance(message.get("content"), list)
            else message.get("content"),
        }
        for message in _messages(messages)
    ]


def with_visuals(visuals: Iterable[Any] | None, videos: Sequence[str]) -> list[Any]:
    """The visuals with these in place of their video files, in order."""
    left = iter(videos)
    return [visual if span_of(visual) is None else next(left) for visual in visuals or ()]


def without_instructions(text: str, task: Any) -> str | None:
    """The question and its options, without what the task puts before and after every question.

    Only what the task itself marks is taken off: its ``pre_prompt`` and ``post_prompt``.
    """
    marked: Mapping[str, Any] = getattr(task, "lmms_eval_specific_kwargs", None) or {}
    text = text.strip()
    for post in _prompts(marked.get("post_prompt")):
        text = text.removesuffix(post).rstrip()
    for pre in _prompts(marked.get("pre_prompt")):
        text = text.removeprefix(pre).lstrip()
    return text or None


def task_of(function: Callable[..., Any]) -> Any:
    """The task whose method this is; None if it is no method."""
    return getattr(function, "__self__", None)


def _prompts(marked: Any) -> list[str]:
    """The longest first; some tasks mark one for each kind of question."""
    values = marked.values() if isinstance(marked, Mapping) else [marked]
    texts = {value.strip() for value in values if isinstance(value, str) and value.strip()}
    return sorted(texts, key=len, reverse=True)


def _messages(messages: Any) -> list[dict[str, Any]]:
    return messages if isinstance(messages, list) else []


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, dict)]


def _named_span(visual: Mapping[str, Any]) -> VideoSpan:
    # What is no path at all becomes one that cannot be read, so that the document's error is seen.
    path = visual.get("url") or visual.get("path") or visual
    return VideoSpan(str(path), visual.get("video_start"), visual.get("video_end"))


def _span_of_part(part: Mapping[str, Any]) -> VideoSpan:
    video = part["url"]
    span = _named_span(video if isinstance(video, Mapping) else {"url": video})
    start, end = part.get("start_time"), part.get("end_time")
    return VideoSpan(
        span.path,
        span.start_seconds if start is None else start,
        span.end_seconds if end is None else end,
    )
