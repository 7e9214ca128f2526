"""What a run reads is what the decoder gives; prefetching changes only when it happens."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin.algorithm.stacfp import hsv_histograms
from keyscore_plugin.config import GridConfig, SamplerConfig
from keyscore_plugin.errors import VideoError
from keyscore_plugin.samplers.grid import prefetch
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.stacfp import StacfpSampler
from keyscore_plugin.video.source import VideoSource, open_video
from tests.support.clips import CLIPS

BINS = (8, 4, 4)
PATIENCE = 5.0  # seconds after which a thread that should have moved counts as stuck


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    (b_frames,) = (clip for clip in CLIPS if clip.name == "b_frames.mp4")
    return b_frames.write(tmp_path_factory.mktemp("look"))


def run_on(source: VideoSource, grid: GridConfig, *, num_frames: int = 1) -> Run:
    sampler = StacfpSampler(SamplerConfig(grid=grid), device="cpu")
    return sampler.run_on(source, SelectionRequest(num_frames))


def threads_of_ours() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("keyscore-prefetch")]


@given(st.lists(st.integers()), st.integers(1, 5))
def test_everything_comes_through_in_order(items: list[int], depth: int) -> None:
    assert list(prefetch(iter(items), depth=depth)) == items


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made: list[int] = []
    third = threading.Event()

    def numbers() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 2:
                third.set()
            yield number

    items = prefetch(numbers(), depth=2)
    assert next(items) == 0
    assert third.wait(PATIENCE)  # made while nobody asked
    threading.Event().wait(0.05)
    assert made == [0, 1, 2]
    items.close()


def test_an_error_comes_where_its_item_would_have_come() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise VideoError("v.mp4", "it ends", "repair it")

    items = prefetch(broken(), depth=4)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(VideoError, match="it ends"):
        next(items)
    assert threads_of_ours() == []


def test_closing_early_ends_the_thread_and_what_it_reads() -> None:
    closed = threading.Event()

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.set()

    items = prefetch(endless(), depth=2)
    next(items)
    assert threads_of_ours() == ["keyscore-prefetch_0"]
    items.close()
    del items
    assert threads_of_ours() == []
    assert closed.wait(PATIENCE)


def test_the_look_is_what_the_decoder_gives(clip: Path) -> None:
    config = GridConfig(short_side=32)
    with open_video(clip) as source:
        run = run_on(source, config, num_frames=source.n_frames)
        grid, histograms = run.look_with_histograms(config)
        expected = list(source.thumbnails(range(source.n_frames), short_side=32))
    frames = grid[torch.arange(len(grid))]
    assert frames.indices.tolist() == list(range(source.n_frames))
    assert frames.pixels.equal(torch.cat([batch.pixels for batch in expected]))
    assert frames.pts_seconds.equal(torch.cat([batch.pts_seconds for batch in expected]))
    assert histograms.equal(hsv_histograms(frames.pixels, bins=BINS))


def test_colours_without_pixels_are_the_same_colours(clip: Path) -> None:
    config = GridConfig(sample_fps=5, short_side=32)
    with open_video(clip) as source:
        frames, histograms = run_on(source, config).look_with_histograms(config)
        colours, counted = run_on(source, config).histograms(config)
    assert counted.equal(histograms)
    assert colours.indices.equal(frames.indices)
    assert colours.pts_seconds.equal(frames.pts_seconds)


def test_a_fault_while_looking_leaves_no_thread_and_the_video_usable(clip: Path) -> None:
    def fail_on_the_first(source: VideoSource) -> None:
        grid = GridConfig(short_side=32)
        with run_on(source, grid).read_grid(grid, device=torch.device("cpu")) as (batches, _):
            next(batches)
            raise RuntimeError("no room")

    with open_video(clip) as source:
        with pytest.raises(RuntimeError, match="no room"):
            fail_on_the_first(source)
        assert threads_of_ours() == []
        assert len(source.read([0, 1])) == 2
