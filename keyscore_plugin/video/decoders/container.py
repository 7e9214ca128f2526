"""Open a local video file with PyAV, safely, and say in one line why it cannot be done."""

import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from itertools import islice
from pathlib import Path

import av
from av.codec.codec import UnknownCodecError
from av.container import InputContainer
from av.video.stream import VideoStream

from keyscore_plugin.errors import VideoError
from keyscore_plugin.video.decoders.kinds import PICTURE, VIDEO_REMEDY, kind_of
from keyscore_plugin.video.decoders.streams import PICTURES, choose_stream

MAX_PIXELS = 2**27  # ours: 16,384 x 8,192, above 8K; a larger frame is a claim, not a video
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
# Playlists and series of images make FFmpeg open other files; a vobsub index opens the file beside
# it; a session description, the network; and "tty" finds ANSI art in any text. FFmpeg looks at what
# it may open when it knows the format, and before that format opens anything.
_REFUSED_FORMATS = {
    *("concat", "dash", "hls", "image2", "imf", "rtsp", "sdp", "tty", "vobsub"),
    "webm_dash_manifest",
}
DAMAGED_REMEDY = "check that the file is complete and is a video"
CODEC_OPTIONS = {"max_pixels": str(MAX_PIXELS)}  # FFmpeg must not allocate a larger frame either
_GENERATE_PTS = 1  # FFmpeg's AVFMT_FLAG_GENPTS


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
        raise _missing(path) from error
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON may hold
        raise VideoError(repr(path), "it is no path", "give the path of one video file") from error
    except OSError as error:  # a folder one may not enter, a name that is too long
        cause = error.strerror or type(error).__name__
        raise VideoError(path, cause, "give the path of a file you can read") from error
    if stat.S_ISDIR(mode):
        remedy = "give the path of one video file, or fps (--fps) for a folder of pictures"
        raise VideoError(path, "it is a directory", remedy)
    if not stat.S_ISREG(mode):
        raise VideoError(path, "it is not a regular file", "give the path of one video file")
    if n_bytes == 0:
        raise VideoError(path, "the file is empty", "copy or download it again")
    return file.absolute()


def _missing(path: str) -> VideoError:
    """The error for a name that is of no file, by what was meant with it."""
    if path.lower().startswith("file:"):
        return VideoError(path, "it is a URL", "give the path of the file, without file://")
    if _URL.match(path):
        return VideoError(path, "it is a URL", "download it and give the path of the local file")
    if path.startswith("<") and path.endswith(">"):
        remedy = "read frames while it is open: open_video(...).read(selection.indices)"
        return VideoError(path, "it was given in memory and has no file", remedy)
    remedy = "check the path"
    if path.startswith("~"):
        remedy = "give the whole path: ~ is the home folder for shells alone"
    elif path.strip(" \t\r\n'\"") != path:
        remedy = "leave out the quotation marks, blanks or line breaks around the path"
    elif set("*?") & set(path):
        remedy = "give the path of one file: patterns such as * are for shells alone"
    elif not Path(path).is_absolute():
        remedy = f"check the path, which starts at {Path.cwd()}"
    return VideoError(path, "there is no such file", remedy)


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


def open_stream(path: str, number: int | None = None) -> tuple[InputContainer, VideoStream]:
    """Open a video stream of a local file. The codec is not open yet.

    Args:
        path: A local video file.
        number: Which of its video streams, counted from 0; None for the one FFmpeg takes.

    Raises:
        VideoError: The file cannot be opened, or has no such stream that can be decoded.
    """
    file = check_path(path)
    try:
        container = av.open(
            f"file:{file}", container_options=_safe_options(), metadata_errors="replace"
        )
    except av.FFmpegError as error:
        raise _not_opened(path, file, error) from error
    # PyAV asks for times where the file has none: in AVI with B-frames FFmpeg makes up wrong ones.
    container.flags &= ~_GENERATE_PTS
    try:
        if _is_one_picture(container):
            raise VideoError(path, *PICTURE)
        return container, _video_stream(path, container, number)
    except VideoError:
        container.close()
        raise


def _not_opened(path: str, file: Path, error: av.FFmpegError) -> VideoError:
    """The error for a file that FFmpeg does not open, by what the file is."""
    try:
        kind = kind_of(file)
    except OSError as unreadable:
        cause = unreadable.strerror or type(unreadable).__name__
        return VideoError(path, cause, "give the path of a file you can read")
    if kind is not None:
        return VideoError(path, *kind)
    return VideoError(path, f"it is no video, or damaged ({ffmpeg_cause(error)})", VIDEO_REMEDY)


def _is_one_picture(container: InputContainer) -> bool:
    """Whether it is a file of a format for pictures that holds one, not several in a row."""
    if not container.format.name.endswith("_pipe"):
        return False
    n_pictures = 0
    with (
        suppress(av.FFmpegError),
        av.open(container.name, container_options=_safe_options()) as again,
    ):
        for packet in islice(again.demux(video=0), 2):
            n_pictures += packet.size > 0
    return n_pictures == 1


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
    codecs = (name for name in av.codecs_available if name not in PICTURES)
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


def _video_stream(path: str, container: InputContainer, number: int | None) -> VideoStream:
    stream = choose_stream(path, container, number)
    if stream is None:
        sound = "sound but " if container.streams.audio else ""
        raise VideoError(path, f"it holds {sound}no video stream", VIDEO_REMEDY)
    if stream.codec_context is None:
        raise VideoError(path, "FFmpeg has no decoder for its video", "re-encode it, as H.264 say")
    if stream.time_base is None:
        raise VideoError(path, "its video stream has no time base", DAMAGED_REMEDY)
    check_size(path, stream.codec_context.width or 1, stream.codec_context.height or 1)
    return stream
