"""Files that are no video, or a damaged one; what a decoder has to say about each."""

import struct
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream

from tests.support.clips import CLIPS, Clip, draw

_BY_NAME = {clip.name: clip for clip in CLIPS}
_FASTSTART = Clip("faststart.mp4", b_frames=3, n_frames=100, muxer={"movflags": "faststart"})


@dataclass(frozen=True)
class Broken:
    """A file and the words its error must have; no words: it opens and shows what is left."""

    name: str
    write: Callable[[Path], None]
    words: str | None


def _text(text: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(text)

    return write


def _altered(clip: Clip, alter: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        made = clip.write(path.parent)
        path.write_bytes(alter(made.read_bytes()))

    return write


def _cut(share: float) -> Callable[[bytes], bytes]:
    return lambda data: data[: int(len(data) * share)]


def _without_index(data: bytes) -> bytes:
    return data[: data.index(b"moov") - 4]


def _endless(data: bytes) -> bytes:
    """Matroska whose header promises a million years."""
    start = data.index(b"\x44\x89\x88") + 3  # Duration, eight bytes of milliseconds
    return data[:start] + struct.pack(">d", 3.2e16) + data[start + 8 :]


def _noise_in_the_middle(data: bytes) -> bytes:
    start = data.index(b"mdat") + 4
    place = start + (len(data) - start) // 3
    noise = np.random.default_rng(0).bytes(600)
    return data[:place] + noise + data[place + len(noise) :]


def _huge_vp8(path: Path) -> None:
    """An IVF file with one real VP8 keyframe whose header claims 16,383 x 16,383 pixels."""
    made = _BY_NAME["vp8.webm"].write(path.parent)
    with av.open(str(made)) as container:
        packet = next(p for p in container.demux(video=0) if p.is_keyframe)
        frame = bytearray(bytes(packet))
    frame[6:10] = b"\xff\x3f\xff\x3f"  # RFC 6386, 9.1: 14 bits each after the start code
    side, n_frames = (16383).to_bytes(2, "little"), (1).to_bytes(4, "little")
    header = b"DKIF\0\0\x20\0VP80" + side + side + (25).to_bytes(4, "little") + n_frames
    frame_header = len(frame).to_bytes(4, "little") + bytes(8)
    path.write_bytes(header + n_frames + bytes(4) + frame_header + frame)


def _sound(path: Path) -> None:
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))


def _cover(path: Path) -> None:
    """Sound with a picture of its cover."""
    with av.open(str(path), "w") as container:
        sound = container.add_stream("libmp3lame", rate=44100)
        cover = container.add_stream("mjpeg")
        assert isinstance(sound, AudioStream)
        assert isinstance(cover, VideoStream)
        cover.width, cover.height, cover.pix_fmt = 96, 64, "yuvj420p"
        picture = av.VideoFrame.from_ndarray(draw(1, 96, 64), format="rgb24")
        container.mux(cover.encode(picture.reformat(format="yuvj420p")))
        container.mux(cover.encode(None))
        silence = np.zeros((2, 1152), dtype=np.float32)
        second = av.AudioFrame.from_ndarray(silence, format="fltp", layout="stereo")
        second.sample_rate = 44100
        for _ in range(38):
            second.pts = None
            container.mux(sound.encode(second))
        container.mux(sound.encode(None))


BROKEN = (
    Broken("empty.mp4", lambda path: path.touch(), "the file is empty"),
    Broken("folder.mp4", lambda path: path.mkdir(), "it is a directory"),
    Broken("text.mp4", _text("this is not a video\n" * 50), "it is a text"),
    Broken("text.txt", _text("this is not a video\n" * 50), "it is a text"),
    Broken(
        "list.m3u8",
        _text("#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n"),
        "it is a playlist",
    ),
    Broken("list.ffconcat", _text("ffconcat version 1.0\nfile h264.mp4\n"), "it is a playlist"),
    Broken("list.mpd", _text('<MPD type="static" profiles="a"></MPD>'), "it is a playlist"),
    Broken(
        "live.sdp", _text("v=0\nc=IN IP4 127.0.0.1\nm=video 5004 RTP/AVP 96\n"), "it is a playlist"
    ),
    Broken("titles.srt", _text("1\n00:00:00,000 --> 00:00:01,000\nhi\n"), "no video stream"),
    Broken("cover.mp3", _cover, "no video stream"),
    Broken("zeros.mp4", _text("\0" * 9999), "begins with zeros only"),
    Broken("sound.wav", _sound, "sound but no video stream"),
    Broken(
        "no_index.mp4", _altered(_BY_NAME["h264.mp4"], _without_index), r"unfinished .* \(moov\)"
    ),
    Broken("huge.ivf", _huge_vp8, "16383 x 16383 pixels"),
    Broken("cut.mp4", _altered(_FASTSTART, _cut(0.6)), None),
    Broken("cut.mkv", _altered(_BY_NAME["long_gop.mkv"], _cut(0.6)), None),
    Broken("endless.mkv", _altered(_BY_NAME["long_gop.mkv"], _endless), None),
    Broken("noise.mp4", _altered(_FASTSTART, _noise_in_the_middle), None),
)
