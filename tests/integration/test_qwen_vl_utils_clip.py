"""A part of a video behaves as a video of its own."""

from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin import open_video
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Frames
from keyscore_plugin.video import VideoSource
from keyscore_qwen_vl_utils.clip import Clip
from tests.tiny.videos import frame_numbers, numbered_video

N_FRAMES = 60


class StandingIn(Clip):
    """A whole video; its thumbnails are frames beside those asked for, as decoders may do."""

    def __init__(self, source: VideoSource, *, aside: int) -> None:
        super().__init__(source, 0, source.n_frames - 1)
        self.aside = aside

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        return super().thumbnails(torch.as_tensor(grid) + self.aside, short_side=short_side)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VideoSource]:
    path = numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4", n=N_FRAMES)
    with open_video(path) as opened:
        yield opened


def numbers(frames: Frames) -> list[int]:
    """Frames read back from ``(n, h, w, 3)`` pixels."""
    return frame_numbers(frames.pixels.double().mean(dim=(1, 2)))


def test_a_clip_has_the_facts_of_its_part(source: VideoSource) -> None:
    clip = Clip.between(source, 1.0, 2.9)
    assert isinstance(clip, VideoSource)
    assert (clip.first, clip.n_frames) == (10, 20)
    assert clip.duration_seconds == pytest.approx(2.0)
    assert float(clip.average_fps) == pytest.approx(10.0)
    assert clip.pts_seconds()[[0, -1]].tolist() == pytest.approx([1.0, 2.9])
    assert clip.pts_seconds([3]).tolist() == pytest.approx([1.3])
    assert clip.keyframes().tolist() == [
        i - 10 for i in source.keyframes().tolist() if 10 <= i < 30
    ]


def test_a_clip_without_limits_is_the_video(source: VideoSource) -> None:
    clip = Clip.between(source, None, None)
    assert clip.n_frames == source.n_frames
    assert clip.duration_seconds == pytest.approx(source.duration_seconds)
    assert torch.equal(clip.pts_seconds(), source.pts_seconds())


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_frames_and_thumbnails_of_a_clip_are_the_videos(
    source: VideoSource, data: st.DataObject
) -> None:
    first = data.draw(st.integers(0, N_FRAMES - 2))
    last = data.draw(st.integers(first + 1, N_FRAMES - 1))
    clip = Clip(source, first, last)
    rows = data.draw(st.sets(st.integers(0, clip.n_frames - 1), min_size=1, max_size=5))
    grid = sorted(rows)
    read = clip.read(grid)
    assert read.indices.tolist() == grid
    assert numbers(read) == [first + i for i in grid]
    for small in clip.thumbnails(grid, short_side=32):
        assert numbers(small) == (small.indices + first).tolist()
        assert torch.equal(small.pts_seconds, clip.pts_seconds(small.indices))
        assert 0 <= int(small.indices.min()) <= int(small.indices.max()) < clip.n_frames


@pytest.mark.parametrize(("aside", "expected"), [(-1, [0, 4, 18]), (1, [1, 6, 19])])
def test_no_frame_from_outside_stands_in(
    source: VideoSource, aside: int, expected: list[int]
) -> None:
    clip = Clip(StandingIn(source, aside=aside), 20, 39)
    [small] = clip.thumbnails([0, 5, 19], short_side=32)
    assert small.indices.tolist() == expected
    assert numbers(small) == [20 + i for i in expected]
    assert small.pts_seconds.tolist() == pytest.approx([2.0 + i / 10 for i in expected])


def test_an_interval_without_two_frames_is_refused(source: VideoSource) -> None:
    with pytest.raises(InputError, match=r"^1 of the 60 frames of .* widen the interval$"):
        Clip.between(source, 2.0, 2.05)
