"""Contract of every decoder over every kind of clip: frame i is frame i, at its true time."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.registries import DECODERS
from keyscore_plugin.video.samples import SAMPLES, sample_video
from keyscore_plugin.video.source import VideoSource, open_video
from tests.support.clips import CLIPS, Clip, draw, number_of
from tests.support.requires import require_decoder

TICK = 1.1e-3  # the coarsest clock of the clips, Matroska's
# What a decoder gets wrong or cannot open. It must say so, and name the decoder that can.
REFUSED = {
    "pyav": set[str](),
    "decord": {
        "av1.mkv",  # its FFmpeg has no AV1
        "edit_list.mp4",  # counts the frames that the list hides
        "hevc.mp4",  # open GOP
        "mpeg4_b_frames.avi",  # its times are nonsense
        "no_duration.mkv",  # needs a duration in the header
        "open_gop.mp4",  # hands out a neighbour
        "transport.ts",  # hands out the wrong group of pictures
    },
    "torchcodec": {
        "mpeg4_b_frames.avi",  # runs out of frames: packets without pts
        "transport.ts",  # hands out a later frame for the first
    },
}
# NVDEC decodes what torchcodec does; turned videos are refused.
REFUSED["torchcodec-cuda"] = REFUSED["torchcodec"] | {c.name for c in CLIPS if c.rotation}
# PyAV takes every clip, and so does a GPU, whose hardware has a part for each codec. decord and
# torchcodec take one clip of each kind that they can differ on; test_containers.py adds codecs.
TELLING = {
    "edit_list.mp4",
    "late_start.mp4",
    "long_gop.mkv",
    "open_gop.mp4",
    "rotated_90.mp4",
    "vfr_b_frames.mkv",
    "vp9.webm",
    "wrong_count.avi",
}
TAKES_FEW = {"decord", "torchcodec"}
Open = Callable[[Clip], VideoSource]


@pytest.fixture(params=sorted(DECODERS))
def decoder(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    require_decoder(name)
    return name


@pytest.fixture
def open_clip(decoder: str, clip_path: Callable[[Clip], Path]) -> Iterator[Open]:
    opened: list[VideoSource] = []

    def open_one(clip: Clip) -> VideoSource:
        opened.append(open_video(clip_path(clip), decoder))
        return opened[-1]

    yield open_one
    for video in opened:
        video.close()


def numbers(pixels: torch.Tensor) -> list[int]:
    return [number_of(image.numpy()) for image in pixels.cpu()]


each_clip = pytest.mark.parametrize(
    ("decoder", "clip"),
    [
        pytest.param(decoder, clip, id=f"{decoder}-{clip.name}")
        for decoder in sorted(DECODERS)
        for clip in CLIPS
        if clip.name not in REFUSED[decoder] and (clip.name in TELLING or decoder not in TAKES_FEW)
    ],
    indirect=["decoder"],
)
b_frames = next(clip for clip in CLIPS if clip.name == "vfr_b_frames.mkv")


@each_clip
def test_every_frame_is_itself_at_its_true_time(clip: Clip, open_clip: Open) -> None:
    video = open_clip(clip)
    assert isinstance(video, VideoSource)
    assert video.n_frames == len(clip.numbers)
    assert video.n_frames_counted
    assert (video.width, video.height, video.rotation) == (*clip.size, clip.rotation)
    frames = video.read(range(video.n_frames))
    assert frames.pixels.shape == (video.n_frames, video.height, video.width, 3)
    assert numbers(frames.pixels) == clip.numbers
    expected = torch.tensor(clip.seconds, dtype=torch.float64)
    torch.testing.assert_close(frames.pts_seconds, expected, atol=TICK, rtol=0)
    torch.testing.assert_close(video.pts_seconds(), frames.pts_seconds, atol=0, rtol=0)


@each_clip
def test_duration_runs_from_the_first_frame_to_the_end_of_the_last(
    clip: Clip, open_clip: Open
) -> None:
    video = open_clip(clip)
    shown = clip.seconds[-1] - clip.seconds[0]
    assert shown < video.duration_seconds <= shown + max(clip.gaps_ms) / 1000 + TICK
    assert float(video.average_fps) == pytest.approx(video.n_frames / video.duration_seconds)


@each_clip
def test_frames_come_in_the_order_asked_for_with_duplicates(clip: Clip, open_clip: Open) -> None:
    video = open_clip(clip)
    last, middle = video.n_frames - 1, video.n_frames // 2
    wanted = [last, 0, middle, middle, 0, last // 3]
    frames = video.read(torch.tensor(wanted))
    assert frames.indices.tolist() == wanted
    assert numbers(frames.pixels) == [clip.numbers[i] for i in wanted]


@each_clip
@pytest.mark.parametrize("step", [1, 7, 23])
def test_thumbnails_stand_near_the_grid_and_say_which_frame_they_are(
    clip: Clip, step: int, open_clip: Open
) -> None:
    video = open_clip(clip)
    grid = list(range(step // 2, video.n_frames, step)) or [0]
    batches = list(video.thumbnails(grid, short_side=40))
    indices = [int(i) for frames in batches for i in frames.indices]
    assert [number for frames in batches for number in numbers(frames.pixels)] == [
        clip.numbers[i] for i in indices
    ]
    assert len(indices) == len(grid)
    assert all(a < b for a, b in pairwise(indices))
    assert all(abs(i - point) <= step // 2 for i, point in zip(indices, grid, strict=True))
    times = torch.cat([frames.pts_seconds for frames in batches])
    torch.testing.assert_close(times, video.pts_seconds(indices), atol=0, rtol=0)
    assert {min(frames.pixels.shape[1:3]) for frames in batches} == {40}
    assert max(len(frames) for frames in batches) <= 32


@each_clip
def test_thumbnails_of_the_codecs_keyframes_are_those_frames(clip: Clip, open_clip: Open) -> None:
    video = open_clip(clip)
    keys = video.keyframes()
    assert len(keys) >= 1
    if clip.codec in ("libx264", "libx265", "libvpx-vp9") and not clip.n_cut:
        assert keys.tolist() == list(range(0, video.n_frames, clip.gop))
    frames = list(video.thumbnails(keys, short_side=40))
    assert torch.cat([f.indices for f in frames]).tolist() == keys.tolist()
    assert numbers(torch.cat([f.pixels for f in frames])) == [clip.numbers[i] for i in keys]


@pytest.mark.parametrize("b_frames", [0, 3])
def test_thumbnails_of_keyframes_that_lie_far_apart_are_all_there(
    b_frames: int, open_clip: Open
) -> None:
    video = open_clip(Clip(f"rare_{b_frames}.mp4", gop=100, n_frames=250, b_frames=b_frames))
    frames = list(video.thumbnails(video.keyframes(), short_side=40))
    assert numbers(torch.cat([f.pixels for f in frames])) == [0, 100, 200]


@pytest.mark.parametrize("name", ["h264.mp4", "full_range.mp4", "bt709.mp4", "rotated_90.mp4"])
def test_colours_are_those_that_were_painted(name: str, decoder: str, open_clip: Open) -> None:
    clip = next(clip for clip in CLIPS if clip.name == name)
    if name in REFUSED[decoder]:
        pytest.skip(f"{decoder} refuses {name}")
    seen = open_clip(clip).read([5, 30]).pixels.double()
    for image, number in zip(seen, (5, 30), strict=True):
        painted = torch.from_numpy(draw(number, *clip.size)).double()
        low, high = clip.size[1] * 5 // 8, clip.size[1] * 7 // 8
        off = image[low:high].mean(dim=(0, 1)) - painted[low:high].mean(dim=(0, 1))
        assert off.abs().max() < 6


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(SAMPLES))
@pytest.mark.parametrize("other", ["decord", "torchcodec", "torchcodec-cuda"])
def test_decoders_agree_on_the_pixels_of_real_clips(name: str, other: str) -> None:
    require_decoder(other)
    path = sample_video(name)
    with open_video(path) as ours, open_video(path, other) as theirs:
        at = [0, 7, 50, 119]
        off = (ours.read(at).pixels.int() - theirs.read(at).pixels.int()).abs().float()
        assert off.mean() < 1.5
        small = (next(v.thumbnails(at, short_side=96)).pixels.cpu().int() for v in (ours, theirs))
        off = (next(small) - next(small)).abs().float()
        assert off.mean() < 4


def test_read_scales_to_the_size_asked_for(open_clip: Open) -> None:
    frames = open_clip(b_frames).read([3, 40], size=(32, 72))
    assert frames.pixels.shape == (2, 32, 72, 3)
    assert numbers(frames.pixels) == [3, 40]


def test_thumbnails_are_never_upscaled(open_clip: Open) -> None:
    frames = next(open_clip(b_frames).thumbnails([0], short_side=500))
    assert frames.pixels.shape == (1, 64, 96, 3)


def test_nothing_asked_for_is_nothing_given(open_clip: Open) -> None:
    video = open_clip(b_frames)
    assert len(video.read([])) == 0
    assert list(video.thumbnails([], short_side=40)) == []


def test_threads_that_share_a_video_each_get_their_frames(open_clip: Open) -> None:
    """No decoder stands two threads: without turns this ends the process, or never ends."""
    video = open_clip(CLIPS[0])
    wanted = [40, 3, 21]

    def read(_: int) -> list[int]:
        seen = [len(batch) for batch in video.thumbnails(range(0, 48, 6), short_side=32)]
        return [*numbers(video.read(wanted).pixels), sum(seen)]

    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(read, range(32)))
    assert found == [[*wanted, 8]] * 32


def test_a_video_that_another_thread_closes_is_closed_between_two_reads(open_clip: Open) -> None:
    """Not during one: a decoder that is freed while it decodes ends the process."""
    video = open_clip(CLIPS[0])

    def read_on() -> None:
        while True:
            video.read(range(8))

    with ThreadPoolExecutor(3) as threads:
        readers = [threads.submit(read_on) for _ in range(3)]
        video.read([0])
        video.close()
        for reader in readers:
            with pytest.raises(VideoError, match="it was closed"):
                reader.result()


def test_reading_goes_on_after_thumbnails_are_left_half_way(open_clip: Open) -> None:
    video = open_clip(b_frames)
    next(video.thumbnails(range(video.n_frames), short_side=40))
    assert numbers(video.read([20, 1]).pixels) == [20, 1]


@pytest.mark.parametrize(
    ("indices", "words"),
    [([48], "frame 48"), ([-1], "frame -1"), ([0.5], "whole numbers"), ([[1]], "one list")],
)
def test_an_index_beyond_the_video_is_an_error(
    indices: list[int], words: str, open_clip: Open
) -> None:
    video = open_clip(b_frames)
    for call in (video.read, video.pts_seconds):
        with pytest.raises(InputError, match=words):
            call(indices)


@pytest.mark.parametrize("grid", [[3, 3], [4, 2]])
def test_a_grid_that_does_not_rise_is_an_error(grid: list[int], open_clip: Open) -> None:
    with pytest.raises(InputError, match="rising"):
        open_clip(b_frames).thumbnails(grid, short_side=40)


def test_a_closed_video_says_so_and_closes_twice(open_clip: Open) -> None:
    with open_clip(b_frames) as video:
        running = video.thumbnails(range(video.n_frames), short_side=40)
    video.close()
    for call in (lambda: video.read([0]), lambda: video.thumbnails([0], short_side=40)):
        with pytest.raises(VideoError, match="closed"):
            call()
    with pytest.raises(VideoError, match="closed"):
        next(running)


@pytest.mark.parametrize(
    ("decoder", "name"), [(d, name) for d in sorted(REFUSED) for name in sorted(REFUSED[d])]
)
def test_a_refusal_names_pyav(decoder: str, name: str, clip_path: Callable[[Clip], Path]) -> None:
    require_decoder(decoder)
    path = clip_path(next(clip for clip in CLIPS if clip.name == name))
    with pytest.raises(VideoError, match="decoder='pyav'"), open_video(path, decoder) as video:
        video.read(range(video.n_frames))
