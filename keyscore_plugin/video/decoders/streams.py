"""Which of a file's video streams is read."""

from dataclasses import dataclass
from fractions import Fraction

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from keyscore_plugin.errors import VideoError, shown

PICTURES = {"apng", "gif", "png"}  # codecs of pictures, which FFmpeg does not call intra-only


@dataclass(frozen=True, slots=True)
class StreamChoice:
    """Which stream of a file is read.

    Attributes:
        number: Its place among the video streams.
        index: Its place among all streams.
        n_streams: Video streams that are not marked as covers.
    """

    number: int
    index: int
    n_streams: int

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, if there was a choice."""
        if self.n_streams < 2:
            return ()
        return (f"it holds {self.n_streams} video streams: stream={self.number} was read",)


def choice_of(container: InputContainer, stream: VideoStream) -> StreamChoice:
    """Which one an open stream is."""
    number = container.streams.video.index(stream)
    return StreamChoice(number, stream.index, len(_no_covers(container)))


def choose_stream(path: str, container: InputContainer, number: int | None) -> VideoStream | None:
    """The stream of this number among all video streams, covers included.

    Without a number it is the one that the command ``ffmpeg`` takes, but no cover; None if there is
    no other.

    Raises:
        VideoError: There is none of this number.
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
    """Whether it is coded as pictures, and there is a better stream or it ends early."""
    codec = stream.codec_context.codec
    if not codec.intra_only and codec.name not in PICTURES:
        return False
    if stream != container.streams.best("video"):  # FFmpeg's library counts frames
        return True
    if not (stream.duration and stream.time_base and container.duration):
        return False
    return stream.duration * stream.time_base < Fraction(container.duration, 2 * av.time_base)


def _ffmpeg_score(stream: VideoStream) -> int:
    """What ``ffmpeg`` adds up (fftools/ffmpeg_opt.c, 5.1); the first of equal streams is taken."""
    is_default = bool(stream.disposition & av.stream.Disposition.default)
    codec = stream.codec_context
    return codec.width * codec.height + 5_000_000 * is_default if codec else 0
