"""Open a video stream of a local file with PyAV, safely, or say in one line why that fails."""

import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import islice
from pathlib import Path

import av
from av.codec.codec import UnknownCodecError
from av.container import InputContainer
from av.video.stream import VideoStream

from keyscore_plugin.errors import VideoError, shown
from keyscore_plugin.video.decoders.kinds import PICTURE, VIDEO_REMEDY, Kind, kind_of

MAX_PIXELS = 2**27  # ours: 16,384 x 8,192, above 8K; a larger frame is a claim, not a video
PICTURES = {"apng", "gif", "png"}  # codecs of pictures, which FFmpeg does not call intra-only
_URL = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+:")
# Playlists and series of images make FFmpeg open other files; a vobsub index opens the file next to
# it; a session description, the network; and "tty" finds ANSI art in any text. FFmpeg checks its
# list of formats once it knows the format, and before that format opens anything.
_REFUSED_FORMATS = {
    *("concat", "dash", "hls", "image2", "imf", "rtsp", "sdp", "tty", "vobsub"),
    "webm_dash_manifest",
}
DAMAGED_REMEDY = "check that the file is complete and is a video"
CODEC_OPTIONS = {"max_pixels": str(MAX_PIXELS)}  # FFmpeg must not allocate a larger frame either
_GENERATE_PTS = 1  # FFmpeg's AVFMT_FLAG_GENPTS


def check_path(path: str) -> Path:
    """The absolute path of a file.

    Raises:
        VideoError: The file does not exist, is not a regular file, or is empty.
    """
    no_path = VideoError(repr(path), "it is not a path", "give the path of one video file")
    if not path or "\0" in path:
        raise no_path
    file = Path(path)
    try:
        mode, n_bytes = file.stat().st_mode, file.stat().st_size
    except FileNotFoundError as error:
        raise _missing(path) from error
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON may hold
        raise no_path from error
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
    """The error for a path without a file, by what the caller may have meant."""
    if path.lower().startswith("file:"):
        return VideoError(path, "it is a URL", "give the path of the file, without file://")
    if _URL.match(path):
        return VideoError(path, "it is a URL", "download it and give the path of the local file")
    if path.startswith("<") and path.endswith(">"):
        remedy = "read frames while it is open: open_video(...).read(selection.indices)"
        return VideoError(path, "it was given in memory and has no file", remedy)
    remedy = "check the path"
    if path.startswith("~"):
        remedy = "give the whole path: only a shell replaces ~ by the home folder"
    elif path.strip(" \t\r\n'\"") != path:
        remedy = "leave out the quotation marks, blanks or line breaks around the path"
    elif set("*?") & set(path):
        remedy = "give the path of one file: only a shell expands patterns such as *"
    elif not Path(path).is_absolute():
        remedy = f"check the path, which starts at {Path.cwd()}"
    return VideoError(path, "no such file exists", remedy)


def ffmpeg_cause(error: av.FFmpegError) -> str:
    """FFmpeg's own words for an error, without code and file name."""
    return f"FFmpeg says: {error.strerror or type(error).__name__}"


def check_size(path: str, width: int, height: int) -> None:
    """Refuse frames that are empty or larger than `MAX_PIXELS`.

    Raises:
        VideoError: The size is not that of a video.
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
        path: Path of a local video file.
        number: Number of one of its video streams, counted from 0; None for the one FFmpeg takes.

    Raises:
        VideoError: The file cannot be opened, or does not have this stream, or cannot decode it.
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
    if kind is None:
        kind = Kind(f"it is not a video, or is damaged ({ffmpeg_cause(error)})", VIDEO_REMEDY)
    return VideoError(path, *kind)


def _is_one_picture(container: InputContainer) -> bool:
    """Whether the file's format is one for pictures, and it holds one picture, not several."""
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
    # When streams were found as the file was read, PyAV ends in an IndexError over the first.
    with suppress(IndexError):
        yield from container.demux(stream)


@cache
def _safe_options() -> dict[str, str]:
    """Let FFmpeg open nothing but the file itself, and no large picture, while it probes the file.

    These are options of the container. The other ones, `av.open(options=...)`, would limit the size
    of what is decoded during the probe, but PyAV keeps them in an array that is too short for a
    file whose streams are found as it is read (all of .flv), and crashes. So codecs are left out
    that the probe learns nothing from: their frames build on no other and come in display order.
    """
    formats = av.formats_available - _REFUSED_FORMATS
    codecs = (name for name in av.codecs_available if name not in PICTURES)
    return {
        "protocol_whitelist": "file",
        "format_whitelist": ",".join(sorted(formats)),
        "codec_whitelist": ",".join(sorted(name for name in codecs if _may_reorder(name))),
    }


def _may_reorder(name: str) -> bool:
    """Whether frames of a codec may build on others, so that the probe has to decode some."""
    try:
        codec = av.Codec(name, "r")
    except UnknownCodecError:  # encodes only
        return False
    return codec.type != "video" or not codec.intra_only


def _video_stream(path: str, container: InputContainer, number: int | None) -> VideoStream:
    stream = _choose_stream(path, container, number)
    if stream is None:
        sound = "sound but " if container.streams.audio else ""
        raise VideoError(path, f"it holds {sound}no video stream", VIDEO_REMEDY)
    if stream.codec_context is None:
        raise VideoError(path, "FFmpeg has no decoder for its video", "re-encode it, as H.264 say")
    if stream.time_base is None:
        raise VideoError(path, "its video stream has no time base", DAMAGED_REMEDY)
    check_size(path, stream.codec_context.width or 1, stream.codec_context.height or 1)
    return stream


@dataclass(frozen=True, slots=True)
class StreamChoice:
    """The stream of a file that is read.

    Attributes:
        number: Place among the video streams.
        index: Place among all streams.
        n_streams: Number of video streams that are not marked as covers.
    """

    number: int
    index: int
    n_streams: int

    @property
    def notes(self) -> tuple[str, ...]:
        """A note on the choice, where there were several streams."""
        if self.n_streams < 2:
            return ()
        return (f"it holds {self.n_streams} video streams: stream={self.number} was read",)


def choice_of(container: InputContainer, stream: VideoStream) -> StreamChoice:
    """The numbers of an open stream."""
    number = container.streams.video.index(stream)
    return StreamChoice(number, stream.index, len(_no_covers(container)))


def _choose_stream(path: str, container: InputContainer, number: int | None) -> VideoStream | None:
    """The stream of this number among all video streams, covers included.

    Without a number it is the stream that the command ``ffmpeg`` takes, but never a cover; None if
    the file has no other.

    Raises:
        VideoError: No stream has this number.
    """
    if number is None:
        return _default_stream(container)
    streams = container.streams.video
    if not 0 <= number < len(streams):
        raise VideoError(
            path,
            f"it has no stream={shown(number)}, but {len(streams)} video stream"
            f"{'s' if len(streams) > 1 else ''}, counted from 0",
            "give the number of one of them, or leave stream out",
        )
    return streams[number]


def _default_stream(container: InputContainer) -> VideoStream | None:
    streams = _no_covers(container)
    decodable = [s for s in streams if s.codec_context is not None]
    films = [s for s in decodable if not _looks_like_cover(container, s)]
    return max(films or decodable or streams, key=_ffmpeg_score, default=None)


def _no_covers(container: InputContainer) -> list[VideoStream]:
    """The video streams that are not marked as a picture of something else."""
    pictures = av.stream.Disposition.attached_pic
    return [s for s in container.streams.video if not s.disposition & pictures]


def _looks_like_cover(container: InputContainer, stream: VideoStream) -> bool:
    """Whether a stream is coded as pictures, and another one is better or it ends early."""
    codec = stream.codec_context.codec
    if not codec.intra_only and codec.name not in PICTURES:
        return False
    if stream != container.streams.best("video"):  # FFmpeg's library counts frames
        return True
    if not (stream.duration and stream.time_base and container.duration):
        return False
    return stream.duration * stream.time_base < Fraction(container.duration, 2 * av.time_base)


def _ffmpeg_score(stream: VideoStream) -> int:
    """The score by which ``ffmpeg`` chooses (fftools/ffmpeg_opt.c, 5.1); of equals, the first."""
    is_default = bool(stream.disposition & av.stream.Disposition.default)
    codec = stream.codec_context
    return codec.width * codec.height + 5_000_000 * is_default if codec else 0
