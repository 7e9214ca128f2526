"""Every family: the model gets exactly the chosen frames, at their own times, and nothing else."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
import transformers
from torch import Tensor

from keyscore_transformers import enable, generate
from tests.support.fixed_sampler import FixedSampler
from tests.support.tiny import FAMILIES
from tests.support.tiny.family import Family
from tests.support.tiny.videos import numbered_frames, numbered_video

KEYFRAMES = [3, 4, 40, 101]
FPS = 10
ANSWER = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds whose frame i is a flat colour that names i."""
    return numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4", fps=FPS)


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    """Every family that the installed transformers has."""
    family = FAMILIES[request.param]
    if family.missing:
        pytest.skip(f"transformers {transformers.__version__} has no {family.missing[0]}")
    return family


def messages(video: Any, text: str = "Which?") -> list[dict[str, Any]]:
    content = [{"type": "video", "video": video}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def in_patches(family: Family, keyframes: list[int]) -> list[int]:
    return [frame for frame in keyframes for _ in range(family.frames_per_patch)]


def test_the_model_gets_the_chosen_frames_and_their_times(family: Family, video: Path) -> None:
    processor, model = family.build()
    enable(processor, model=model)
    inputs = processor.apply_chat_template(
        messages(str(video)), sampler=FixedSampler(KEYFRAMES), **ANSWER
    )
    shown = in_patches(family, KEYFRAMES)
    assert family.read_back(inputs) == shown
    assert processor.last_selections[0].indices == KEYFRAMES
    if family.read_times is not None:
        assert family.expected_times is not None
        told = family.expected_times([frame / FPS for frame in shown])
        assert family.read_times(inputs, processor, model) == told


def test_several_videos_keep_their_order_and_their_own_frames(family: Family, video: Path) -> None:
    processor, model = family.build()
    enable(processor, model=model)
    chosen = [KEYFRAMES, [7, 50, 51, 119]]
    conversations = [
        [{**message, "content": [{**message["content"][0], "sampler": FixedSampler(frames)}]}]
        for frames in chosen
        for message in messages(str(video))
    ]
    inputs = processor.apply_chat_template(conversations, **ANSWER)
    assert family.read_back(inputs) == [
        frame for frames in chosen for frame in in_patches(family, frames)
    ]
    assert [selection.indices for selection in processor.last_selections] == chosen


@pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning")  # InternVL's, with NumPy 2
def test_a_batch_may_hold_conversations_without_a_video(family: Family, video: Path) -> None:
    image = PIL.Image.fromarray(numbered_frames(1)[0])
    words = {"type": "text", "text": "Hello."}
    text, picture = (
        [{"role": "user", "content": content}]
        for content in ([words], [{"type": "image", "image": image}, words])
    )
    asked = [text, messages(str(video)), picture, messages(str(video), "And this?")]
    if family.name == "smolvlm":  # transformers 4.57 keeps its images or its videos, not both
        asked.remove(picture)
    processor, model = family.build()
    enable(processor, model=model)
    inputs = processor.apply_chat_template(
        asked, sampler=FixedSampler(KEYFRAMES), padding=True, **ANSWER
    )
    # InternVL keeps images and videos in one tensor: leave out those of the image, frame 0.
    seen = [frame for frame in family.read_back(inputs) if frame != 0]
    assert seen == 2 * in_patches(family, KEYFRAMES)
    assert len(inputs["input_ids"]) == len(asked)
    assert [selection.video for selection in processor.last_selections] == [str(video)] * 2


def test_generate_answers_from_the_chosen_frames(family: Family, video: Path) -> None:
    processor, model = family.build()
    answer = generate(
        model, processor, messages(str(video)), sampler=FixedSampler(KEYFRAMES), max_new_tokens=3
    )
    assert isinstance(answer, str)
    assert processor.last_selections[0].indices == KEYFRAMES


def test_generate_answers_a_batch(family: Family, video: Path) -> None:
    processor, model = family.build()
    asked = [messages(str(video)), messages(str(video), "What happens at the end of this?")]
    answers = generate(model, processor, asked, sampler=FixedSampler(KEYFRAMES), max_new_tokens=3)
    alone = [
        generate(model, processor, one, sampler=FixedSampler(KEYFRAMES), max_new_tokens=3)
        for one in asked
    ]
    assert answers == alone


def from_template(processor: Any, video: Any) -> Any:
    return processor.apply_chat_template(messages(video), **four_frames(processor), **ANSWER)


def from_call(processor: Any, video: Any) -> Any:
    text = processor.apply_chat_template(messages(video))
    metadata = {"total_num_frames": 120, "fps": FPS, "duration": 12.0}
    array = isinstance(video, Tensor)
    facts = {"video_metadata": [{**metadata, "frames_indices": list(range(120))}]} if array else {}
    return processor(
        text=[text], videos=[[video]], **four_frames(processor), **facts, return_tensors="pt"
    )


def four_frames(processor: Any) -> dict[str, Any]:
    """Qwen3-VL and others have a default rate, and refuse a budget together with it."""
    rate = {"fps": None} if getattr(processor.video_processor, "fps", None) else {}
    return {"num_frames": 4, "do_sample_frames": True, **rate}


@pytest.mark.parametrize("call", [from_template, from_call])
@pytest.mark.parametrize("kind", ["path", "array"])
def test_without_a_sampler_nothing_changes(
    family: Family, video: Path, kind: str, call: Callable[[Any, Any], Any]
) -> None:
    stock, enabled = family.processor(), enable(family.processor())
    frames = torch.from_numpy(numbered_frames()).permute(0, 3, 1, 2)
    given = str(video) if kind == "path" else frames
    try:
        expected = call(stock, given)
    except (ValueError, TypeError) as refused:
        # What this version cannot do by itself, it cannot do enabled either.
        with pytest.raises(type(refused), match=re.escape(str(refused))):
            call(enabled, given)
        return
    assert_same(call(enabled, given), expected)


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    assert list(found) == list(expected)
    for name, value in expected.items():
        if isinstance(value, Tensor):
            assert torch.equal(found[name], value), name
        else:
            assert found[name] == value, name
