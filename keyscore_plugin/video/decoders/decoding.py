"""What every decoding of a stream does: set the decoder up, feed it packets, take its frames."""

from collections.abc import Iterator
from functools import partial
from typing import Literal

import av
from av.container import InputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from keyscore_plugin.video.decoders.container import CODEC_OPTIONS, demux
from keyscore_plugin.video.decoders.threads import kind_of_threads, n_threads

Speed = Literal["exact", "rough", "reference", "keyframes"]
_COPY_OPAQUE = 1 << 7  # FFmpeg's AV_CODEC_FLAG_COPY_OPAQUE


def set_up(codec: VideoCodecContext, speed: Speed, *, careful: bool = False) -> None:
    """Choose threads and what the decoder may leave out, before the codec is opened.

    Args:
        codec: A decoder that was not used yet.
        speed: ``"exact"``, all as the codec says; ``"rough"``, without the loop filter, good enough
            for thumbnails; ``"reference"``, the same and only frames that others refer to;
            ``"keyframes"``, the same and only keyframes.
        careful: On one thread. Several lose good frames near one that does not decode, and fill
            in what is damaged as they happen to come upon it.
    """
    codec.thread_type = kind_of_threads(codec.codec.canonical_name)
    codec.thread_count = 1 if careful else n_threads()
    options = dict(CODEC_OPTIONS)
    if speed != "exact":
        options["skip_loop_filter"] = "all"
    if not careful:
        # An error for each fault: a frame comes out of threads before it is known to be faulty.
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
    """Let the frames of a packet tell its place.

    In an object of its own: PyAV knows a label by its address, and forgets the address with the
    first packet or frame that is freed. Python has one object for every 7, in all open videos.
    """
    packet.opaque = (place,)


def place_of(frame: VideoFrame) -> int | None:
    """The place of a frame's packet, if the decoder has handed its label through."""
    return frame.opaque[0] if isinstance(frame.opaque, tuple) else None


def packets_of(packets: Iterator[av.Packet]) -> Iterator[av.Packet]:
    """The packets that hold data, up to the end of the stream or to where it is broken."""
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
