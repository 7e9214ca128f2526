"""The common steps of decoding: set a decoder up, feed it packets, take its frames."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import av
from av.container import InputContainer
from av.sidedata.sidedata import SideData
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keyscore_plugin.video.decoders.container import CODEC_OPTIONS, demux

Speed = Literal["exact", "rough", "reference", "keyframes"]
_COPY_OPAQUE = 1 << 7  # FFmpeg's AV_CODEC_FLAG_COPY_OPAQUE


# FFmpeg's decoders that can work at several frames at once, and fail when they are used again after
# a seek. `tests/fuzz/sweep.py ROUNDS SEED all FILE` shows each: it flushes a decoder at random and
# compares its frames with those of a new one on one thread. All others pass.
NO_FRAME_THREADS = {
    "theora",  # one process in six crashes
    *("vp3", "vp4"),  # read by Theora's decoder
    "apng",  # now and then no frame comes after a seek
    "mpeg4",  # a B-frame of before the seek may come after it
    # Not tried, because nothing here can write these, whose frames build on each other.
    *("mimic", "rv30", "rv40"),
}
_n_threads = 0  # as many as FFmpeg likes: one a core and one more


def decode_on_one_thread() -> None:
    """Start no threads for the videos that this process opens from now on.

    A process calls this that shares the cores with others of its kind.
    """
    global _n_threads
    _n_threads = 1


def n_threads_of_any_kind(codec: str) -> int:
    """Threads to ask of a library that leaves their kind to FFmpeg; 0 is FFmpeg's own number."""
    return 1 if codec in NO_FRAME_THREADS else _n_threads


def set_up(codec: VideoCodecContext, speed: Speed, *, careful: bool = False) -> None:
    """Choose threads and what the decoder may leave out, before the codec is opened.

    Args:
        codec: Decoder that was not used yet.
        speed: Kind of decoding: ``"exact"``, all as the codec says; ``"rough"``, without the loop
            filter, good enough for thumbnails; ``"reference"``, also without frames that no other
            refers to; ``"keyframes"``, also without all frames but keyframes.
        careful: Whether to use one thread. Several lose good frames near one that does not decode,
            and what they fill in where the file is damaged depends on chance.
    """
    # Threads over frames, where FFmpeg has them and they work; else over the slices of a frame.
    codec.thread_type = "SLICE" if codec.codec.canonical_name in NO_FRAME_THREADS else "AUTO"
    codec.thread_count = 1 if careful else _n_threads
    options = dict(CODEC_OPTIONS)
    if speed != "exact":
        options["skip_loop_filter"] = "all"
    if not careful:
        # An error for each fault: a frame leaves its thread before it is known to be faulty.
        options["err_detect"] = "explode"
    codec.options = options
    if speed == "reference":
        codec.skip_frame = "NONREF"
    if speed == "keyframes":
        codec.skip_frame = "NONKEY"


def label_frames(codec: VideoCodecContext) -> None:
    """Let each frame carry the `label` of its packet."""
    codec.flags |= _COPY_OPAQUE


def label(packet: av.Packet, place: int) -> None:
    """Attach a packet's place to it, for the frames that come out of it.

    The label is a new object: PyAV keeps a label by its address, and drops the address with the
    first packet or frame that is freed. Python has one object for every 7, in all open videos.
    """
    packet.opaque = (place,)


def place_of(frame: VideoFrame) -> int | None:
    """The place of a frame's packet, if the decoder passed its label on."""
    return frame.opaque[0] if isinstance(frame.opaque, tuple) else None


def packets_of(packets: Iterator[av.Packet]) -> Iterator[av.Packet]:
    """The packets that hold data, up to the end of the stream or to where the file is broken."""
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError:
            return
        if packet is None:
            return
        if packet.size:
            yield packet


def decode_packet(codec: VideoCodecContext, packet: av.Packet | None) -> list[VideoFrame]:
    """The frames that come out for a packet; none when it does not decode."""
    try:
        return codec.decode(packet)
    except av.FFmpegError:
        return []


def decode_all(
    container: InputContainer, stream: VideoStream, *, strict: bool = False
) -> Iterator[VideoFrame]:
    """Every frame that decodes, in display order, labelled by its packet's place.

    Raises:
        av.FFmpegError: A packet does not decode, and ``strict`` is set.
    """
    codec = stream.codec_context
    decode = codec.decode if strict else partial(decode_packet, codec)
    for place, packet in enumerate(packets_of(demux(container, stream))):
        label(packet, place)
        yield from decode(packet)
    yield from decode(None)


def side_data(frame: VideoFrame, kind: str) -> bytes | None:
    """The bytes of an entry that FFmpeg attached to a frame; None where it is missing.

    Args:
        frame: Decoded frame.
        kind: FFmpeg's name of the entry, without ``AV_FRAME_DATA_``.
    """
    try:
        entry = frame.side_data.get(kind)
    except ValueError:  # for all entries if PyAV does not know the kind of one, as in MV-HEVC
        return None
    return bytes(entry) if isinstance(entry, SideData) else None
