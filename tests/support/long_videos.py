"""Long videos in a second: the packets of a short clip, again and again, at later times."""

from fractions import Fraction
from pathlib import Path

import av

from tests.support.clips import Clip

_GOP = 12


def long_video(path: Path, *, hours: float, fps: int) -> Path:
    """Write a video of 32 x 32 pixels that lasts for hours.

    Args:
        path: Where to; its name says which container.
        hours: How long it lasts.
        fps: Frames a second, a divisor of 1,000.
    """
    clip = Clip(f"seed-{path.name}", n_frames=_GOP, gop=_GOP, size=(32, 32))
    gap_ms = 1000 // fps
    with av.open(str(clip.write(path.parent))) as seed, av.open(str(path), "w") as container:
        stream = container.add_stream_from_template(seed.streams.video[0])
        group = [(bytes(p), p.is_keyframe) for p in seed.demux(video=0) if p.size]
        for number in range(round(hours * 3600 * fps)):
            data, is_keyframe = group[number % _GOP]
            packet = av.Packet(data)
            packet.stream, packet.is_keyframe = stream, is_keyframe
            packet.time_base = Fraction(1, 1000)
            packet.pts = packet.dts = number * gap_ms
            packet.duration = gap_ms
            container.mux(packet)
    return path
