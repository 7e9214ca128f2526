"""A part of a video behaves as a whole video."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin import get_sampler, open_video
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.within import within
from keyscore_plugin.types import Frames, Selection
from keyscore_plugin.video.source import VideoSource
from keyscore_plugin.video.trim import TrimmedVideo
from tests.support.clips import Clip, number_of
from tests.support.pretend_gpu import DEVICE, PretendGpu
from tests.support.tiny.videos import frame_numbers, numbered_video

N_FRAMES = 60


class StandingIn(TrimmedVideo):
    """A whole video; its thumbnails are frames next to those asked for, as decoders may do."""

    def __init__(self, source: VideoSource, *, aside: int) -> None:
        super().__init__(source, 0, source.n_frames - 1)
        self.aside = aside

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        return super().thumbnails(torch.as_tensor(grid) + self.aside, short_side=short_side)


class StandingInElsewhere(StandingIn):
    """As decoded on a GPU, where thumbnails stay."""

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        for batch in super().thumbnails(grid, short_side=short_side):
            yield batch.to(DEVICE)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VideoSource]:
    path = numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4", n=N_FRAMES)
    with open_video(path) as opened:
        yield opened


def numbers(frames: Frames) -> list[int]:
    """Frames read back from ``(n, h, w, 3)`` pixels."""
    return frame_numbers(frames.pixels.double().mean(dim=(1, 2)))


def test_an_excerpt_has_the_facts_of_its_part(source: VideoSource) -> None:
    excerpt = TrimmedVideo.between(source, 1.0, 2.9)
    assert isinstance(excerpt, VideoSource)
    assert (excerpt.first, excerpt.n_frames) == (10, 20)
    assert excerpt.duration_seconds == pytest.approx(2.0)
    assert float(excerpt.average_fps) == pytest.approx(10.0)
    assert excerpt.pts_seconds()[[0, -1]].tolist() == pytest.approx([1.0, 2.9])
    assert excerpt.pts_seconds([3]).tolist() == pytest.approx([1.3])
    assert excerpt.keyframes().tolist() == [
        i - 10 for i in source.keyframes().tolist() if 10 <= i < 30
    ]


def test_an_excerpt_without_limits_is_the_video(source: VideoSource) -> None:
    excerpt = TrimmedVideo.between(source, None, None)
    assert excerpt.n_frames == source.n_frames
    assert excerpt.duration_seconds == pytest.approx(source.duration_seconds)
    assert torch.equal(excerpt.pts_seconds(), source.pts_seconds())


@settings(max_examples=25)
@given(data=st.data())
def test_frames_and_thumbnails_of_an_excerpt_are_the_videos(
    source: VideoSource, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, N_FRAMES - 2))
    last = data.draw(st.integers(first + 1, N_FRAMES - 1))
    excerpt = TrimmedVideo(source, first, last)
    rows = data.draw(st.sets(st.integers(0, excerpt.n_frames - 1), min_size=1, max_size=5))
    grid = sorted(rows)
    read = excerpt.read(grid)
    assert read.indices.tolist() == grid
    assert numbers(read) == [first + i for i in grid]
    for small in excerpt.thumbnails(grid, short_side=32):
        assert numbers(small) == (small.indices + first).tolist()
        assert torch.equal(small.pts_seconds, excerpt.pts_seconds(small.indices))
        assert 0 <= int(small.indices.min()) <= int(small.indices.max()) < excerpt.n_frames


@pytest.mark.parametrize(("aside", "expected"), [(-1, [0, 4, 18]), (1, [1, 6, 19])])
def test_no_frame_from_outside_stands_in(
    source: VideoSource, aside: int, expected: list[int]
) -> None:
    excerpt = TrimmedVideo(StandingIn(source, aside=aside), 20, 39)
    [small] = excerpt.thumbnails([0, 5, 19], short_side=32)
    assert small.indices.tolist() == expected
    assert numbers(small) == [20 + i for i in expected]
    assert small.pts_seconds.tolist() == pytest.approx([2.0 + i / 10 for i in expected])


def test_what_stands_in_on_a_gpu_is_replaced_there(source: VideoSource) -> None:
    with PretendGpu():
        excerpt = TrimmedVideo(StandingInElsewhere(source, aside=1), 20, 39)
        [small] = excerpt.thumbnails([0, 5, 19], short_side=32)
        assert small.pixels.device == DEVICE
        assert numbers(small.to("cpu")) == [21, 26, 39]


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [
        (2.0, 2.05, (20, 20)),  # one frame is a part
        (2.02, 2.08, (20, 20)),  # none begins there: the one on show
        (5.95, None, (59, 59)),
        (None, 0.05, (0, 0)),
        (0, 99, (0, 59)),  # an end beyond the video is its end
        (np.float32(1.5), np.int64(2), (15, 20)),
    ],
)
def test_a_part_holds_the_frames_that_begin_in_it_or_the_one_on_show(
    source: VideoSource, start: float | None, end: float | None, expected: tuple[int, int]
) -> None:
    excerpt = TrimmedVideo.between(source, start, end)
    assert (excerpt.first, excerpt.first + excerpt.n_frames - 1) == expected
    assert excerpt.duration_seconds == pytest.approx(excerpt.n_frames / 10)
    assert {type(bound) for bound in (excerpt.start_seconds, excerpt.end_seconds)} <= {
        float,
        type(None),
    }


@pytest.mark.parametrize(
    ("start", "end", "message"),
    [
        (6.0, None, r"^no frame of .* is on show from 6.0 s to its end, .* it lasts 6.00 s; give "),
        (8.0, 9.0, r"^no frame of .* is on show from 8.0 s to 9.0 s, counted from its first frame"),
        (5.0, 2.0, r"^a part .* must end after it starts, got start 5.0 s and end 2.0 s; swap"),
        (2.0, 2.0, "must end after it starts"),
        ("1", None, r"^the start of a part .* must be a number of seconds, 0 or more, .* got '1'$"),
        (None, float("nan"), r"^the end of a part .* got nan$"),
        (10**400, None, r"^the start of a part .* got <int of 1,329 bits>$"),
        (float("inf"), None, r"^the start of a part .* got inf$"),
        (-1, None, r"^the start of a part .* got -1$"),
        (True, None, r"^the start of a part .* got True$"),
        ("9" * 10**6, None, r"^the start of a part .* got '99+"),
        (np.zeros((400, 400)), None, r"^the start of a part .* got <array of shape"),
    ],
)
def test_what_is_no_part_is_refused_in_one_line(
    source: VideoSource, start: Any, end: Any, message: str
) -> None:
    with pytest.raises(InputError, match=message) as error:
        TrimmedVideo.between(source, start, end)
    assert len(str(error.value)) <= 400
    assert "\n" not in str(error.value)


# 40 frames, 1 s apart, from 3 s on the container's clock.
LONG = Clip("long.mkv", n_frames=40, gaps_ms=(1000,), start_ms=3000, gop=10)


def test_a_part_counts_from_the_first_frame_and_its_times_are_the_containers(
    clip_path: Callable[[Clip], Path],
) -> None:
    with open_video(clip_path(LONG)) as whole:
        assert whole.start_pts_seconds == 3.0
        excerpt = TrimmedVideo.between(whole, 5, 9)
        assert (excerpt.first, excerpt.n_frames) == (5, 5)
        assert excerpt.pts_seconds().tolist() == [8.0, 9.0, 10.0, 11.0, 12.0]
        assert excerpt.start_pts_seconds == 3.0
        inner = TrimmedVideo.between(excerpt, 7, None)
        assert inner.pts_seconds().tolist() == [10.0, 11.0, 12.0]


def test_a_selection_from_a_part_names_frames_of_the_whole_video(
    clip_path: Callable[[Clip], Path],
) -> None:
    path = clip_path(LONG)
    held = within(get_sampler("stacfp"), start_seconds=10, end_seconds=30)
    selection = held(path, num_frames=4)
    with open_video(path) as whole:
        assert selection.pts_seconds == whole.pts_seconds(selection.indices).tolist()
        assert (selection.n_frames, selection.duration_seconds) == (40, whole.duration_seconds)
        assert selection.average_fps == float(whole.average_fps)
        assert selection.start_pts_seconds == 3.0
        assert held(whole, num_frames=4).indices == selection.indices
    assert (selection.start_seconds, selection.end_seconds) == (10, 30)
    assert 10 <= min(selection.indices) <= max(selection.indices) <= 30
    assert {frame.index for frame in selection.candidates} <= set(range(10, 31))
    assert Selection.from_json(selection.to_json()) == replace(selection, curves=())
    assert selection.seconds["total"] >= selection.seconds["decode"] > 0


def test_without_a_bound_a_sampler_stays_what_it_is() -> None:
    sampler = get_sampler("uniform")
    assert within(sampler) is sampler


@pytest.fixture
def beginning(clip_path: Callable[[Clip], Path]) -> Iterator[TrimmedVideo]:
    with open_video(clip_path(LONG)) as whole:
        yield TrimmedVideo.beginning(whole, 31.0)


def test_of_a_beginning_only_frames_that_start_in_time_are_left(beginning: TrimmedVideo) -> None:
    assert beginning.n_frames == 31
    assert beginning.pts_seconds().tolist() == [3.0 + i for i in range(31)]
    assert beginning.keyframes().tolist() == [0, 10, 20, 30]
    assert beginning.duration_seconds == 31.0
    assert beginning.average_fps == 1


def test_frames_of_a_beginning_keep_their_index_time_and_picture(beginning: TrimmedVideo) -> None:
    frames = beginning.read([30, 4])
    assert frames.indices.tolist() == [30, 4]
    assert frames.pts_seconds.tolist() == [33.0, 7.0]
    assert [number_of(picture.numpy()) for picture in frames.pixels] == [30, 4]
    assert beginning.pts_seconds([30, 4]).tolist() == [33.0, 7.0]


def test_what_lies_outside_is_not_there(beginning: TrimmedVideo) -> None:
    looks = (
        beginning.read,
        beginning.pts_seconds,
        lambda rows: list(beginning.thumbnails(rows, short_side=32)),
    )
    for look in looks:
        with pytest.raises(InputError, match=r"frame 31 is not in this part .* 0 to 30"):
            look([5, 31])
        wrong: Any = [0.5]
        with pytest.raises(InputError, match="whole numbers"):
            look(wrong)


@pytest.mark.parametrize("sampler", ["uniform", "random", "iframes", "stacfp", "katna"])
def test_every_sampler_stays_inside(beginning: TrimmedVideo, sampler: str) -> None:
    selection = get_sampler(sampler)(beginning, num_frames=6)
    assert len(selection.indices) == 6
    assert max(selection.indices) <= 30


def test_uniform_divides_what_is_left(beginning: TrimmedVideo) -> None:
    assert get_sampler("uniform")(beginning, num_frames=2).indices == [7, 23]


def test_the_beginning_of_a_short_video_is_all_of_it(clip_path: Callable[[Clip], Path]) -> None:
    with open_video(clip_path(LONG)) as whole:
        same = TrimmedVideo.beginning(whole, 99)
        assert same.n_frames == whole.n_frames == 40
        assert same.duration_seconds == pytest.approx(whole.duration_seconds)
        assert float(same.average_fps) == pytest.approx(float(whole.average_fps))
        ours, theirs = (
            torch.cat([f.pixels for f in s.thumbnails([0, 20, 39], short_side=32)])
            for s in (same, whole)
        )
        assert ours.equal(theirs)
