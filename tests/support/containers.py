"""Every container of FFmpeg that PyAV writes, with each codec that it can hold: numbered clips.

``python -m tests.support.containers OUT_DIR`` writes them all.
"""

import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import av

from tests.support.clips import FRAME, X265_QUIET, Clip

N_FRAMES = 30
_FRAME_START = b"\x00\x00\x01\xb6"  # MPEG-4 part 2 (ISO/IEC 14496-2); two bits of kind follow
_INTRA_CODED, _BIDIRECTIONAL = 0, 2
_NOT_CODED = _FRAME_START + b"\x50\x00"  # a predicted frame without content
_DIVX = b"\x00\x00\x01\xb2DivX503b1393p"  # the writer's name; the p is for packed

_OPEN_GOP = {"x264-params": "open-gop=1:keyint=10:min-keyint=10:bframes=3:scenecut=0"}
_REFRESH = {"x264-params": "intra-refresh=1:keyint=10"}
_VPX_FAST = {"deadline": "realtime", "cpu-used": "8"}
_ALT_REF = {"deadline": "good", "cpu-used": "5", "auto-alt-ref": "1", "lag-in-frames": "16"}
_QCIF = (176, 144)
_AVI_KEYFRAME = 0x10

# Names that end in b have B-frames.
CODECS = {
    clip.name: clip
    for clip in (
        Clip("mpeg1", codec="mpeg1video"),
        Clip("mpeg1b", codec="mpeg1video", b_frames=2),
        Clip("mpeg2", codec="mpeg2video"),
        Clip("mpeg2b", codec="mpeg2video", b_frames=2),
        Clip("mpeg4", codec="mpeg4"),
        Clip("mpeg4b", codec="mpeg4", b_frames=2),
        Clip("h264"),
        Clip("h264b", b_frames=3),
        Clip("h264open", b_frames=3, encoder=_OPEN_GOP),
        Clip("h264refresh", encoder=_REFRESH),
        Clip("hevc", codec="libx265", encoder={"x265-params": "log-level=none:bframes=0"}),
        Clip("hevcb", codec="libx265", b_frames=3, encoder=X265_QUIET),
        Clip("vp8", codec="libvpx", encoder=_VPX_FAST),
        Clip("vp8alt", codec="libvpx", encoder=_ALT_REF),
        Clip("vp9", codec="libvpx-vp9", encoder=_VPX_FAST),
        Clip("vp9alt", codec="libvpx-vp9", encoder=_ALT_REF),
        Clip("av1", codec="libaom-av1", encoder={"cpu-used": "8", "lag-in-frames": "8"}),
        Clip("msmpeg4v2", codec="msmpeg4v2"),
        Clip("msmpeg4", codec="msmpeg4"),
        Clip("wmv1", codec="wmv1"),
        Clip("wmv2", codec="wmv2"),
        Clip("flv1", codec="flv"),
        Clip("h261", codec="h261", size=_QCIF),
        Clip("h263", codec="h263", size=_QCIF),
        Clip("h263p", codec="h263p", size=_QCIF),
        Clip("rv10", codec="rv10"),
        Clip("rv20", codec="rv20"),
        Clip("mjpeg", codec="mjpeg", pix_fmt="yuvj420p"),
        Clip("ljpeg", codec="ljpeg", pix_fmt="yuvj420p"),
        Clip("jpegls", codec="jpegls", pix_fmt="rgb24"),
        Clip("jpeg2000", codec="jpeg2000"),
        Clip("png", codec="png", pix_fmt="rgb24"),
        Clip("gif", codec="gif", pix_fmt="rgb8"),
        Clip("apng", codec="apng", pix_fmt="rgb24"),
        Clip("ffv1", codec="ffv1"),
        Clip("huffyuv", codec="huffyuv", pix_fmt="yuv422p"),
        Clip("ffvhuff", codec="ffvhuff"),
        Clip("utvideo", codec="utvideo"),
        Clip("magicyuv", codec="magicyuv"),
        Clip("prores", codec="prores_ks", pix_fmt="yuv422p10le"),
        Clip(
            "dnxhr",
            codec="dnxhd",
            pix_fmt="yuv422p",
            size=(256, 128),
            encoder={"profile": "dnxhr_lb"},
        ),
        Clip("cfhd", codec="cfhd", pix_fmt="yuv422p10le"),
        Clip("dv", codec="dvvideo", size=(720, 576)),
        Clip("rawvideo", codec="rawvideo"),
        Clip("rawrgb", codec="rawvideo", pix_fmt="bgr24"),
        Clip("v210", codec="v210", pix_fmt="yuv422p10le"),
        Clip("r210", codec="r210", pix_fmt="gbrp10le"),
        Clip("qtrle", codec="qtrle", pix_fmt="rgb24"),
        Clip("rpza", codec="rpza", pix_fmt="rgb555le"),
        Clip("svq1", codec="svq1", pix_fmt="yuv410p"),
        Clip("cinepak", codec="cinepak", pix_fmt="rgb24"),
        Clip("msvideo1", codec="msvideo1", pix_fmt="rgb555le"),
        Clip("zmbv", codec="zmbv", pix_fmt="bgr0"),
        Clip("zlib", codec="zlib", pix_fmt="bgr24"),
        Clip("flashsv", codec="flashsv", pix_fmt="bgr24"),
        Clip("flashsv2", codec="flashsv2", pix_fmt="bgr24"),
        Clip("asv1", codec="asv1"),
        Clip("asv2", codec="asv2"),
        Clip("snow", codec="snow"),
        Clip("amv", codec="amv", pix_fmt="yuvj420p"),
        Clip("speedhq", codec="speedhq"),
    )
}

_MPEG = "mpeg1 mpeg1b mpeg2 mpeg2b mpeg4 mpeg4b"
_H264 = "h264 h264b h264open h264refresh"
_HEVC = "hevc hevcb"
_WEB = "vp8 vp8alt vp9 vp9alt av1"
_OLD = "msmpeg4v2 msmpeg4 wmv1 wmv2 flv1 h261 h263 h263p"
_INTRA = "mjpeg ljpeg jpegls jpeg2000 png zlib asv1 asv2 amv speedhq cfhd dv"
_RAW = "v210 r210 huffyuv ffvhuff utvideo magicyuv ffv1"
_SCREEN = "msvideo1 zmbv flashsv svq1 cinepak rpza snow"

# By extension; those of a muxer that has another name follow.
HOLDS = {
    "mp4": f"{_MPEG} {_H264} {_HEVC} vp9 vp9alt av1 mjpeg png jpeg2000",
    "mov": f"{_MPEG} {_H264} {_HEVC} msmpeg4 h263 mjpeg prores rawrgb magicyuv dnxhr dv gif png "
    "qtrle svq1 cinepak jpeg2000 v210 r210 cfhd rpza",
    "mkv": f"{_MPEG} {_H264} {_HEVC} {_WEB} msmpeg4 mjpeg ffv1 prores rawvideo snow",
    "webm": _WEB,
    "avi": f"{_MPEG} {_H264} {_WEB} {_OLD} {_INTRA} {_RAW} {_SCREEN} rawvideo rawrgb",
    "wmv": f"{_MPEG} {_H264} {_WEB} {_OLD} {_INTRA} {_RAW} {_SCREEN} rawvideo",
    "flv": f"{_H264} {_HEVC} vp9 vp9alt av1 flv1 flashsv flashsv2",
    "ts": f"{_MPEG} {_H264} {_HEVC}",
    "m2ts": f"{_MPEG} {_H264} {_HEVC}",
    "vob": f"{_MPEG} {_H264} {_HEVC}",
    "mpg": f"{_MPEG} {_H264} {_HEVC}",
    "ogv": "vp8 vp8alt",
    "mxf": f"{_H264} mpeg2 mpeg2b ffv1 prores dnxhr dv jpeg2000",
    "3gp": f"{_H264} mpeg4 mpeg4b h263",
    "gif": "gif",
    "apng": "apng",
    "h264": _H264,
    "hevc": _HEVC,
    "m4v": "mpeg4 mpeg4b",
    "m1v": "mpeg1 mpeg1b",
    "m2v": "mpeg2 mpeg2b",
    "y4m": "rawvideo",
    "nut": f"{_MPEG} {_H264} {_HEVC} {_WEB} {_OLD} {_INTRA} {_RAW} {_SCREEN} rawvideo rawrgb gif",
    "ivf": _WEB,
    "rm": "rv10 rv20",
    "dv": "dv",
    "mjpeg": "mjpeg",
    "h263": "h263",
    "h261": "h261",
    "obu": "av1",
    "gxf": "mpeg1 mpeg1b mpeg2 mpeg2b mjpeg dv",
    "swf": "mjpeg flv1 flashsv",
    "f4v": _H264,
    "frag.mp4": f"{_MPEG} {_H264} {_HEVC} vp9 vp9alt av1",
    "wtv": f"{_MPEG} {_H264} {_WEB} msmpeg4v2 msmpeg4 wmv1 flv1 h261 h263 h263p svq1 cinepak",
}
_MUXERS = {"m4v": "m4v", "m2ts": "mpegts", "frag.mp4": "mp4"}
_OPTIONS = {
    "frag.mp4": {"movflags": "frag_keyframe+empty_moov"},
    "m2ts": {"mpegts_m2ts_mode": "1"},
}
_SIZES = {"gxf": (720, 576)}  # where the container holds no other
# These keep, for each frame, the time at which it is shown.
TIMED = {
    *("mp4", "frag.mp4", "mov", "f4v", "3gp", "mkv", "webm", "flv", "ts", "m2ts", "ogv", "nut"),
    *("ivf", "gif", "apng"),
}


def pack(data: bytes) -> bytes:
    """An MPEG-4 AVI as DivX 5 and old XviD write it: a B-frame in the packet of its reference.

    AVI has no time for a frame that waits. So the reference that a B-frame needs comes with it in
    one packet, and the packet that is left over holds a frame that says "as before".
    """
    out = BytesIO()
    with av.open(BytesIO(data), "r") as source, av.open(out, "w", format="avi") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for number, content in enumerate(_packed([bytes(p) for p in source.demux(video=0)])):
            packet = av.Packet(content)
            packet.pts = packet.dts = number
            packet.time_base, packet.stream = FRAME, stream
            packet.is_keyframe = _kind(content) == _INTRA_CODED
            container.mux(packet)
    return out.getvalue()


def _packed(coded: list[bytes]) -> Iterator[bytes]:
    """The packets of packed B-frames, from those of one frame each, in the order of decoding."""
    frames = [content for content in coded if content]
    place = frames[0].index(_FRAME_START)
    frames[0] = frames[0][:place] + _DIVX + frames[0][place:]
    is_b = [_kind(content) == _BIDIRECTIONAL for content in frames]
    for this, content in enumerate(frames):
        if is_b[this + 1 : this + 2] == [True] and not is_b[this]:
            yield content + frames[this + 1]
        elif is_b[this] and is_b[this + 1 : this + 2] == [True]:
            yield frames[this + 1]
        else:
            yield _NOT_CODED if is_b[this] else content


def _kind(content: bytes) -> int:
    """Of the first frame in a packet of MPEG-4: 0 intra, 1 predicted, 2 bidirectional."""
    return content[content.index(_FRAME_START) + len(_FRAME_START)] >> 6


def drop_boxes(*kinds: bytes) -> Callable[[bytes], bytes]:
    """Change an mp4 so that players do not see boxes of these kinds."""

    def drop(data: bytes) -> bytes:
        for kind in kinds:
            assert kind in data
            data = data.replace(kind, b"free")
        return data

    return drop


def move_keyframe(data: bytes) -> bytes:
    """Let an mp4 call the wrong frame its second keyframe: three later than it is."""
    place = data.index(b"stss") + 16  # version, count, first entry
    (number,) = struct.unpack_from(">I", data, place)
    return data[:place] + struct.pack(">I", number + 3) + data[place + 4 :]


def call_all_keyframes(data: bytes) -> bytes:
    """Let the index of an AVI call every frame a keyframe, as careless writers do."""
    start = data.rindex(b"idx1") + 8
    changed = bytearray(data)
    for place in range(start, len(data) - 15, 16):
        struct.pack_into("<I", changed, place + 4, _AVI_KEYFRAME)
    return bytes(changed)


def _clip(codec: str, container: str) -> Clip:
    return replace(
        CODECS[codec],
        name=f"{codec}.{container}",
        n_frames=N_FRAMES,
        gop=10,
        clock=FRAME,
        format=_MUXERS.get(container),
        muxer=_OPTIONS.get(container, {}),
        size=_SIZES.get(container, CODECS[codec].size),
    )


def _spoiled(name: str, patch: Callable[[bytes], bytes]) -> Clip:
    """A clip of the table, changed; its name is of the form codec-change.container."""
    codec, container = name.split("-")[0], name.split(".", 1)[1]
    return replace(_clip(codec, container), name=name, patch=patch)


# Containers read by the code that reads another of the table, and codecs without order or keys.
_TWINS = {"m2ts", "f4v", "frag.mp4", "wtv", "gxf"}
_SIMPLE = {*_INTRA.split(), *_RAW.split(), "rawvideo", "rawrgb"}


def is_telling(clip: Clip) -> bool:
    """Whether a clip is of the half of the table that shows most."""
    codec, container = clip.name.split(".", 1)
    return container not in _TWINS and (codec not in _SIMPLE or container not in {"wmv", "nut"})


CELLS = (
    *(_clip(codec, container) for container, held in HOLDS.items() for codec in held.split()),
    _spoiled("mpeg4b-packed.avi", pack),
    *(
        _spoiled(f"{codec}-no_composition.mp4", drop_boxes(b"ctts", b"edts"))
        for codec in ("mpeg2b", "mpeg4b", "h264b", "hevcb")
    ),
    *(
        _spoiled(f"{codec}-all_keyframes.mp4", drop_boxes(b"stss"))
        for codec in ("mpeg2b", "mpeg4", "h264b", "hevcb", "vp9", "av1")
    ),
    *(
        _spoiled(f"{codec}-wrong_keyframe.mp4", move_keyframe)
        for codec in ("mpeg2b", "mpeg4", "h264b", "hevcb", "vp9", "av1")
    ),
    *(
        _spoiled(f"{codec}-all_keyframes.avi", call_all_keyframes)
        for codec in ("mpeg2b", "mpeg4", "mpeg4b", "msmpeg4", "h264b", "vp9", "wmv2")
    ),
)


def main(folder: Path) -> None:
    """Write all clips."""
    folder.mkdir(parents=True, exist_ok=True)
    for clip in CELLS:
        print(clip.write(folder))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
