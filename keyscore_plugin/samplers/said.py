"""Which subtitles score in a call: those given, or those beside the video for what is said."""

from pathlib import Path

from keyscore_plugin.errors import InputError, MissingDependencyError, shown
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


def subtitles_of(
    source: VideoSource, given: SubtitleInput, texts: tuple[str, ...], *, end_seconds: float
) -> Subtitles:
    """Find and read the subtitles of a call.

    Args:
        source: The open video.
        given: A path; True for the file beside the video, or else the stream inside of it; False
            for none; None for the file beside the video if a text is about speech.
        texts: The texts that score.
        end_seconds: End of what is chosen from, in seconds from the video's first frame.

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
        return within_video(found, end_seconds, source.path)
    if given is False:
        return Subtitles(())
    if given is not True:
        if not isinstance(given, (str, Path)):
            raise InputError(f"subtitles must be a path, True or False, got {shown(given)}")
        found = read_subtitle_file(Path(given))
    else:
        found = read_embedded(source.path) if beside is None else read_subtitle_file(beside)
    return within_video(found, end_seconds, source.path)
