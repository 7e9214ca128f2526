"""The shapes in which a call gives its videos, and what is found in messages and keywords."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin.config import GridConfig, SamplerConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.opening import array_video, video_identity
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.images import ImageVideo
from keyscore_plugin.video.source import VideoSource, open_video
from keyscore_transformers.choosing import HOST
from keyscore_transformers.request import (
    names_a_sampler,
    sort_keywords,
    user_text,
    video_blocks,
    without_ours,
)
from keyscore_transformers.videos import flat_videos, same_nesting
from tests.support.tiny.videos import numbered_frames, numbered_video

CLIP = torch.zeros(2, 4, 6, 3, dtype=torch.uint8)
PIPE = io.BytesIO(b"video")
SHAPES: dict[str, tuple[Any, int]] = {
    "a path": ("a.mp4", 1),
    "a Path": (Path("a.mp4"), 1),
    "paths": (["a.mp4", "b.mp4"], 2),
    "paths of two prompts": ([["a.mp4"], ["b.mp4", Path("c.mp4")]], 3),
    "bytes": (b"video", 1),
    "file objects": ([PIPE, PIPE], 2),
    "a tensor": (CLIP, 1),
    "an array": (CLIP.numpy(), 1),
    "arrays": ([CLIP, CLIP.numpy()], 2),
    "a batch": (torch.stack([CLIP] * 3), 3),
    "a batch in a list": ([torch.stack([CLIP] * 3)], 3),
    "frames": (list(CLIP), 1),
    "frames of two videos": ([list(CLIP), list(CLIP.numpy())], 2),
    "pictures": ([PIL.Image.new("RGB", (6, 4))] * 2, 1),
    "a path and an array": ([["a.mp4", CLIP]], 2),
    "prompts of which some have none": ([[], ["a.mp4"], (), [list(CLIP)]], 2),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_is_understood(shape: str) -> None:
    videos, n_videos = SHAPES[shape]
    flat = flat_videos(videos)
    given = ("a.mp4", "b.mp4", "c.mp4", b"video", PIPE)
    assert len(flat) == n_videos
    assert all(v.shape == CLIP.shape if isinstance(v, Tensor) else v in given for v in flat)


paths = st.recursive(st.just("a.mp4"), lambda inner: st.lists(inner, min_size=1, max_size=3))
prompts = st.lists(paths | st.just([]), min_size=1, max_size=4)


@given(prompts.filter(any))
def test_replacements_stand_where_the_videos_stood(videos: list[Any]) -> None:
    numbered = (torch.tensor(i) for i in range(1000))
    nested = same_nesting(videos, numbered)

    def shape(item: Any) -> Any:
        return [shape(one) for one in item] if isinstance(item, list) else "video"

    def flat(item: Any) -> list[int]:
        if isinstance(item, list):
            return [number for one in item for number in flat(one)]
        return [int(item)]

    assert shape(nested) == shape(videos)
    assert flat(nested) == list(range(len(flat_videos(videos))))


@pytest.mark.parametrize("wrong", [[], [[], []], None, 3, [None], "a.PNG", {"a": 1}])
def test_what_is_no_video_is_refused(wrong: Any) -> None:
    with pytest.raises(InputError):
        flat_videos(wrong)


def test_frames_of_several_sizes_are_refused() -> None:
    with pytest.raises(InputError, match="must have one size"):
        flat_videos([PIL.Image.new("RGB", (4, 4)), PIL.Image.new("RGB", (6, 4))])


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4")


def video_of(pixels: Tensor, metadata: dict[str, Any] | None) -> ImageVideo:
    return array_video(pixels, metadata, give_times=HOST.give_times)


@pytest.fixture(scope="module")
def array() -> ImageVideo:
    return video_of(torch.from_numpy(numbered_frames()), {"fps": 10.0})


def test_an_array_is_a_video_like_its_file(file: Path, array: ImageVideo) -> None:
    assert isinstance(array, VideoSource)
    same = array
    with open_video(file) as source:
        assert same.n_frames == source.n_frames
        assert same.average_fps == source.average_fps
        assert same.duration_seconds == pytest.approx(source.duration_seconds)
        assert torch.allclose(same.pts_seconds(), source.pts_seconds())
        wanted = [7, 3, 3, 119]
        found, expected = same.read(wanted), source.read(wanted)
        assert torch.equal(found.indices, expected.indices)
        assert (found.pixels.int() - expected.pixels.int()).abs().max() <= 4
        grid = grid_indices(source, GridConfig(), at_least=1)
        small = torch.cat([batch.pixels for batch in same.thumbnails(grid, short_side=28)])
        assert small.shape == (len(grid), 28, 28, 3)
        assert torch.equal(small[:, 0, 0], array.read(grid).pixels[:, 0, 0])


@pytest.mark.parametrize("fps", [10, np.float32(10), torch.tensor(10.0)])
def test_a_rate_is_any_positive_number(fps: Any) -> None:
    assert video_of(CLIP, {"fps": fps}).pts_seconds().tolist() == [0.0, 0.1]


@pytest.mark.parametrize("fps", [-10.0, float("nan"), float("inf"), "ten", [10.0, 5.0]])
def test_what_is_no_rate_is_refused(fps: Any) -> None:
    with pytest.raises(InputError, match="fps must be a positive number"):
        video_of(CLIP, {"fps": fps})


@pytest.mark.parametrize("sampler", ["uniform", "stacfp"])
def test_samplers_choose_from_an_array_as_from_its_file(
    file: Path, array: ImageVideo, sampler: str
) -> None:
    choose = get_sampler(sampler, config=SamplerConfig())
    assert choose(array, num_frames=5).indices == choose(file, num_frames=5).indices


def test_rows_of_an_array_may_be_some_frames_of_the_video() -> None:
    rows = video_of(CLIP, {"fps": 10.0, "frames_indices": [5, 30], "duration": 12.0})
    assert rows.pts_seconds().tolist() == [0.5, 3.0]
    assert rows.duration_seconds == 12.0
    with pytest.raises(InputError, match="has 3 frames_indices"):
        video_of(CLIP, {"fps": 10.0, "frames_indices": [5, 30, 31]})


@pytest.mark.parametrize("metadata", [None, {}, {"fps": None}, {"fps": 0}])
def test_an_array_without_a_rate_has_no_times(metadata: Any) -> None:
    with pytest.raises(InputError, match=r"times of .* are unknown; give video_metadata"):
        video_of(CLIP, metadata)


FACTS = {"fps": 10.0, "frames_indices": np.arange(0, 4000, 2)}
CHANGED = {**FACTS, "frames_indices": np.arange(0, 4000, 2) + np.eye(1, 2000, 1000, int)[0]}


def test_arrays_are_one_video_only_if_view_and_times_are_the_same() -> None:
    whole = torch.zeros(8, 3, 4, 3, dtype=torch.uint8)
    views = [
        whole[:4],
        whole[::2],
        whole[4:],
        whole[:4].transpose(1, 3),
        whole[:4].reshape(4, 4, 3, 3),
    ]
    assert len({video_identity(view, FACTS) for view in views}) == len(views)
    assert repr(FACTS) == repr(CHANGED)  # NumPy leaves out the middle
    assert video_identity(whole, FACTS) != video_identity(whole, CHANGED)
    assert video_identity(whole, FACTS) == video_identity(whole[:], {**FACTS, "width": 4})
    assert video_identity(whole, None) == video_identity(whole, {})


@pytest.mark.parametrize("pixels", [CLIP.float(), CLIP[0], CLIP[..., :2], CLIP[:0]])
def test_an_array_is_rgb_bytes(pixels: Tensor) -> None:
    with pytest.raises(InputError, match=r"must be .* uint8, got"):
        video_of(pixels, {"fps": 1})


@pytest.mark.parametrize(
    "nest",
    [
        lambda k: k,
        lambda k: {"processor_kwargs": k},
        lambda k: {"videos_kwargs": k},
        lambda k: {"processor_kwargs": {"videos_kwargs": k}},
    ],
)
def test_our_keywords_are_found_and_others_stay(nest: Any) -> None:
    call = {"tokenize": True, **nest({"sampler": "uniform", "num_frames": 4, "size": 3})}
    ours, rest = sort_keywords(call)
    assert ours == {"sampler": "uniform", "num_frames": 4}
    assert rest == {"tokenize": True, **nest({"size": 3})}
    assert names_a_sampler(call)
    assert not names_a_sampler(rest)
    assert without_ours(call) == {"tokenize": True, **nest({"num_frames": 4, "size": 3})}


def test_videos_and_texts_are_found_in_messages() -> None:
    clip = {"type": "video", "path": "a.mp4", "sampler": "uniform", "caption": "A dog."}
    first = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": [clip, {"type": "text", "text": "Who?"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Me."}]},
        {"role": "user", "content": "And why?"},
    ]
    second = [{"role": "user", "content": [{"type": "video", "url": "b.mp4"}]}]
    one, two = video_blocks([first, second])
    assert (one.video, two.video) == ("a.mp4", "b.mp4")
    assert one.keywords == {"sampler": "uniform", "caption": "A dog."}
    assert (one.user_text, two.user_text) == ("Who?", None)


CLIP_ALONE = {"role": "user", "content": [{"type": "video", "path": "a.mp4"}]}
ANSWERED = {"role": "assistant", "content": "So."}


def says(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


CHATS: dict[str, tuple[list[Any], str | None]] = {
    "after it, in the same turn": ([says("Hi."), ANSWERED, CLIP_ALONE, says("Who?")], "Who?"),
    "before it, in the same turn": ([says("Hi."), ANSWERED, says("Who?"), CLIP_ALONE], "Who?"),
    "in an earlier turn": ([says("Hi."), ANSWERED, says("Who?"), ANSWERED, CLIP_ALONE], "Who?"),
    "in the next turn": ([CLIP_ALONE, ANSWERED, says("Who?")], "Who?"),
    "with a tool between": (
        [says("Who?"), ANSWERED, {**CLIP_ALONE, "role": "tool"}, {"role": "tool"}],
        "Who?",
    ),
    "nowhere": ([{"role": "system", "content": "Be brief."}, CLIP_ALONE, ANSWERED], None),
}


@pytest.mark.parametrize("case", CHATS)
def test_a_video_without_words_is_asked_by_the_nearest_turn(case: str) -> None:
    chat, question = CHATS[case]
    at = next(
        i for i, message in enumerate(chat) if message.get("content") is CLIP_ALONE["content"]
    )
    assert user_text(chat, at) == question


@given(st.lists(st.sampled_from([says("Who?"), says("Why?"), ANSWERED, CLIP_ALONE]), max_size=6))
def test_what_is_asked_of_a_video_stays_once_it_is_answered(later: list[Any]) -> None:
    asked = [says("Hi."), ANSWERED, CLIP_ALONE, says("Where?"), ANSWERED]
    for at, message in enumerate(asked):
        if message is not ANSWERED:
            assert user_text([*asked, *later], at) == user_text(asked, at)
