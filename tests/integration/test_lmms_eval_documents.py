"""What a document shows: which of its visuals are videos, which part of them, which question."""

from types import SimpleNamespace
from typing import Any

import pytest

from keyscore_lmms_eval.documents import (
    VideoSpan,
    shown_in_messages,
    shown_in_visuals,
    with_videos,
    with_visuals,
    without_instructions,
)


@pytest.mark.parametrize(
    ("visual", "span"),
    [
        ("a.mp4", VideoSpan("a.mp4")),
        ("a.MKV", VideoSpan("a.MKV")),
        ("folder/clip", VideoSpan("folder/clip")),
        ("a.jpg", None),
        ("a.WAV", None),
        (object(), None),
        ({"type": "image", "url": "a.jpg"}, None),
        ({"path": "a.mp4", "video_start": 2.0}, VideoSpan("a.mp4", 2.0)),
        ({"url": "a.mp4", "video_start": 2, "video_end": 4}, VideoSpan("a.mp4", 2, 4)),
    ],
)
def test_videos_are_told_from_images_and_sounds(visual: Any, span: VideoSpan | None) -> None:
    shown = shown_in_visuals(["b.png", visual, "c.mp4"], "Who?", None)
    expected = [VideoSpan("c.mp4")] if span is None else [span, VideoSpan("c.mp4")]
    assert list(shown.videos) == expected
    replaced = with_visuals(["b.png", visual, "c.mp4"], ["NEW"] * len(expected))
    assert replaced == ["b.png", visual if span is None else "NEW", "NEW"]


def test_messages_show_all_videos_and_the_users_text() -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": [{"type": "text", "text": "Be brief."}]},
        {
            "role": "user",
            "content": [
                {"type": "video", "url": "a.mp4", "start_time": 1.0, "end_time": None},
                {"type": "image", "url": "b.png"},
                {"type": "text", "text": "Who is it?"},
                {"type": "video", "url": {"path": "c.mp4", "video_end": 9.0}},
                {"type": "text", "text": "Say a letter."},
            ],
        },
    ]
    task = SimpleNamespace(lmms_eval_specific_kwargs={"post_prompt": "\nSay a letter. "})
    shown = shown_in_messages(messages, task)
    assert shown.videos == (VideoSpan("a.mp4", 1.0), VideoSpan("c.mp4", None, 9.0))
    assert shown.question == "Who is it?"
    replaced = with_videos(messages, ["A", "C"])
    assert [part.get("url") for part in replaced[1]["content"]] == ["A", "b.png", None, "C", None]
    assert messages[1]["content"][0] == {  # the task's own messages stay as they were
        "type": "video",
        "url": "a.mp4",
        "start_time": 1.0,
        "end_time": None,
    }


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        (None, "Q: Who?\nA. x\nB. y\nAnswer now."),
        ({"post_prompt": "\nAnswer now."}, "Q: Who?\nA. x\nB. y"),
        ({"pre_prompt": "Q: ", "post_prompt": "now."}, "Who?\nA. x\nB. y\nAnswer"),
        ({"post_prompt": {"yes": "\nYes?", "letter": "Answer now.\n"}}, "Q: Who?\nA. x\nB. y"),
        ({"post_prompt": "Something else"}, "Q: Who?\nA. x\nB. y\nAnswer now."),
        ({"post_prompt": 3}, "Q: Who?\nA. x\nB. y\nAnswer now."),
    ],
)
def test_only_what_the_task_marks_is_taken_off(marked: Any, expected: str) -> None:
    task = SimpleNamespace(lmms_eval_specific_kwargs=marked)
    assert without_instructions("Q: Who?\nA. x\nB. y\nAnswer now.", task) == expected


def test_a_text_of_instructions_alone_is_no_question() -> None:
    task = SimpleNamespace(lmms_eval_specific_kwargs={"post_prompt": "Describe it."})
    assert without_instructions("Describe it.", task) is None
