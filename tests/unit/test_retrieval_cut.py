"""A video that ends early: to a sampler it is a shorter video."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from evals.retrieval.cut import CutSource
from keyscore_plugin import get_sampler, open_video
from keyscore_plugin.errors import InputError
from tests.clips import Clip, number_of

# 40 frames, 1 s apart, from 3 s on the container's clock.
LONG = Clip("long.mkv", n_frames=40, gaps_ms=(1000,), start_ms=3000, gop=10)


@pytest.fixture
def cut(clip_path: Callable[[Clip], Path]) -> Iterator[CutSource]:
    with CutSource(open_video(clip_path(LONG)), 31.0) as source:
        yield source


def test_only_frames_that_start_in_time_are_left(cut: CutSource) -> None:
    assert cut.n_frames == 31
    assert cut.pts_seconds().tolist() == [3.0 + i for i in range(31)]
    assert cut.keyframes().tolist() == [0, 10, 20, 30]
    assert cut.duration_seconds == 31.0
    assert cut.average_fps == 1
    assert cut.notes[-1] == "only the first 31 s are used"


def test_frames_keep_their_index_time_and_picture(cut: CutSource) -> None:
    frames = cut.read([30, 4])
    assert frames.indices.tolist() == [30, 4]
    assert frames.pts_seconds.tolist() == [33.0, 7.0]
    assert [number_of(picture.numpy()) for picture in frames.pixels] == [30, 4]
    assert cut.pts_seconds([30, 4]).tolist() == [33.0, 7.0]


def test_what_lies_behind_the_end_is_not_there(cut: CutSource) -> None:
    for look in (cut.read, cut.pts_seconds, lambda rows: list(cut.thumbnails(rows, short_side=32))):
        with pytest.raises(InputError, match=r"frame 31 is not in the first 31 s .* 0 to 30"):
            look([5, 31])


@pytest.mark.parametrize("sampler", ["uniform", "random", "iframes", "stacfp", "katna"])
def test_every_sampler_stays_inside(cut: CutSource, sampler: str) -> None:
    selection = get_sampler(sampler)(cut, num_frames=6)
    assert len(selection.indices) == 6
    assert max(selection.indices) <= 30


def test_uniform_divides_what_is_left(cut: CutSource) -> None:
    assert get_sampler("uniform")(cut, num_frames=2).indices == [7, 23]


def test_a_video_that_is_short_enough_is_as_it_was(clip_path: Callable[[Clip], Path]) -> None:
    with open_video(clip_path(LONG)) as whole, CutSource(open_video(clip_path(LONG)), 99) as same:
        assert same.n_frames == whole.n_frames == 40
        assert same.duration_seconds == whole.duration_seconds
        assert same.average_fps == whole.average_fps
        assert same.notes == whole.notes
        ours, theirs = (
            torch.cat([f.pixels for f in s.thumbnails([0, 20, 39], short_side=32)])
            for s in (same, whole)
        )
        assert ours.equal(theirs)
