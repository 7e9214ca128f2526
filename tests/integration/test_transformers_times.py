"""The times that reach the model, in the hard cases: positions, casts, variable rates, patches."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin import open_video
from keyscore_plugin.errors import InputError
from keyscore_transformers import enable
from keyscore_transformers.positions import reads_rows
from keyscore_transformers.times import grid_intervals
from tests.support.fixed_sampler import FixedSampler
from tests.support.tiny import FAMILIES, NEWER_FAMILIES, build
from tests.support.tiny.family import Family, installed_before
from tests.support.tiny.videos import numbered_frames, numbered_video

QWEN2_5 = FAMILIES["qwen2_5_vl"]
QWEN3 = FAMILIES["qwen3_vl"]
ANSWER = {
    "tokenize": True,
    "return_dict": True,
    "return_tensors": "pt",
    "add_generation_prompt": True,
}


def messages(*videos: Any) -> list[dict[str, Any]]:
    blocks = [{"type": "video", **video} for video in videos]
    return [{"role": "user", "content": [*blocks, {"type": "text", "text": "Which?"}]}]


def block(video: Path, frames: list[int], **keywords: Any) -> dict[str, Any]:
    return {"path": str(video), "sampler": FixedSampler(frames), **keywords}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4")


def temporal_positions(inputs: Any, model: Any) -> list[int]:
    """Temporal position of each patch of all videos, from its own video's first."""
    assert QWEN2_5.read_times is not None
    seconds = QWEN2_5.read_times(inputs, None, model)
    return [round(2 * s) for s in seconds]


def test_qwen2_5_positions_are_those_of_the_times(video: Path) -> None:
    """0, .8, 3 and 6.8 s at two positions a second, worked out by hand."""
    processor, model = build("qwen2_5_vl")
    enable(processor, model=model)
    inputs = processor.apply_chat_template(messages(block(video, [0, 8, 30, 68])), **ANSWER)
    assert temporal_positions(inputs, model) == [0, 1, 6, 13]


def test_positions_survive_a_cast_of_the_batch(video: Path) -> None:
    processor, model = build("qwen2_5_vl")
    enable(processor, model=model)
    inputs = processor.apply_chat_template(messages(block(video, [0, 8, 30, 68])), **ANSWER)
    cast = inputs.to("cpu", dtype=torch.bfloat16)
    assert cast["pixel_values_videos"].dtype == torch.bfloat16
    assert cast["second_per_grid_ts"].dtype == torch.float32
    assert temporal_positions(cast, model) == [0, 1, 6, 13]


@given(
    st.lists(st.integers(1, 600_000), min_size=1, max_size=60),
    st.sampled_from([1.0, 2.0, 4.0, 25.0]),
)
def test_intervals_give_the_position_of_every_time(gaps_ms: list[int], rate: float) -> None:
    """Up to ten hours, in float32, by the model's own formula."""
    ticks = torch.tensor([0, *gaps_ms]).cumsum(0)
    intervals = grid_intervals(ticks.double() / 1000, rate=rate)
    found = (torch.arange(len(ticks)) * rate * intervals).long()
    assert found.tolist() == [int(t * rate) // 1000 for t in ticks.tolist()]


def test_intervals_equal_position_ids_made_by_hand(video: Path) -> None:
    processor, model = build("qwen2_5_vl")
    enable(processor, model=model)
    inputs = processor.apply_chat_template(messages(block(video, [0, 8, 30, 68])), **ANSWER)
    given_intervals = model(**inputs).logits
    stock = {**inputs, "second_per_grid_ts": torch.tensor([2.0])}
    assert not torch.equal(model(**stock).logits, given_intervals)
    del stock["second_per_grid_ts"]
    by_hand = model(**stock, position_ids=hand_made_positions(inputs, model)).logits
    assert torch.equal(by_hand, given_intervals)


def hand_made_positions(inputs: Any, model: Any) -> Tensor:
    """``(3, 1, length)`` ids: text by ones, the video's tokens by time, row and column."""
    is_video = (inputs["input_ids"][0] == model.config.video_token_id).tolist()
    steps, height, width = inputs["video_grid_thw"][0].tolist()
    height, width = height // 2, width // 2
    start = is_video.index(True)
    rows = [
        [start + time, start + row, start + column]
        for time in (0, 1, 6, 13)
        for row in range(height)
        for column in range(width)
    ]
    assert len(rows) == sum(is_video) == steps * height * width
    # From transformers 5.1 on the text goes on after the video's extent in space, not in time.
    after = start + (14 if installed_before("5.1") else max(height, width))
    n_after = len(is_video) - start - len(rows)
    text = [[i] * 3 for i in range(start)]
    rest = [[after + i] * 3 for i in range(n_after)]
    return torch.tensor(text + rows + rest).T.unsqueeze(1)


def test_videos_of_different_lengths_keep_their_own_times(video: Path) -> None:
    processor, model = build("qwen2_5_vl")
    enable(processor, model=model)
    two = messages(block(video, [0, 8, 30, 68]), block(video, [10, 45]))
    inputs = processor.apply_chat_template([two, two[:1]], padding=True, **ANSWER)
    assert temporal_positions(inputs, model) == [0, 1, 6, 13, 0, 7] * 2
    answer = model.generate(**inputs.to("cpu", dtype=torch.float32), max_new_tokens=2)
    assert answer.shape == (2, inputs["input_ids"].shape[1] + 2)


def test_beams_and_samples_repeat_the_times(video: Path) -> None:
    processor, model = build("qwen2_5_vl")
    enable(processor, model=model)
    inputs = processor.apply_chat_template(messages(block(video, [0, 8, 30, 68])), **ANSWER)
    one = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    beams = model.generate(**inputs, max_new_tokens=4, num_beams=2, num_return_sequences=2)
    assert beams.shape == (2, one.shape[1])


def test_without_a_model_old_versions_refuse_rather_than_mislead(video: Path) -> None:
    processor, _ = build("qwen2_5_vl")
    enable(processor)
    asked = messages(block(video, [0, 8, 30, 68]))
    if reads_rows():
        assert processor.apply_chat_template(asked, **ANSWER)["second_per_grid_ts"].shape == (1, 4)
        return
    with pytest.raises(InputError, match=r"model=model.*transformers>=5\.18"):
        processor.apply_chat_template(asked, **ANSWER)


def test_another_model_of_the_class_is_untouched(video: Path) -> None:
    processor, model = build("qwen2_5_vl")
    _, other = build("qwen2_5_vl")
    enable(processor, model=model)
    assert "get_rope_index" not in vars(other.model)
    assert type(model) is type(other)
    assert type(model.model).get_rope_index is type(other.model).get_rope_index


@pytest.fixture(params=["qwen2_5_omni", "qwen3_omni_moe"])
def omni(request: pytest.FixtureRequest) -> Family:
    """Each family that hears."""
    family = {**FAMILIES, **NEWER_FAMILIES}[request.param]
    if family.missing or (family.name in NEWER_FAMILIES and installed_before("5.23")):
        pytest.skip("its tiny model is that of transformers 5.23")
    return family


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("name", ["use_audio_in_video", "load_audio_from_video"])
def test_the_sound_of_a_video_and_a_sampler_exclude_each_other(
    omni: Family, video: Path, name: str, nested: bool
) -> None:
    processor = enable(omni.processor())
    keywords: dict[str, Any] = {"videos_kwargs": {name: True}} if nested else {name: True}
    text = processor.apply_chat_template(messages({"path": str(video)}))
    with pytest.raises(InputError, match=f"{name}=True needs evenly spaced frames"):
        processor(text=[text], videos=[str(video)], sampler=FixedSampler([0, 8]), **keywords)


def test_the_whole_sound_goes_with_chosen_frames_as_a_separate_audio(
    omni: Family, video: Path
) -> None:
    processor, model = omni.build()
    enable(processor, model=model)
    keyframes = [0, 8, 30, 68]
    text = processor.apply_chat_template(messages({"path": str(video)}), add_generation_prompt=True)
    inputs = processor(
        text=[f"<|audio_bos|><|AUDIO|><|audio_eos|>{text}"],
        videos=[str(video)],
        audio=[np.zeros(16_000, np.float32)],
        sampler=FixedSampler(keyframes),
        return_tensors="pt",
    )
    shown = [frame for frame in keyframes for _ in range(2)]
    assert omni.read_back(inputs) == shown
    assert omni.read_times is not None
    assert omni.expected_times is not None
    expected = omni.expected_times([frame / 10 for frame in shown])
    assert omni.read_times(inputs, processor, model) == expected
    assert int(inputs["feature_attention_mask"].sum()) == 100  # a hundred steps a second
    answer = model.generate(**inputs, max_new_tokens=2)
    assert answer.shape == (1, inputs["input_ids"].shape[1] + 2)


@pytest.fixture(scope="module")
def uneven(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[float]]:
    """A clip of variable rate that starts at 1.5 s, and the time of each of its frames."""
    path = tmp_path_factory.mktemp("clips") / "uneven.mkv"
    ticks = [1500 + 40 * i + 7 * i * i for i in range(40)]  # milliseconds
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.height = stream.width = 112
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "0"}
        stream.codec_context.time_base = Fraction(1, 1000)
        for tick, pixels in zip(ticks, numbered_frames(40), strict=True):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path, [tick / 1000 for tick in ticks]


def test_the_times_of_a_variable_rate_are_given_as_they_are(
    uneven: tuple[Path, list[float]],
) -> None:
    path, seconds = uneven
    processor = enable(QWEN3.processor())
    keyframes = [0, 5, 21, 39]
    inputs = processor.apply_chat_template(messages(block(path, keyframes)), **ANSWER)
    assert QWEN3.read_times is not None
    told = QWEN3.read_times(inputs, processor, None)
    assert QWEN3.read_back(inputs) == [i for i in keyframes for _ in range(2)]
    # Counted from the first frame. Halves of a millisecond may round either way.
    assert told == pytest.approx([seconds[i] - seconds[0] for i in keyframes], abs=0.0501)
    assert told != pytest.approx([i / 25 for i in keyframes], abs=0.5)


@pytest.mark.parametrize(
    ("family", "start"),
    [("qwen3_vl", 40_000.0), ("qwen2_5_vl", 95_440.0), ("smolvlm", 95_440.0)],
)
def test_the_times_of_a_late_clock_and_of_one_that_wraps_count_from_the_first_frame(
    family: str, start: float, tmp_path: Path
) -> None:
    """The times of MPEG-TS have 33 bits of 90 kHz: they begin again at 95,443.7 s."""
    path = numbered_video(tmp_path / "late.ts", n=60, seconds=[start + i / 10 for i in range(60)])
    tiny = FAMILIES[family]
    processor, model = build(family)
    enable(processor, model=model)
    keyframes = [0, 10, 30, 50]
    inputs = processor.apply_chat_template(messages(block(path, keyframes)), **ANSWER)
    assert tiny.read_times is not None
    assert tiny.read_times(inputs, processor, model) == pytest.approx([0, 1, 3, 5], abs=0.01)
    assert sorted(set(tiny.read_back(inputs))) == keyframes
    [selection] = processor.last_selections
    with open_video(path) as source:
        assert selection.pts_seconds == source.pts_seconds(keyframes).tolist()
        assert (
            selection.start_pts_seconds
            == source.pts_seconds([0]).item()
            == source.start_pts_seconds
        )
        assert (source.pts_seconds().diff() > 0).all()


def test_a_block_may_name_a_part(video: Path, tmp_path: Path) -> None:
    late = numbered_video(tmp_path / "late.mkv", seconds=[40_000 + i / 10 for i in range(120)])
    processor = enable(QWEN3.processor())
    part = {"sampler": "uniform", "num_frames": 3, "video_start": 2, "video_end": 4.95}
    asked = messages({"path": str(video), **part}, {"path": str(late), **part})
    inputs = processor.apply_chat_template(asked, **ANSWER)
    assert QWEN3.read_back(inputs) == 2 * [25, 25, 35, 35, 45, 45]
    assert QWEN3.read_times is not None
    told = QWEN3.read_times(inputs, processor, None)
    assert told == pytest.approx(2 * [2.5, 3.5, 4.5], abs=0.01)
    for selection in processor.last_selections:
        assert selection.indices == [25, 35, 45]
        assert (selection.start_seconds, selection.end_seconds) == (2, 4.95)
        assert selection.n_frames == 120
    pixels = torch.from_numpy(numbered_frames(120))
    facts = {"video": pixels, "video_metadata": {"fps": 10}}
    inputs = processor.apply_chat_template(messages({**facts, **part}), **ANSWER)
    assert QWEN3.read_back(inputs) == [25, 25, 35, 35, 45, 45]


def test_the_same_video_in_two_parts_is_two_videos(video: Path) -> None:
    processor = enable(QWEN3.processor())
    asked = {"path": str(video), "sampler": "uniform", "num_frames": 1}
    parts = messages({**asked, "video_end": 2}, {**asked, "video_start": 8})
    inputs = processor.apply_chat_template(parts, **ANSWER)
    assert QWEN3.read_back(inputs) == [10, 10, 100, 100]


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"video_start": 5, "video_end": 2}, "must end after it starts, got start 5 s and end 2 s"),
        ({"video_start": 12.0}, "no frame of .* is on show from 12.0 s to its end"),
        ({"video_start": "1"}, "the start of a part of a video must be a number of seconds"),
        ({"video_end": float("nan")}, "the end of a part of a video must be a number .* got nan"),
    ],
)
def test_what_is_no_part_of_the_video_is_refused(
    part: dict[str, Any], message: str, video: Path
) -> None:
    processor = enable(QWEN3.processor())
    with pytest.raises(InputError, match=message):
        processor.apply_chat_template(messages(block(video, [0], **part)), **ANSWER)


def test_a_video_of_one_frame_is_shown(tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "one.mp4", n=1)
    processor = enable(QWEN3.processor())
    asked = messages({"path": str(path), "sampler": "uniform", "num_frames": 8})
    assert QWEN3.read_back(processor.apply_chat_template(asked, **ANSWER)) == [0, 0]


PAIRS: dict[str, tuple[list[int], list[float]]] = {
    # keyframes 3, 9, 40 and 119 of 120 at 10 fps: times .3, .9, 4 and 11.9
    "duplicate": ([3, 3, 9, 9, 40, 40, 119, 119], [0.3, 0.9, 4.0, 11.9]),
    # half a second on, but not up to the next keyframe, nor beyond the end
    "neighbor": ([3, 8, 9, 14, 40, 45, 119, 119], [0.6, 1.1, 4.2, 11.9]),
    # .3 and .9 are less than a second apart
    "pack": ([3, 9, 40, 40, 119, 119], [0.6, 4.0, 11.9]),
    "plain": ([3, 9, 40, 119], [0.6, 8.0]),
}


@pytest.mark.parametrize("pair", PAIRS)
def test_each_way_of_pairing_shows_true_frames_at_their_mean_time(video: Path, pair: str) -> None:
    processor = enable(QWEN3.processor())
    asked = messages(block(video, [3, 9, 40, 119], pair=pair))
    inputs = processor.apply_chat_template(asked, **ANSWER)
    shown, told = PAIRS[pair]
    assert QWEN3.read_back(inputs) == shown
    assert QWEN3.read_times is not None
    # .55, 1.15 and 4.25 lie on the edge of rounding to tenths
    assert QWEN3.read_times(inputs, processor, None) == pytest.approx(told, abs=0.101)


def test_a_duplicated_frame_encodes_as_a_picture_does() -> None:
    processor = enable(QWEN3.processor())
    frames = torch.randint(0, 256, (3, 128, 128, 3), dtype=torch.uint8)
    clip = {"video": frames, "sampler": FixedSampler([1]), "video_metadata": {"fps": 2}}
    inputs = processor.apply_chat_template(messages(clip), **ANSWER)
    picture = processor.image_processor(images=[frames[1].numpy()], return_tensors="pt")
    assert inputs["video_grid_thw"].tolist() == picture["image_grid_thw"].tolist()
    assert torch.allclose(inputs["pixel_values_videos"], picture["pixel_values"], atol=1e-5)
