"""Parts of a message for OpenAI-compatible servers, held to the video input of Qwen3-VL."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from keyscore_openai import FrameParts, PartSettings, frames
from keyscore_openai.parts import patch_size
from keyscore_plugin import InputError, get_sampler
from keyscore_serving import split_url
from keyscore_transformers import enable
from tests.support.fixed_sampler import FixedSampler
from tests.support.spoken import speech_model, spoken_video
from tests.support.tiny import build
from tests.support.tiny.videos import frame_numbers, numbered_video

KEYFRAMES = [0, 8, 30, 68]
SMALL = PartSettings(min_pixels=32 * 32, image_format="png")
ANSWER = {
    "tokenize": True,
    "return_dict": True,
    "return_tensors": "pt",
    "add_generation_prompt": True,
}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4", size=(96, 128))


def numbers(pictures: list[Image.Image]) -> list[int]:
    """Frames that the pictures show."""
    means = [np.asarray(one.convert("RGB")).mean((0, 1)) for one in pictures]
    return frame_numbers(torch.tensor(np.stack(means)))


def decoded(data: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(data)))


def pictures_of(parts: FrameParts) -> list[Image.Image]:
    urls = [part["image_url"]["url"] for part in parts.content if part["type"] == "image_url"]
    return [decoded(url.partition(",")[2]) for url in urls]


def test_what_is_said_is_written_before_its_frame(video: Path) -> None:
    chooser = FixedSampler(KEYFRAMES)
    with pytest.raises(InputError, match="has no subtitles"):
        frames(video, sampler=chooser, settings=SMALL, with_texts=True)
    subtitles = video.with_name("other.srt")
    subtitles.write_text("1\n00:00:00,000 --> 00:00:00,100\nHello <b>there</b>\n")
    parts = frames(
        video, sampler=chooser, settings=SMALL, subtitles=subtitles, with_texts=True
    ).content
    labels = [part["text"].split("\n") for part in parts if part["type"] == "text"]
    assert labels[0] == ["<0.0 seconds>", "[0.0-0.1 s] Hello there"]
    assert labels[-1] == [f"<{float(labels[-1][0][1:-9]):.1f} seconds>"]
    with pytest.raises(InputError, match="with_texts=True is for form='images'"):
        frames(video, sampler=chooser, form="video", with_texts=True)


@pytest.mark.slow
def test_what_is_heard_is_written_before_its_frame(tmp_path: Path) -> None:
    chooser = get_sampler("uniform", config={"heard": speech_model()})
    video = spoken_video(tmp_path / "a.mkv")
    parts = frames(video, sampler=chooser, num_frames=4, settings=SMALL, with_texts=True).content
    labels = [part["text"] for part in parts if part["type"] == "text"]
    assert "bakery" in labels[0]
    assert "platform" in labels[-1]


def as_transformers(parts: FrameParts) -> list[dict[str, Any]]:
    """The parts in the words of transformers, as a server decodes them."""
    pictures = iter(pictures_of(parts))
    return [
        part if part["type"] == "text" else {"type": "image", "image": next(pictures)}
        for part in parts.content
    ]


def test_images_with_times_are_bit_equal_to_the_video_of_qwen3_vl(video: Path) -> None:
    processor, model = build("qwen3_vl")
    question = {"type": "text", "text": "Which?"}
    parts = frames(video, sampler=FixedSampler(KEYFRAMES), num_frames=4, settings=SMALL)
    content = [*as_transformers(parts), question]
    shown = processor.apply_chat_template([{"role": "user", "content": content}], **ANSWER)

    enable(processor)
    block = {"type": "video", "path": str(video), "sampler": FixedSampler(KEYFRAMES)}
    content = [block, question]
    by_video = processor.apply_chat_template([{"role": "user", "content": content}], **ANSWER)

    assert torch.equal(shown["pixel_values"], by_video["pixel_values_videos"])
    image, pad = model.config.image_token_id, model.config.video_token_id
    start, end = model.config.vision_start_token_id, model.config.vision_end_token_id
    as_image = by_video["input_ids"][0].clone()
    as_image[as_image == pad] = image
    as_image = as_image.tolist()
    if as_image.count(start) > len(KEYFRAMES):  # transformers >= 5.10: a pair around all frames
        as_image.remove(start)
        as_image.reverse()
        as_image.remove(end)
        as_image.reverse()
    assert shown["input_ids"][0].tolist() == as_image


def test_a_picture_is_its_keyframe_and_its_text_is_the_time(video: Path) -> None:
    parts = frames(video, sampler=FixedSampler(KEYFRAMES), num_frames=4)
    assert [part["text"] for part in parts.content if part["type"] == "text"] == [
        "<0.0 seconds>",
        "<0.8 seconds>",
        "<3.0 seconds>",
        "<6.8 seconds>",
    ]
    pictures = pictures_of(parts)
    assert numbers(pictures) == KEYFRAMES
    assert {one.size for one in pictures} == {(320, 224)}
    assert parts.visual_tokens == 4 * (320 // 32) * (224 // 32)
    assert not parts.extra_body
    assert "uuid" not in json.dumps(parts.content)


def test_times_are_true_at_a_variable_rate(tmp_path: Path) -> None:
    seconds = [0.0, 0.1, 0.2, 1.0, 1.033, 4.5, 9.0, 9.1]
    video = numbered_video(tmp_path / "vfr.mkv", n=8, seconds=seconds)
    settings = PartSettings(label="{seconds:.3f}")
    parts = frames(video, sampler=FixedSampler([1, 4, 6]), num_frames=3, settings=settings)
    texts = [part["text"] for part in parts.content if part["type"] == "text"]
    assert texts == ["0.100", "1.033", "9.000"]


def test_a_video_of_pictures_carries_the_times_in_its_metadata(video: Path) -> None:
    parts = frames(video, sampler=FixedSampler(KEYFRAMES), num_frames=4, form="video")
    (part,) = parts.content
    head, _, data = part["video_url"]["url"].partition(",")
    assert head == "data:video/jpeg;base64"
    assert numbers([decoded(one) for one in data.split(",")]) == [
        i for i in KEYFRAMES for _ in "12"
    ]
    metadata = json.loads(json.dumps(parts.extra_body))["media_io_kwargs"]["video"]
    assert metadata["num_frames"] == -1
    assert metadata["do_sample_frames"] is False
    times = [index / metadata["fps"] for index in metadata["frames_indices"]]
    assert times == pytest.approx([0, 0, 0.8, 0.8, 3, 3, 6.8, 6.8])
    assert parts.visual_tokens == 4 * (320 // 32) * (224 // 32)


def test_the_url_asks_the_server(video: Path) -> None:
    parts = frames(video, question="Who; & why?", num_frames=4, form="url")
    (part,) = parts.content
    assert split_url(part["video_url"]["url"]) == (
        {
            "sampler": "keyscore",
            "num_frames": "4",
            "question": "Who; & why?",
            "pair": "duplicate",
        },
        video.as_uri(),
    )
    assert parts.selection is None
    parts = frames(video, caption=["a dog", "a cat"], join="then", form="url")
    split = split_url(parts.content[0]["video_url"]["url"])
    assert split is not None
    assert split[0]["caption"] == ["a dog", "a cat"]
    assert split[0]["join"] == "then"


@given(height=st.integers(28, 4000), width=st.integers(28, 4000), side=st.sampled_from([28, 32]))
def test_sizes_are_those_of_the_models_own_image_processor(
    height: int, width: int, side: int
) -> None:
    """Reference: `smart_resize` of transformers, which also leaves these sizes as they are."""
    settings = PartSettings(patch_side=side)
    bounds = {
        "factor": side,
        "min_pixels": settings.min_pixels,
        "max_pixels": settings.max_pixels,
    }
    size = patch_size(height, width, settings)
    assert size == smart_resize(height, width, **bounds)
    assert size == smart_resize(*size, **bounds)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"form": "gif"}, "unknown form"),
        ({"form": "url", "num_frames": 0}, "num_frames"),
        ({"form": "url", "join": "xor"}, "join 'xor' is not"),
        ({"form": "url", "subtitles": True}, "a URL has no key for subtitles=True"),
        ({"form": "url", "subtitles": False}, "a URL has no key for subtitles=False"),
        ({"form": "url", "sampler": FixedSampler([0])}, "stays on this machine"),
        ({"sampler": "keyscore"}, "no text to choose the frames by"),
    ],
)
def test_what_cannot_be_asked_is_refused(video: Path, arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(InputError, match=what):
        frames(video, **arguments)


@pytest.mark.parametrize(
    "values",
    [
        {"patch_side": 0},
        {"max_pixels": 100},
        {"image_format": "webp"},
        {"quality": 101},
        {"label": "{time}"},
        {"label": "{seconds:.1q}"},
    ],
)
def test_settings_that_cannot_be_used_are_refused(values: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        PartSettings(**values)
