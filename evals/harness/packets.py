"""Long videos made in seconds: the packets of short ones, one after the other."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import av
from av.video.stream import VideoStream

from keyscore_plugin.hosts import whole


def append(clips: Iterable[Path], out: Path, *, n_frames: int) -> None:
    """Write an MP4 of the packets of clips; the file appears only when it is complete.

    Args:
        clips: Videos of one codec, size and frame rate, without end or with frames enough.
        out: Path of the new video.
        n_frames: Number of frames. The video is cut in the order in which the codec sends frames,
            so that one of the last may be missing.
    """
    with whole(out) as unfinished, av.open(str(unfinished), "w", format="mp4") as target:
        copy: VideoStream | None = None
        for stream, packet in _packets(clips, n_frames):
            if copy is None:
                copy = target.add_stream_from_template(stream)
            packet.stream = copy
            target.mux(packet)


def _packets(clips: Iterable[Path], n_frames: int) -> Iterator[tuple[VideoStream, av.Packet]]:
    """The first packets of all clips and their streams, each clip later than the one before it."""
    offset = 0
    for clip in clips:
        with av.open(str(clip)) as source:
            stream: VideoStream = source.streams.video[0]
            ticks = 0
            for packet in source.demux(stream):
                if not packet.size:
                    break
                ticks += packet.duration or 0
                packet.pts = (packet.pts or 0) + offset
                packet.dts = (packet.dts or 0) + offset
                yield stream, packet
                n_frames -= 1
                if n_frames == 0:
                    return
        offset += ticks
