"""Long videos of any size, made in seconds: clips are encoded once and their packets repeated."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.video.stream import VideoStream

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
        with whole(path) as unfinished:
            _repeat(_reel(folder, height), unfinished, n_frames=round(seconds * FPS))
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


def _repeat(reel: Path, out: Path, *, n_frames: int) -> None:
    """Mux the packets of the reel repeatedly, each time later, up to the number of frames."""
    with av.open(str(reel)) as source, av.open(str(out), "w", format="mp4") as target:
        stream: VideoStream = source.streams.video[0]
        copy = target.add_stream_from_template(stream)
        left, offset = n_frames, 0
        while left > 0:
            source.seek(0)
            ticks = 0
            for packet in source.demux(stream):
                if not packet.size or left == 0:
                    break
                ticks += packet.duration or 0
                left -= 1
                packet.pts = (packet.pts or 0) + offset
                packet.dts = (packet.dts or 0) + offset
                packet.stream = copy
                target.mux(packet)
            offset += ticks
