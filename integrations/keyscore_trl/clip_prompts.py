"""Rows of training data as chats, and their inputs by `keyscore_plugin.clip_prompt`."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch

from keyscore_plugin import ClipQuestion, Clips, clip_prompt, format_clips
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types import Frames
from keyscore_trl.prompts import Chat, ShownVideo, video_addresses

Stage = Literal["1", "2", "rl"]
Row = dict[str, Any]

# K-frames, section 3: a relevance of 1 to 5; from 4.9 on a clip has priority 1, from 4.3 on 2.
_FIRST, _SECOND = 4.9, 4.3
# Names of the data in a folder; `keyscore_trl.build` writes the first two.
DATA_FILES: dict[Stage, str] = {
    "1": "grounding.jsonl",
    "2": "clips.jsonl",
    "rl": "questions.jsonl",
}
_LAYOUTS = {
    "1": '{"video", "start", "end", "caption"}, or "query" and "relevance" instead of "caption"',
    "2": '{"video", "query", "clips": [{"start", "end", "priority", "reason"}, ...]}',
    "rl": '{"video", "question", "options": [TEXT, TEXT, ...], "answer": NUMBER FROM 0}',
}


class ClipPrompts:
    """Inputs of a Video-LLM that is asked for clips, by `keyscore_plugin.clip_prompt`.

    Supervised training, reinforcement learning and the sampler ``kframes`` build their inputs by
    that one function, so that a policy is trained on what it will see.

    Args:
        processor: Processor of the model.
        read: Function that reads the frames that the model looks at, such as a
            `keyscore_trl.UniformReader`.
    """

    def __init__(self, processor: Any, read: Callable[[str], ShownVideo]) -> None:
        self._processor = processor
        self._read = read

    def __call__(self, chats: Sequence[Chat], *, completions: Sequence[str] | None = None) -> Any:
        """Build one batch.

        Args:
            chats: Chats as `clip_chat` makes them, one for each row of the batch.
            completions: Answers to train on; None adds nothing, for generation.

        Returns:
            Inputs of the model, padded on the left; with completions also their ``labels``.
        """
        questions = [self._question(chat) for chat in chats]
        return clip_prompt(self._processor, questions, completions=completions)

    def _question(self, chat: Chat) -> ClipQuestion:
        (path,) = video_addresses(chat)
        (query,) = [
            block["text"]
            for message in chat
            for block in message["content"]
            if block["type"] == "text"
        ]
        video = self._read(path)
        frames = Frames(video.pixels, torch.arange(len(video.pixels)), video.seconds)
        return ClipQuestion(frames, query, video.duration_seconds)


def clip_chat(video: str, query: str) -> list[dict[str, Any]]:
    """The chat that asks which clips of a video a query needs."""
    content = [{"type": "video", "video": video}, {"type": "text", "text": query}]
    return [{"role": "user", "content": content}]


def read_rows(path: Path, stage: Stage) -> list[Row]:
    """Read training data as rows for a trainer.

    Every line is one JSON object with the path of a ``video``, relative to the file or absolute.
    All tasks have the prompt and the syntax of inference, so that one function builds all inputs
    (ours: the paper gives neither):

    - Stage 1 (grounding). A line with ``start``, ``end`` (seconds) and ``caption`` gives two rows:
      the query is the caption and the answer its clip; and the query names the times and the
      answer has the caption as the reason. A line with ``query`` and ``relevance`` (1 to 5) asks
      whether the query needs the clip. The answer has its ``priority``: 1, 2, or null for no clip.
      Without that key it is 1 from a relevance of 4.9 on, 2 from 4.3 on, else null.
    - Stage 2. ``query`` and ``clips``, each with ``start``, ``end``, ``priority`` and ``reason``.
    - RL. ``question``, ``options`` and ``answer``, the number of the right option from 0 on.

    Args:
        path: JSON Lines file, or a folder with one of each stage, see `DATA_FILES`.
        stage: Stage of the training.

    Returns:
        Rows with ``prompt`` and, for the stages 1 and 2, ``completion``; for RL with the columns of
        `keyscore_trl.ClipReward`.

    Raises:
        InputError: The file cannot be read, has no line, or a line has another form.
    """
    if path.is_dir():
        path = path / DATA_FILES[stage]
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; give a JSON Lines file") from error
    rows = [
        row
        for number, line in enumerate(lines, start=1)
        if line.strip()
        for row in _rows_of_line(line, stage, path, number)
    ]
    if not rows:
        raise InputError(f"{path} has no line; expected lines of {_LAYOUTS[stage]}")
    return rows


def _rows_of_line(line: str, stage: Stage, path: Path, number: int) -> list[Row]:
    try:
        item = json.loads(line)
        video = str(path.parent / item["video"])
        makers = {"1": _grounding_rows, "2": _clip_rows, "rl": _question_rows}
        return list(makers[stage](video, item))
    except (InputError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise InputError(
            f"{path}, line {number}: expected {_LAYOUTS[stage]}, got "
            f"{type(error).__name__}: {error}; correct the line"
        ) from error


def _grounding_rows(video: str, item: Mapping[str, Any]) -> Iterator[Row]:
    start, end = float(item["start"]), float(item["end"])
    when = f"from {start:.1f} s to {end:.1f} s"
    if item.get("caption") is not None:
        caption = _sentence(item["caption"])
        yield _row(video, caption, [(start, end, 1, "")])
        yield _row(video, f"What happens {when}?", [(start, end, 1, caption)])
        return
    relevance = float(item["relevance"])
    if not 1 <= relevance <= 5:
        raise InputError(f"a relevance lies between 1 and 5, got {relevance}")
    by_relevance = 1 if relevance >= _FIRST else 2 if relevance >= _SECOND else None
    priority = item.get("priority", by_relevance)
    clips = [] if priority is None else [(start, end, int(priority), "")]
    yield _row(video, f"{_sentence(item['query'])} Consider only the part {when}.", clips)


def _clip_rows(video: str, item: Mapping[str, Any]) -> Iterator[Row]:
    clips = [
        (float(clip["start"]), float(clip["end"]), int(clip["priority"]), str(clip["reason"]))
        for clip in item["clips"]
    ]
    yield _row(video, _sentence(item["query"]), clips)


def _question_rows(video: str, item: Mapping[str, Any]) -> Iterator[Row]:
    question, options = _sentence(item["question"]), [str(option) for option in item["options"]]
    answer = int(item["answer"])
    if len(options) < 2 or not 0 <= answer < len(options):
        raise InputError(
            f"a question needs two options or more and the number of the right one, got "
            f"{len(options)} options and the answer {answer}"
        )
    yield {
        "prompt": clip_chat(video, question),
        "video": video,
        "question": question,
        "options": options,
        "answer": answer,
    }


def _sentence(text: object) -> str:
    if not isinstance(text, str) or not text.strip():
        raise InputError(f"a text is empty or missing: {shown(text)}")
    return text.strip()


def _row(video: str, query: str, clips: Sequence[tuple[float, float, int, str]]) -> Row:
    starts, ends, priorities, reasons = zip(*clips, strict=True) if clips else ((), (), (), ())
    answer = Clips.from_intervals(
        starts,
        ends,
        end_seconds=max(ends, default=1.0),
        priorities=priorities,
        reasons=reasons,
        origin="predicted",
    )
    return {"prompt": clip_chat(video, query), "completion": format_clips(answer)}
