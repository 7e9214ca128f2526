"""Contract over containers and codecs: frame i is frame i however it is read, or it is refused.

``make fuzz`` runs the whole table by every decoder and holds all of it against the ffmpeg command.
Else PyAV reads the more telling part, and decord, torchcodec and ffmpeg read a few clips of it.
"""

import os
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from keyscore_plugin.errors import VideoError
from keyscore_plugin.video.source import VideoSource, open_video
from tests.support.clips import Clip, number_of
from tests.support.containers import CELLS, N_FRAMES, TIMED, is_telling
from tests.support.requires import require_decoder

pytestmark = pytest.mark.slow

LONG = "KEYSCORE_FUZZ_FILES" in os.environ
TABLE = [clip for clip in CELLS if LONG or is_telling(clip)]
TICK = 1.1e-3  # the coarsest clock, Matroska's
GAP = 0.04
# FFmpeg shows the first frames of a container without presentation times at such a distance.
GUESSED = 2 * GAP + TICK
NO_RATE = {"h261", "h263"}  # these containers do not say how many frames a second they have
ALONE = (N_FRAMES - 1, 11, 20)
# Some keyframes of theirs do not start a clean picture: thumbnails that are far apart do without.
UNCLEAN = ("h264refresh", "hevcb-wrong_keyframe")
# What the other decoders do not refuse; what more they read may depend on their FFmpeg.
READ_BY = {
    "decord": {f"{codec}.{box}" for codec in ("h264", "h264b", "mpeg4") for box in ("mp4", "mkv")},
    "torchcodec": {
        *(
            f"{codec}.{box}"
            for codec in ("h264", "h264b", "hevc", "hevcb")
            for box in ("mp4", "mkv")
        ),
        *("vp9.webm", "av1.mkv", "mpeg4.mov", "prores.mov", "h264b.flv"),
    },
}
# One of each way to tell the order: each time, every decoder and the ffmpeg command read these.
FEW = {
    *("mpeg4b-packed.avi", "h264b.avi", "h264open.mxf", "mpeg2b.vob", "wmv2.wmv"),
    *("h264b.mp4", "hevcb-no_composition.mp4", "vp8alt.webm", "hevcb.ts", "h264b.h264"),
}
# What the ffmpeg 5 of Debian 12 does not read.
NEWER = {"ffv1.mxf", *(f"{codec}.flv" for codec in ("hevc", "hevcb", "vp9", "vp9alt", "av1"))}


def numbers(pixels: torch.Tensor) -> list[int]:
    return [number_of(image.numpy()) for image in pixels]


def base(clip: Clip) -> str:
    return clip.name.partition(".")[0]


def container(clip: Clip) -> str:
    return clip.name.partition(".")[2]


@pytest.mark.parametrize(
    ("decoder", "clip"),
    [
        pytest.param(decoder, clip, id=f"{decoder}-{clip.name}")
        for decoder in ("decord", "pyav", "torchcodec")
        for clip in TABLE
        if LONG or decoder == "pyav" or clip.name in READ_BY[decoder] | FEW
    ],
)
def test_a_cell_is_right_in_three_ways_of_reading_or_refused(
    clip: Clip, decoder: str, clip_path: Callable[[Clip], Path]
) -> None:
    require_decoder(decoder)
    path = clip_path(clip)
    refusal = None
    try:
        check(path, clip, decoder)
    except VideoError as error:
        refusal = str(error)
    if refusal is not None:
        assert decoder != "pyav", refusal
        assert clip.name not in READ_BY[decoder], refusal
        assert refusal.endswith("use decoder='pyav'")


def check(path: Path, clip: Clip, decoder: str) -> None:
    with open_video(path, decoder) as video, open_video(path, decoder) as other:
        in_a_row = video.read(range(video.n_frames)).pixels
        assert numbers(in_a_row) == list(range(N_FRAMES))
        for index in ALONE:
            torch.testing.assert_close(other.read([index]).pixels[0], in_a_row[index])
        check_thumbnails(video, clip)
        check_times(video, clip)


def check_thumbnails(video: VideoSource, clip: Clip) -> None:
    for step in (1, 4, 9):
        grid = list(range(step // 2, N_FRAMES, step))
        batches = list(video.thumbnails(grid, short_side=40))
        indices = torch.cat([frames.indices for frames in batches]).tolist()
        assert numbers(torch.cat([frames.pixels for frames in batches])) == indices
        if not base(clip).startswith(UNCLEAN):
            assert len(indices) == len(grid)
        assert all(a < b for a, b in pairwise(indices))
    keys = video.keyframes()
    batches = list(video.thumbnails(keys, short_side=40))
    indices = torch.cat([frames.indices for frames in batches]).tolist()
    assert numbers(torch.cat([frames.pixels for frames in batches])) == indices
    assert set(indices) <= set(keys.tolist())


def check_times(video: VideoSource, clip: Clip) -> None:
    times = video.pts_seconds()
    assert bool((times.diff() > 0).all())
    if container(clip) in NO_RATE:
        return
    is_timed = container(clip) in TIMED and "no_composition" not in clip.name
    # Where most frames have no time in the file, a note says so.
    guessed = 2 * GUESSED if any("reckoned" in note for note in video.notes) else GUESSED
    late = times - times[0] - torch.arange(N_FRAMES) * GAP
    assert late.abs().max() < (TICK if is_timed else guessed)


def test_the_table_is_large() -> None:
    assert len(TABLE) >= 200
    assert len({clip.name for clip in CELLS}) == len(CELLS)


@pytest.mark.parametrize(
    "clip",
    [
        pytest.param(clip, id=clip.name)
        for clip in TABLE
        if clip.name not in NEWER and (LONG or clip.name in FEW)
    ],
)
def test_frames_and_times_are_those_of_the_ffmpeg_command(
    clip: Clip, clip_path: Callable[[Clip], Path]
) -> None:
    path = clip_path(clip)
    with open_video(path) as video:
        ours = video.read(range(video.n_frames)).pixels.numpy()
        times = video.pts_seconds().numpy()
    theirs = pictures_of_ffmpeg(path, ours.shape[1:])
    assert len(theirs) == len(ours)
    assert np.abs(ours.astype(int) - theirs).mean(axis=(1, 2, 3)).max() < 4
    assert np.abs(times - times_of_ffmpeg(path)).max() < GUESSED


def pictures_of_ffmpeg(path: Path, shape: tuple[int, ...]) -> npt.NDArray[np.uint8]:
    raw = run("ffmpeg", "-i", path, *["-map", "0:V:0", "-vsync", "passthrough"], "-f", "rawvideo",
              "-pix_fmt", "rgb24", "-")  # fmt: skip
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, *shape)


def times_of_ffmpeg(path: Path) -> npt.NDArray[np.float64]:
    told = run("ffmpeg", "-copyts", "-i", path, *["-map", "0:V:0", "-vsync", "passthrough"],
               *["-enc_time_base", "-1", "-f", "framecrc", "-"])  # fmt: skip
    lines = told.decode().splitlines()
    base = next(line for line in lines if line.startswith("#tb")).split()[-1]
    ticks = [int(line.split(",")[2]) for line in lines if not line.startswith("#")]
    numerator, denominator = map(int, base.split("/"))
    return np.array(ticks) * numerator / denominator


def run(command: str, *arguments: str | Path) -> bytes:
    if shutil.which(command) is None:
        pytest.skip(f"needs the {command} command")
    line = [command, "-v", "error", "-nostdin", *map(str, arguments)]
    return subprocess.run(line, capture_output=True, check=True).stdout
