"""Long videos of any size, made in seconds: clips are encoded once and their packets repeated."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import repeat
from pathlib import Path

import av

from evals.harness.packets import append
from keyscore_plugin import sample_video
from keyscore_plugin.hosts import whole
from keyscore_plugin.video.samples import SAMPLES

FPS = 25
_ASPECT = Fraction(16, 9)


def long_video(folder: Path, *, seconds: float, height: int) -> Path:
    """An H.264 video that repeats the real clips of `keyscore_plugin.video.samples`.

    Args:
        folder: Folder of the videos; a video is not made twice.
        seconds: Length of the video. It is cut in the order in which the codec sends frames, so
            that one of the last may be missing.
        height: Height in pixels; the aspect ratio is 16:9.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{height}p-{seconds:g}s.mp4"
    if not path.is_file():
        append(repeat(_reel(folder, height)), path, n_frames=round(seconds * FPS))
    return path


def _reel(folder: Path, height: int) -> Path:
    """All clips in one video of 20 seconds."""
    path = folder / f"{height}p-reel.mp4"
    if path.is_file():
        return path
    width = round(height * _ASPECT / 2) * 2
    with whole(path) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number, frame in enumerate(_frames()):
            scaled = frame.reformat(width=width, height=height, format="yuv420p")
            scaled.pts, scaled.time_base = number, Fraction(1, FPS)
            scaled.pict_type = av.video.frame.PictureType.NONE
            container.mux(stream.encode(scaled))
        container.mux(stream.encode(None))
    return path


def _frames() -> Iterator[av.VideoFrame]:
    for name in SAMPLES:
        with av.open(str(sample_video(name))) as container:
            yield from container.decode(video=0)
