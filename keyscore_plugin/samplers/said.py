"""What is said in a video: by its subtitles, or by its sound as a speech model hears it."""

from collections.abc import Sequence
from pathlib import Path

import torch

from keyscore_plugin._runtime.files import is_file
from keyscore_plugin._runtime.optional import package_version
from keyscore_plugin.errors import InputError, MissingDependencyError
from keyscore_plugin.index.content import content_digest
from keyscore_plugin.timed_texts.asked_words import asks_about_speech
from keyscore_plugin.timed_texts.heard import hear, speech_weights
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.timed_texts.subtitles import (
    read_embedded,
    read_subtitle_file,
    subtitles_beside,
    within_video,
)
from keyscore_plugin.types import SubtitleFile, SubtitleInput, SubtitlesFrom
from keyscore_plugin.video.copies import CopiedVideo, named
from keyscore_plugin.video.source import VideoSource
from keyscore_plugin.video.trim import TrimmedVideo


def said_in(
    source: VideoSource, given: SubtitleInput, texts: Sequence[str]
) -> tuple[Lines, SubtitleFile | None]:
    """Find and read the subtitles of a call.

    Args:
        source: The open video, or an open part of one, whose lines alone are kept.
        given: A path, or that of a longer video's file; True for the file next to the video, or
            else the stream inside of it; False for none; None for the file next to the video if a
            text is about speech.
        texts: The texts that score, before they are split into parts.

    Returns:
        The subtitles; without lines if none score, with a note if a file next to the video that
        was not asked for cannot be used. And the subtitles that were read; None if none were.

    Raises:
        InputError: The subtitles that are asked for cannot be used, or there are none.
        MissingDependencyError: pysubs2 is not installed, and subtitles are asked for.
    """
    is_read, file = _place(source.path, given, texts)
    if not is_read:
        return Lines(), None
    try:
        found = read_embedded(source.path) if file is None else read_subtitle_file(file)
        return _in_part(source, _on_clock(found, source, given)), _named(file)
    except (InputError, MissingDependencyError) as error:
        if given is not None or file is None:
            raise
        note = f"the subtitles {file.name} next to the video do not score: {error}"
        return Lines((), (note,)), None


def subtitles_read(
    video: str, duration_seconds: float, given: SubtitleInput, texts: Sequence[str]
) -> SubtitleFile | None:
    """The subtitles that `said_in` reads for a call; None if it reads none.

    Args:
        video: Path of the video.
        duration_seconds: Duration of the whole video.
        given: Subtitles as `said_in` takes them.
        texts: The texts that score, before they are split into parts.
    """
    is_read, file = _place(video, given, texts)
    if not is_read:
        return None
    if given is None and file is not None:  # `said_in` does without a file that it cannot use
        try:
            within_video(read_subtitle_file(file), duration_seconds, video)
        except (InputError, MissingDependencyError):
            return None
    return _named(file)


def heard_by(model: str, device: torch.device) -> str | None:
    """Name of what hears, with all that decides its words; None if its weights have no name.

    Args:
        model: Model as `keyscore_plugin.timed_texts.heard.hear` takes it.
        device: Device of the model.

    Raises:
        ModelError: The model cannot be loaded.
        MissingDependencyError: faster-whisper is not installed.
    """
    weights = speech_weights(model, device)
    if weights is None:
        return None
    return f"faster-whisper {package_version('faster-whisper')} {model} {weights}"


def heard_in(source: VideoSource, model: str, device: torch.device) -> Lines:
    """What is spoken in a video, or in a part of one.

    Args:
        source: The open video, or an open part of one.
        model: Model as `keyscore_plugin.timed_texts.heard.hear` takes it.
        device: Device of the model.

    Raises:
        InputError: The video has no sound, or it is not a file.
        ModelError: The model cannot be loaded.
        MissingDependencyError: faster-whisper is not installed.
    """
    file = file_of(source)
    if file is None:
        raise InputError(
            f"{source.path} is not a file, so nothing is heard in it; give the path of a video "
            "file, or leave out heard"
        )
    start, end = _bounds(source)
    with named(source.path):
        content = content_digest(file)
        lines = hear(
            file, content, name=source.path, model=model, device=device, start=start, end=end
        )
    return Lines(lines)


def file_of(source: VideoSource) -> str | None:
    """Path of the file behind an open video or a part of one, or of its copy; None for pictures."""
    while isinstance(source, (TrimmedVideo, CopiedVideo)):
        source = source.whole
    return source.path if is_file(source.path) else None


def _place(video: str, given: SubtitleInput, texts: Sequence[str]) -> tuple[bool, Path | None]:
    """Whether subtitles are read, and their file; None for a stream inside of the video."""
    if isinstance(given, SubtitlesFrom):
        return True, Path(given.path)
    if not (given is None or isinstance(given, bool)):
        return True, Path(given)
    file = None if video.startswith("<") else subtitles_beside(video)
    if given is None:
        return file is not None and any(map(asks_about_speech, texts)), file
    return given, file


def _named(file: Path | None) -> SubtitleFile:
    """Name of subtitles; None for a stream inside of the video."""
    if file is None:
        return SubtitleFile()
    return SubtitleFile(file.name, content_digest(file) if file.is_file() else None)


def _on_clock(subtitles: Lines, source: VideoSource, given: SubtitleInput) -> Lines:
    """The lines of a file on the clock of the whole video.

    Raises:
        InputError: Every line of the video's own subtitles begins after its end.
    """
    if isinstance(given, SubtitlesFrom):  # the longer video has lines after this one, too
        return subtitles.since(given.start_seconds)
    while isinstance(source, TrimmedVideo):
        source = source.whole
    return within_video(subtitles, source.duration_seconds, source.path)


def _in_part(source: VideoSource, subtitles: Lines) -> Lines:
    """The lines that are heard in a video, or in a part of one."""
    start, end = _bounds(source)
    lines = tuple(line for line in subtitles.lines if line.end >= start and line.start < end)
    if lines:
        return Lines(lines, subtitles.notes)
    note = f"no line of the subtitles is heard from {start:.1f} to {end:.1f} s"
    return Lines((), (*subtitles.notes, note))


def _bounds(source: VideoSource) -> tuple[float, float]:
    """Start and end of a video or a part of one, in seconds from the whole video's first frame."""
    start = float(source.pts_seconds([0])) - source.start_pts_seconds
    return start, start + source.duration_seconds
