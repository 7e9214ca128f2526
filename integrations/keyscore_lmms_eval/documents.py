"""What an instance of lmms-eval shows of its document: videos and a question, no answer."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keyscore_lmms_eval.kinds import is_video
from keyscore_plugin.types.numbers import is_real


@dataclass(frozen=True, slots=True)
class VideoSpan:
    """A video file, or a part of it.

    Attributes:
        path: Path or URL as the task names it.
        start_seconds: Start of the part; None means the video's start.
        end_seconds: End of the part; None means the video's end.
    """

    path: str
    start_seconds: float | None = None
    end_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """A video that the model would get of a document.

    Attributes:
        span: Video, or part of one.
        question: Text asked about the video, without the task's instructions around it; None if
            the task asks nothing.
    """

    span: VideoSpan
    question: str | None


@dataclass(frozen=True, slots=True)
class EvalInstance:
    """An instance of lmms-eval, whose arguments its simple and its chat models place differently.

    Attributes:
        instance: The `Instance` of lmms-eval.
        is_simple: Whether a simple model answers it; else a chat model does.
    """

    instance: Any
    is_simple: bool

    @property
    def place(self) -> tuple[int, str, str]:
        """doc_id, task and split."""
        doc_id, task, split = self.instance.args[3:6]
        return doc_id, task, split

    @property
    def function_at(self) -> int:
        """Position of ``doc_to_visual`` or ``doc_to_messages``."""
        return 2 if self.is_simple else 1

    def shown(self, doc: Mapping[str, Any]) -> list[Shown]:
        """The videos that the model would get of the document."""
        function = self.instance.args[self.function_at]
        if self.is_simple:
            return shown_in_visuals(function(doc), self.instance.args[0], task_of(function))
        return shown_in_messages(function(doc), task_of(function))

    def with_function(self, function: Callable[..., Any]) -> tuple[Any, ...]:
        """The arguments with another function."""
        arguments = list(self.instance.args)
        arguments[self.function_at] = function
        return tuple(arguments)


def span_of(visual: Any) -> VideoSpan | None:
    """The video file that a visual names; None for any other visual."""
    if isinstance(visual, Mapping) and visual.get("type", "video") == "video":
        return _named_span(visual)
    if isinstance(visual, str) and is_video(visual):
        return VideoSpan(visual)
    return None


def shown_in_messages(messages: Any, task: Any) -> list[Shown]:
    """The videos of chat messages, in order.

    The question about a video is the text of its message; if that has none, it is all texts of the
    user.

    Args:
        messages: Messages of ``doc_to_messages``.
        task: Task that made them.
    """
    texts = [_text(message) for message in _messages(messages) if message.get("role") == "user"]
    asked_in_all = without_instructions("\n".join(filter(None, texts)), task)
    shown = []
    for message in _messages(messages):
        spans = [_span_of_part(part, task) for part in _parts(message)]
        own = without_instructions(_text(message), task) if message.get("role") == "user" else None
        shown += [Shown(span, own or asked_in_all) for span in spans if span is not None]
    return shown


def shown_in_visuals(visuals: Iterable[Any] | None, context: str, task: Any) -> list[Shown]:
    """The videos of a simple model's visuals, in order."""
    question = without_instructions(context, task)
    spans = map(span_of, visuals or ())
    return [Shown(span, question) for span in spans if span is not None]


def with_videos(messages: Any, videos: Sequence[str], task: Any) -> list[dict[str, Any]]:
    """New messages with these in place of the video files of `shown_in_messages`, in order."""
    left = iter(videos)

    def replaced(part: dict[str, Any]) -> dict[str, Any]:
        if _span_of_part(part, task) is None:
            return part
        return {**part, "type": "video", "url": next(left)}

    return [
        {**message, "content": [replaced(part) for part in _parts(message)]}
        if isinstance(message.get("content"), list)
        else message
        for message in _messages(messages)
    ]


def with_visuals(visuals: Iterable[Any] | None, videos: Sequence[str]) -> list[Any]:
    """The visuals with these in place of their video files, in order."""
    left = iter(videos)
    return [visual if span_of(visual) is None else next(left) for visual in visuals or ()]


def without_instructions(text: str, task: Any) -> str | None:
    """The question and its options, without what the task puts before and after every question.

    Only the ``pre_prompt`` and the ``post_prompt`` that the task marks are removed.
    """
    marked: Mapping[str, Any] = getattr(task, "lmms_eval_specific_kwargs", None) or {}
    text = text.strip()
    for post in _prompts(marked.get("post_prompt")):
        text = text.removesuffix(post).rstrip()
    for pre in _prompts(marked.get("pre_prompt")):
        text = text.removeprefix(pre).lstrip()
    return text or None


def subtitles_start(doc: Mapping[str, Any]) -> float | None:
    """Start of a document's video in the longer one that its subtitles are of, in seconds.

    LongVideoBench cuts videos, but not their subtitles, and says where; None for every other
    document.
    """
    start: Any = doc.get("starting_timestamp_for_subtitles")
    return float(start) if is_real(start) else None


def task_of(function: Callable[..., Any]) -> Any:
    """The task whose method this is; None if it is a plain function."""
    return getattr(function, "__self__", None)


def _prompts(marked: Any) -> list[str]:
    """The marked texts, the longest first; some tasks mark one for each kind of question."""
    values = marked.values() if isinstance(marked, Mapping) else [marked]
    texts = {value.strip() for value in values if isinstance(value, str) and value.strip()}
    return sorted(texts, key=len, reverse=True)


def _messages(messages: Any) -> list[dict[str, Any]]:
    return messages if isinstance(messages, list) else []


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    return [part for part in parts if isinstance(part, dict)]


def _text(message: Mapping[str, Any]) -> str:
    return "\n".join(part["text"] for part in _parts(message) if part.get("type") == "text")


def _named_span(visual: Mapping[str, Any]) -> VideoSpan:
    # An object that is not a path becomes one that cannot be read: the document gets its error.
    path = visual.get("url") or visual.get("path") or visual
    return VideoSpan(str(path), visual.get("video_start"), visual.get("video_end"))


def _span_of_part(part: Mapping[str, Any], task: Any) -> VideoSpan | None:
    """The video of a part of a message; None for any other part."""
    media = part.get("url")
    if part.get("type") == "video":
        span = _named_span(media if isinstance(media, Mapping) else {"url": media})
    elif isinstance(media, str) and part.get("type") != "text" and _guesses_kinds(task):
        if not is_video(media):
            return None
        span = VideoSpan(media)
    else:
        return None
    start, end = part.get("start_time"), part.get("end_time")
    return VideoSpan(
        span.path,
        span.start_seconds if start is None else start,
        span.end_seconds if end is None else end,
    )


def _guesses_kinds(task: Any) -> bool:
    """Whether lmms-eval made the messages from a list of visuals, and not the task itself."""
    return not callable(getattr(getattr(task, "config", None), "doc_to_messages", None))
