"""Open a local video file with PyAV, safely, and say in one line why it cannot be done."""

import errno
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path

import av
from av.codec.codec import UnknownCodecError
from av.container import InputContainer
from av.video.stream import VideoStream

from keyscore_plugin.errors import VideoError

MAX_PIXELS = 2**27  # ours: 16,384 x 8,192, above 8K; a larger frame is a claim, not a video
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
# Playlists and series of images make FFmpeg open other files; a vobsub index opens the file beside
# it; a session description, the network; and "tty" finds ANSI art in any text. FFmpeg looks at what
# it may open when it knows the format, and before that format opens anything.
_REFUSED_FORMATS = {
    *("concat", "dash", "hls", "image2", "imf", "rtsp", "sdp", "tty", "vobsub"),
    "webm_dash_manifest",
}
_NOT_A_VIDEO = "give a video file such as .mp4, .mkv, .webm or .avi"
DAMAGED_REMEDY = "check that the file is complete and is a video"
CODEC_OPTIONS = {"max_pixels": str(MAX_PIXELS)}  # FFmpeg must not allocate a larger frame either
_GENERATE_PTS = 1  # FFmpeg's AVFMT_FLAG_GENPTS
# Pictures, whose size is what their first bytes claim.
_PICTURES = {"apng", "gif", "png"}


def check_path(path: str) -> Path:
    """The file behind ``path``.

    Raises:
        VideoError: There is no such file, it is not a regular file, or it is empty.
    """
    if not path or "\0" in path:
        raise VideoError(repr(path), "it is no path", "give the path of one video file")
    file = Path(path)
    try:
        mode, n_bytes = file.stat().st_mode, file.stat().st_size
    except FileNotFoundError as error:
        if _URL.match(path):
            remedy = "download it and give the path of the local file"
            raise VideoError(path, "it is a URL", remedy) from error
        raise VideoError(path, "there is no such file", "check the path") from error
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON may hold
        raise VideoError(repr(path), "it is no path", "give the path of one video file") from error
    except OSError as error:  # a folder one may not enter, a name that is too long
        cause = error.strerror or type(error).__name__
        raise VideoError(path, cause, "give the path of a file you can read") from error
    if stat.S_ISDIR(mode):
        raise VideoError(path, "it is a directory", "give the path of one video file")
    if not stat.S_ISREG(mode):
        raise VideoError(path, "it is not a regular file", "give the path of one video file")
    if n_bytes == 0:
        raise VideoError(path, "the file is empty", "copy or download it again")
    return file.absolute()


def ffmpeg_cause(error: av.FFmpegError) -> str:
    """FFmpeg's own words for an error, without code and file name."""
    return f"FFmpeg says: {error.strerror or type(error).__name__}"


def check_size(path: str, width: int, height: int) -> None:
    """Refuse frames that are empty or larger than `MAX_PIXELS`.

    Raises:
        VideoError: The size is not one of a video.
    """
    if width < 1 or height < 1:
        raise VideoError(path, "no frame of its video stream decodes", DAMAGED_REMEDY)
    if width * height > MAX_PIXELS:
        raise VideoError(
            path,
            f"its frames claim {width} x {height} pixels",
            f"frames of more than {MAX_PIXELS} pixels are refused; scale the video down",
        )


def open_stream(path: str) -> tuple[InputContainer, VideoStream]:
    """Open the best video stream of a local file. The codec is not open yet.

    Raises:
        VideoError: The file cannot be opened, or has no video stream that can be decoded.
    """
    file = check_path(path)
    try:
        container = av.open(
            f"file:{file}", container_options=_safe_options(), metadata_errors="replace"
        )
    except av.FFmpegError as error:
        cause = ffmpeg_cause(error)
        if error.errno == errno.EINVAL:  # what a format that may not be opened gives, too
            cause = f"it is a playlist, a text or damaged ({cause})"
        raise VideoError(path, cause, _NOT_A_VIDEO) from error
    # PyAV asks for times where the file has none: in AVI with B-frames FFmpeg makes up wrong ones.
    container.flags &= ~_GENERATE_PTS
    try:
        return container, _video_stream(path, container)
    except VideoError:
        container.close()
        raise


def demux(container: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """The packets of a stream, and an empty one at the end.

    Raises:
        av.FFmpegError: The file is broken there.
    """
    # When streams came to light as the file was read, PyAV ends in an IndexError over the first.
    with suppress(IndexError):
        yield from container.demux(stream)


@cache
def _safe_options() -> dict[str, str]:
    """Let FFmpeg open nothing but the file itself, and no large picture, while it looks at it.

    These are options of the container. The others, `av.open(options=...)`, would bound the size of
    what is decoded in passing, but PyAV keeps them in an array that is too short for a file whose
    streams come to light as it is read (all of .flv), and crashes. So codecs that can tell nothing
    in passing are left out: those whose frames stand for themselves, in the order they are shown.
    """
    formats = av.formats_available - _REFUSED_FORMATS
    codecs = (name for name in av.codecs_available if name not in _PICTURES)
    return {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(sorted(formats)),
        "codec_whitelist": ",".join(sorted(name for name in codecs if _may_tell_order(name))),
    }


def _may_tell_order(name: str) -> bool:
    try:
        codec = av.Codec(name, "r")
    except UnknownCodecError:  # encodes only
        return False
    return codec.type != "video" or not codec.intra_only


def _video_stream(path: str, container: InputContainer) -> VideoStream:
    pictures = av.stream.Disposition.attached_pic
    streams = [s for s in container.streams.video if not s.disposition & pictures]
    if not streams:
        raise VideoError(path, "it holds no video stream", _NOT_A_VIDEO)
    best = container.streams.best("video")
    stream = best if best in streams else streams[0]
    if not isinstance(stream, VideoStream) or stream.codec_context is None:
        raise VideoError(path, "FFmpeg has no decoder for its video", "re-encode it, as H.264 say")
    if stream.time_base is None:
        raise VideoError(path, "its video stream has no time base", DAMAGED_REMEDY)
    check_size(path, stream.codec_context.width or 1, stream.codec_context.height or 1)
    return stream
