"""Which subtitles score in a call: those given, or those beside the video for what is said."""

from pathlib import Path

from keyscore_plugin.errors import MissingDependencyError
from keyscore_plugin.timed_texts.speech_words import asks_about_speech
from keyscore_plugin.timed_texts.subtitles import (
    Subtitles,
    read_embedded,
    read_subtitle_file,
    subtitles_beside,
    within_video,
)
from keyscore_plugin.types import SubtitleInput
from keyscore_plugin.video.source import VideoSource
from keyscore_plugin.video.trim import TrimmedVideo


def subtitles_of(source: VideoSource, given: SubtitleInput, texts: tuple[str, ...]) -> Subtitles:
    """Find and read the subtitles of a call.

    Args:
        source: The open video, or an open part of one, whose lines alone are kept.
        given: A path; True for the file beside the video, or else the stream inside of it; False
            for none; None for the file beside the video if a text is about speech.
        texts: The texts that score.

    Returns:
        The subtitles; without lines if none score.

    Raises:
        InputError: The subtitles cannot be used, or True is given and there are none.
        MissingDependencyError: pysubs2 is not installed, and subtitles are asked for.
    """
    beside = None if source.path.startswith("<") else subtitles_beside(source.path)
    if given is None:
        if beside is None or not any(asks_about_speech(text) for text in texts):
            return Subtitles(())
        try:
            found = read_subtitle_file(beside)
        except MissingDependencyError as error:
            note = f"the subtitles {beside.name} beside the video were not read: {error}"
            return Subtitles((), (note,))
        return _heard_in(source, found)
    if given is False:
        return Subtitles(())
    if given is not True:
        found = read_subtitle_file(Path(given))
    else:
        found = read_embedded(source.path) if beside is None else read_subtitle_file(beside)
    return _heard_in(source, found)


def _heard_in(source: VideoSource, subtitles: Subtitles) -> Subtitles:
    """The lines that are heard in a video, or in a part of one.

    Raises:
        InputError: Every line begins after the end of the whole video.
    """
    whole = source
    while isinstance(whole, TrimmedVideo):
        whole = whole.whole
    subtitles = within_video(subtitles, whole.duration_seconds, source.path)
    start = float(source.pts_seconds([0])) - source.start_pts_seconds
    end = start + source.duration_seconds
    lines = tuple(line for line in subtitles.lines if line.end >= start and line.start < end)
    if lines:
        return Subtitles(lines, subtitles.notes)
    note = f"no line of the subtitles is heard from {start:.1f} to {end:.1f} s"
    return Subtitles((), (*subtitles.notes, note))
