"""The factory of tiny models: what the other integration tests take for granted of it."""

from pathlib import Path
from typing import Any

import av
import pytest
import torch
import transformers
from torch import Tensor

from tests.support.tiny import FAMILIES, build, save
from tests.support.tiny.family import Family, hf
from tests.support.tiny.videos import frame_numbers, numbered_frames, numbered_video

CHOSEN = [3, 4, 10, 10, 70, 71, 101, 101]
FPS = 10.0
MESSAGES = [{"role": "user", "content": [{"type": "video"}, {"type": "text", "text": "Which?"}]}]


PIXELS = ("pixel_values", "pixel_values_videos")
# Stock Qwen2.5-VL gets the mean spacing of the frames, and Omni a rate: not their times.
SPACED = {"qwen2_5_vl", "qwen2_5_omni"}
TRUE_TIMES = sorted(
    n for n, f in FAMILIES.items() if f.expected_times is not None and n not in SPACED
)


def installed(name: str) -> Family:
    """The family of that name, if the installed transformers has it."""
    family = FAMILIES[name]
    if family.missing:
        pytest.skip(f"transformers {transformers.__version__} has no {family.missing[0]}")
    return family


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    """Every family."""
    return installed(request.param)


def inputs_of(family: Family, processor: Any) -> dict[str, Any]:
    """The frames `CHOSEN` of a numbered video of 12 seconds, and a question, processed."""
    frames = torch.from_numpy(numbered_frames())[CHOSEN].permute(0, 3, 1, 2)
    times: dict[str, Any] = {}
    if family.expected_times is not None:
        metadata = {"total_num_frames": 120, "fps": FPS, "duration": 12.0}
        times = {
            "video_metadata": [metadata | {"frames_indices": list(CHOSEN)}],
            "do_sample_frames": False,
        }
    text = processor.apply_chat_template(MESSAGES, add_generation_prompt=True)
    return dict(processor(videos=[[frames]], text=[text], return_tensors="pt", **times))


def only_tensors(inputs: dict[str, Any]) -> dict[str, Tensor]:
    """What a model takes: processors of some families add the video's metadata."""
    return {name: value for name, value in inputs.items() if isinstance(value, Tensor)}


def test_generate_gives_as_many_tokens_as_asked(family: Family) -> None:
    processor, model = family.build()
    inputs = only_tensors(inputs_of(family, processor))
    answer = model.generate(**inputs, max_new_tokens=4)
    assert answer.shape[1] - inputs["input_ids"].shape[1] == 4


def test_frames_are_read_back_from_the_inputs(family: Family) -> None:
    processor, _ = family.build()
    assert family.read_back(inputs_of(family, processor)) == CHOSEN


@pytest.mark.parametrize("name", TRUE_TIMES)
def test_times_are_read_back_from_the_inputs_of_the_model(name: str) -> None:
    family = installed(name)
    assert family.read_times is not None
    assert family.expected_times is not None
    processor, model = family.build()
    told = family.expected_times([index / FPS for index in CHOSEN])
    assert family.read_times(inputs_of(family, processor), processor, model) == told


def test_the_answer_depends_on_the_order_of_the_frames(family: Family) -> None:
    processor, model = family.build()
    inputs = only_tensors(inputs_of(family, processor))
    changed = {
        name: value.flip(1 if value.ndim == 5 else 0) if name in PIXELS else value
        for name, value in inputs.items()
    }
    assert not torch.equal(model(**inputs).logits, model(**changed).logits)


def test_a_saved_family_loads_with_the_auto_classes(family: Family, tmp_path: Path) -> None:
    processor, model = family.build()
    if type(model.config) not in hf("MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING"):
        pytest.skip(f"transformers {transformers.__version__} has no Auto class for {family.name}")
    folder = save(family.name, tmp_path / family.name)
    assert sum(file.stat().st_size for file in folder.iterdir()) < 2**20
    loaded_processor = hf("AutoProcessor").from_pretrained(folder)
    loaded = hf("AutoModelForImageTextToText").from_pretrained(folder)
    inputs = only_tensors(inputs_of(family, processor))
    again = only_tensors(inputs_of(family, loaded_processor))
    assert inputs.keys() == again.keys()
    assert all(torch.equal(inputs[name], again[name]) for name in inputs)
    assert torch.equal(model(**inputs).logits, loaded(**again).logits)


def test_a_family_is_the_same_every_time_and_leaves_the_generator_alone() -> None:
    state = torch.random.get_rng_state()
    _, first = build("qwen3_vl")
    _, second = build("qwen3_vl")
    assert torch.equal(state, torch.random.get_rng_state())
    weights = second.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in first.state_dict().items())


def test_the_numbered_video_decodes_to_its_numbers(tmp_path: Path) -> None:
    with av.open(str(numbered_video(tmp_path / "numbered.mp4", n=50))) as container:
        pixels = [torch.from_numpy(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)]
    colours = torch.stack([frame.double().mean(dim=(0, 1)) for frame in pixels])
    assert frame_numbers(colours) == list(range(50))
    with pytest.raises(ValueError, match="no frames have the colours"):
        frame_numbers((colours[:1] + colours[1:2]) / 2)
