"""What a document shows: which of its visuals are videos, which part of them, which question."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from keyscore_lmms_eval.documents import (
    Shown,
    VideoSpan,
    shown_in_messages,
    shown_in_visuals,
    with_videos,
    with_visuals,
    without_instructions,
)
from keyscore_lmms_eval.kinds import is_video
from tests.support.lmms.media_files import write_animation, write_sound, write_webm


@pytest.mark.parametrize(
    ("visual", "span"),
    [
        ("a.mp4", VideoSpan("a.mp4")),
        ("a.MKV", VideoSpan("a.MKV")),
        ("folder/clip", VideoSpan("folder/clip")),
        ("a.jpg", None),
        ("a.WAV", None),
        ("absent.webm", VideoSpan("absent.webm")),
        (object(), None),
        ({"type": "image", "url": "a.jpg"}, None),
        ({"path": "a.mp4", "video_start": 2.0}, VideoSpan("a.mp4", 2.0)),
        ({"url": "a.mp4", "video_start": 2, "video_end": 4}, VideoSpan("a.mp4", 2, 4)),
    ],
)
def test_videos_are_distinguished_from_images_and_sounds(
    visual: Any, span: VideoSpan | None
) -> None:
    shown = shown_in_visuals(["b.png", visual, "c.mp4"], "Who?", None)
    expected = [VideoSpan("c.mp4")] if span is None else [span, VideoSpan("c.mp4")]
    assert shown == [Shown(span, "Who?") for span in expected]
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
    assert shown_in_messages(messages, task) == [
        Shown(VideoSpan("a.mp4", 1.0), "Who is it?"),
        Shown(VideoSpan("c.mp4", None, 9.0), "Who is it?"),
    ]
    replaced = with_videos(messages, ["A", "C"], task)
    assert [part.get("url") for part in replaced[1]["content"]] == ["A", "b.png", None, "C", None]
    assert messages[1]["content"][0] == {  # the task's own messages stay as they were
        "type": "video",
        "url": "a.mp4",
        "start_time": 1.0,
        "end_time": None,
    }


def test_a_video_is_asked_about_in_its_own_message() -> None:
    def user(*parts: dict[str, Any]) -> dict[str, Any]:
        return {"role": "user", "content": list(parts)}

    messages = [
        user({"type": "video", "url": "a.mp4"}, {"type": "text", "text": "Who runs?"}),
        {"role": "assistant", "content": [{"type": "text", "text": "A dog."}]},
        user({"type": "video", "url": "b.mp4"}, {"type": "text", "text": "Who sings?"}),
    ]
    first = Shown(VideoSpan("a.mp4"), "Who runs?")
    assert shown_in_messages(messages[:1], None) == [first]
    assert shown_in_messages(messages, None) == [first, Shown(VideoSpan("b.mp4"), "Who sings?")]
    alone = [user({"type": "video", "url": "c.mp4"}), user({"type": "text", "text": "Who?"})]
    assert shown_in_messages(alone, None) == [Shown(VideoSpan("c.mp4"), "Who?")]


def test_a_video_is_recognised_by_the_content_of_its_file(tmp_path: Path) -> None:
    """By their names lmms-eval takes all of these for sounds and stills."""
    moving = [write_webm(tmp_path / "a.webm")]
    moving += [write_animation(tmp_path / f"a.{kind}") for kind in ("gif", "png", "webp")]
    assert [is_video(str(path)) for path in moving] == [True] * 4
    still = [tmp_path / f"still.{kind}" for kind in ("gif", "png", "webp", "jpg")]
    for path in still:
        Image.new("RGB", (8, 8)).save(path)
    heard = [write_sound(tmp_path / f"sound.{kind}") for kind in ("webm", "ogg", "m4a", "wav")]
    assert [is_video(str(path)) for path in still + heard] == [False] * 8
    assert is_video(moving[0].as_uri())
    (tmp_path / "broken.webm").write_bytes(b"no video" * 64)
    assert is_video(str(tmp_path / "broken.webm"))  # so that its error is seen


@pytest.mark.parametrize(
    "content", [b"", b"no image", b"GIF89a" + b"\xff" * 40, b"\x89PNG\r\n\x1a\n" + b"\xff" * 40]
)
def test_an_image_that_cannot_be_read_is_left_to_the_host(content: bytes, tmp_path: Path) -> None:
    for kind in ("gif", "png", "webp"):
        path = tmp_path / f"broken.{kind}"
        path.write_bytes(content)
        assert not is_video(str(path))


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://a.org/b.webm", True), ("https://a.org/b.gif", False), ("file://far/b.gif", True)],
)
def test_what_lies_elsewhere_is_not_looked_at(url: str, expected: bool) -> None:
    assert is_video(url) is expected


def test_the_kind_that_a_task_itself_names_stands(tmp_path: Path) -> None:
    webm = str(write_webm(tmp_path / "a.webm"))
    messages = [{"role": "user", "content": [{"type": "audio", "url": webm}]}]
    assert shown_in_messages(messages, None) == [Shown(VideoSpan(webm), None)]
    assert with_videos(messages, ["NEW"], None)[0]["content"] == [{"type": "video", "url": "NEW"}]
    task = SimpleNamespace(config=SimpleNamespace(doc_to_messages=lambda doc: messages))
    assert shown_in_messages(messages, task) == []
    assert with_videos(messages, [], task) == messages


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
