"""Small clips of every hard kind, made by PyAV; frame i can be recognised by its pixels.

``python -m tests.support.clips OUT_DIR`` writes them all.
"""

import struct
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate, cycle, islice
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.video.stream import VideoStream

Image = npt.NDArray[np.uint8]
MILLISECOND = Fraction(1, 1000)
FRAME = Fraction(1, 25)
N_BITS = 8  # of the frame number, painted as black and white columns
X265_QUIET = {"x265-params": "log-level=none"}
BT709, BT601 = 1, 5  # ITU-T H.273


def draw(number: int, width: int, height: int) -> Image:
    """``(height, width, 3)``: the number in binary columns above, a colour that turns below."""
    image = np.empty((height, width, 3), dtype=np.uint8)
    edges = [round(bit * width / N_BITS) for bit in range(N_BITS + 1)]
    for bit in range(N_BITS):
        is_set = number >> (N_BITS - 1 - bit) & 1
        image[: height // 2, edges[bit] : edges[bit + 1]] = 255 if is_set else 0
    turn = 2 * np.pi * number / 48
    image[height // 2 :] = [round(127 + 100 * np.cos(turn + k * 2 * np.pi / 3)) for k in range(3)]
    return image


def number_of(image: Image) -> int:
    """The number `draw` painted, also after compression and scaling."""
    height, width = image.shape[:2]
    columns = [
        image[height // 8 : height * 3 // 8, int((b + 0.25) * width / N_BITS) :][
            :, : max(1, width // N_BITS // 2)
        ]
        for b in range(N_BITS)
    ]
    return sum(int(column.mean() > 127) << (N_BITS - 1 - b) for b, column in enumerate(columns))


@dataclass(frozen=True)
class Clip:
    """One clip of the table.

    Attributes:
        name: File name with its extension, which chooses the container.
        codec: FFmpeg's encoder.
        size: ``(width, height)`` as it is shown, after rotation.
        gaps_ms: Milliseconds between frames, repeated as needed.
        start_ms: Time of the first frame.
        rotation: Clockwise degrees a player must turn it.
        mirrored: Whether a player must change left and right, before it turns it.
        pix_fmt: Pixel format; ``yuvj420p`` has full range.
        matrix: Colour matrix, H.273 number.
        encoder: Options of the encoder.
        muxer: Options of the container.
        patch: Changes the file's bytes in the end.
        n_cut: Frames at the start that an edit list hides.
        start_shift_ms: What the container adds to all times.
        clock: Seconds a tick of the encoder; milliseconds, or frames for those that know no other.
        format: FFmpeg's muxer, where the extension does not choose it.
    """

    name: str
    codec: str = "libx264"
    size: tuple[int, int] = (96, 64)
    n_frames: int = 48
    gaps_ms: tuple[int, ...] = (40,)
    start_ms: int = 0
    gop: int = 12
    b_frames: int = 0
    rotation: int = 0
    mirrored: bool = False
    pix_fmt: str = "yuv420p"
    matrix: int = BT601
    encoder: dict[str, str] = field(default_factory=dict)
    muxer: dict[str, str] = field(default_factory=dict)
    patch: Callable[[bytes], bytes] | None = None
    n_cut: int = 0
    start_shift_ms: int = 0
    clock: Fraction | None = None
    format: str | None = None

    @property
    def seconds(self) -> list[float]:
        """When each frame that is shown is shown."""
        gaps = islice(cycle(self.gaps_ms), self.n_frames - 1)
        all_ms = list(accumulate(gaps, initial=self.start_ms + self.start_shift_ms))
        return [ms / 1000 for ms in all_ms[self.n_cut :]]

    @property
    def numbers(self) -> list[int]:
        """The number painted on each frame that is shown."""
        return list(range(self.n_cut, self.n_frames))

    def write(self, folder: Path) -> Path:
        """Make the clip in a folder."""
        path = folder / self.name
        with av.open(str(path), "w", format=self.format, options=self.muxer) as container:
            stream = container.add_stream(self.codec, rate=25)
            assert isinstance(stream, VideoStream)
            self._set_up(stream)
            for ms, frame in self._frames():
                frame.pts, frame.time_base = ms, MILLISECOND
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        if self.rotation or self.mirrored:
            turned = patch_orientation(path.read_bytes(), self.rotation, mirrored=self.mirrored)
            path.write_bytes(turned)
        if self.patch is not None:
            path.write_bytes(self.patch(path.read_bytes()))
        return path

    def _set_up(self, stream: VideoStream) -> None:
        width, height = self.size[::-1] if self.rotation % 180 else self.size
        stream.width, stream.height, stream.pix_fmt = width, height, self.pix_fmt
        codec = stream.codec_context
        codec.time_base = self.clock or (FRAME if self.codec == "mpeg4" else MILLISECOND)
        codec.gop_size, codec.max_b_frames = self.gop, self.b_frames
        codec.colorspace = self.matrix
        codec.color_range = 2 if self.pix_fmt == "yuvj420p" else 1
        codec.thread_count = 1
        no_scene_cuts = {"sc_threshold": "0"} if self.codec != "libaom-av1" else {}
        codec.options = {**no_scene_cuts, **self.encoder}

    def _frames(self) -> Iterable[tuple[int, av.VideoFrame]]:
        gaps = islice(cycle(self.gaps_ms), self.n_frames - 1)
        for number, ms in enumerate(accumulate(gaps, initial=self.start_ms)):
            upright = draw(number, *self.size)
            stored = np.rot90(upright, k=self.rotation // 90)
            stored = np.ascontiguousarray(stored[:, ::-1] if self.mirrored else stored)
            rgb = av.VideoFrame.from_ndarray(stored, format="rgb24")
            full = 2 if self.pix_fmt == "yuvj420p" else 1
            yield (
                ms,
                rgb.reformat(
                    format=self.pix_fmt,
                    src_colorspace=BT601 if self.matrix == BT709 else BT709,
                    dst_colorspace=self.matrix,
                    dst_color_range=full,
                ),
            )


def patch_orientation(data: bytes, clockwise: int, *, mirrored: bool = False) -> bytes:
    """Let a player change left and right of an mp4, then turn it."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[clockwise]
    side = -1 if mirrored else 1
    return patch_matrix(data, (side * cos, side * sin, -sin, cos))


def patch_matrix(data: bytes, numbers: tuple[float, float, float, float]) -> bytes:
    """Write a display matrix into an mp4's track header; PyAV has no call for it."""
    a, b, c, d = (round(number * (1 << 16)) for number in numbers)
    matrix = (a, b, 0, c, d, 0, 0, 0, 1 << 30)
    # ISO/IEC 14496-12, 8.3.2: 40 bytes of a version 0 header stand between its type and the matrix.
    place = data.index(b"tkhd") + 44
    return data[:place] + struct.pack(">9i", *matrix) + data[place + 36 :]


def patch_long_duration(data: bytes) -> bytes:
    """Claim a hundred times the duration in the movie and the media header."""
    for box, offset in ((b"mvhd", 20), (b"mdhd", 20)):
        place = data.index(box) + offset
        (ticks,) = struct.unpack_from(">I", data, place)
        data = data[:place] + struct.pack(">I", ticks * 100) + data[place + 4 :]
    return data


def patch_frame_count(data: bytes) -> bytes:
    """Claim 9,999 frames in an AVI's headers."""
    place = data.index(b"avih") + 8 + 16
    data = data[:place] + struct.pack("<I", 9999) + data[place + 4 :]
    place = data.index(b"strh") + 8 + 32
    return data[:place] + struct.pack("<I", 9999) + data[place + 4 :]


def patch_edit_list(data: bytes) -> bytes:
    """Let the first edit begin four frames of 40 ms later."""
    (scale,) = struct.unpack_from(">I", data, data.index(b"mdhd") + 16)
    place = data.index(b"elst") + 16  # version 0: count, then duration and media time of the first
    (media_time,) = struct.unpack_from(">I", data, place)
    later = struct.pack(">I", media_time + 4 * scale // 25)
    return data[:place] + later + data[place + 4 :]


VFR = (40, 20, 80, 200, 10)
OPEN_GOP = {"x264-params": "open-gop=1:keyint=12:min-keyint=12:bframes=3:scenecut=0"}
VP9_FAST = {"deadline": "realtime", "cpu-used": "8"}
ALT_REF = {"deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}
LIVE = {"live": "1"}

CLIPS = (
    Clip("h264.mp4"),
    Clip("b_frames.mp4", b_frames=3),
    Clip("open_gop.mp4", b_frames=3, encoder=OPEN_GOP),
    Clip("long_gop.mkv", b_frames=3, gop=250, n_frames=100),
    Clip("vfr.mp4", gaps_ms=VFR),
    Clip("vfr_b_frames.mkv", gaps_ms=VFR, b_frames=3),
    Clip("late_start.mp4", start_ms=5000),
    Clip("late_start.mkv", start_ms=5000, b_frames=2),
    Clip("transport.ts", b_frames=2, start_shift_ms=80),
    Clip("edit_list.mp4", b_frames=2, patch=patch_edit_list, n_cut=4, start_shift_ms=-160),
    Clip("rotated_90.mp4", rotation=90),
    Clip("rotated_180.mp4", rotation=180),
    Clip("rotated_270.mp4", rotation=270, b_frames=2),
    Clip("odd_size.webm", codec="libvpx-vp9", size=(175, 143), encoder=VP9_FAST),
    Clip("odd_size.mp4", size=(175, 143), pix_fmt="yuv444p"),
    Clip("full_range.mp4", pix_fmt="yuvj420p"),
    Clip("bt709.mp4", matrix=BT709),
    Clip("hevc.mp4", codec="libx265", b_frames=3, encoder=X265_QUIET),
    Clip("vp8.webm", codec="libvpx", encoder=ALT_REF),
    Clip("vp9.webm", codec="libvpx-vp9", encoder=ALT_REF),
    Clip("av1.mkv", codec="libaom-av1", encoder={"cpu-used": "8", "lag-in-frames": "8"}),
    Clip("mpeg4.avi", codec="mpeg4"),
    Clip("mpeg4_b_frames.avi", codec="mpeg4", b_frames=2, start_shift_ms=40),
    Clip("no_duration.mkv", muxer=LIVE),
    Clip("long_claim.mp4", patch=patch_long_duration),
    Clip("wrong_count.avi", codec="mpeg4", patch=patch_frame_count),
    Clip("one_frame.mp4", n_frames=1),
)


def join(paths: Iterable[Path], out: Path, *, size: tuple[int, int], seconds: float) -> Path:
    """Join real clips, repeated as needed, into one H.264 video of 25 fps.

    Args:
        paths: The clips, in order.
        out: The video to write.
        size: ``(width, height)`` all are scaled to.
        seconds: Length of the video.
    """
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"preset": "veryfast"})
        assert isinstance(stream, VideoStream)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number, frame in enumerate(islice(_all_frames(paths), round(seconds * 25))):
            scaled = frame.reformat(width=size[0], height=size[1], format="yuv420p")
            scaled.pts, scaled.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(scaled))
        container.mux(stream.encode(None))
    return out


def _all_frames(paths: Iterable[Path]) -> Iterable[av.VideoFrame]:
    for path in cycle(paths):
        with av.open(str(path)) as container:
            yield from container.decode(video=0)


def main(folder: Path) -> None:
    """Write all clips."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip in CLIPS:
        print(clip.write(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
