"""The subtitles of a video: a file, given or next to the video, or a stream inside of it.

pysubs2 reads the files, and FFmpeg the streams, which it turns into lines of .ass. Both give
milliseconds from the start of the video. The JSON of benchmarks is read by `json_cues`.
"""

import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import av

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import InputError
from keyscore_plugin.timed_texts.json_cues import JSON_SUFFIXES, Cue, read_json_cues
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.types import TimedText
from keyscore_plugin.video.decoders.container import open_stream

SUFFIXES = (".srt", ".vtt", ".ass", ".ssa")
# How benchmarks name the subtitles of NAME.mp4; LongVideoBench: NAME_en.json.
BENCHMARK_ENDINGS = (*SUFFIXES, *JSON_SUFFIXES, "_en.json")
_EXTRA = "subtitles"
_MOST_BYTES = 2**26  # ours: 64 MiB; the subtitles of a film take 0.1
# Ours: the lines of three hours of speech. More are joined with their neighbours, because each
# costs the sentence model about a millisecond.
_MOST_LINES = 4096
_BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
# A bracket after which another one opens before it is closed. pysubs2 looks for the end of each, so
# that the time grows with the square of their number: 64 MiB of them would take days.
_UNCLOSED = re.compile(r"[{<](?=[^{}<>]*[{<])")
# The time of a word inside of a line of .vtt, as in YouTube's own subtitles. pysubs2 takes a line
# with two of them for the beginning of a cue.
_WORD_TIME = re.compile(r"<[\d:.]+>")
_DRAWING = re.compile(r"\\p[1-9]")  # tag of a line of .ass that holds shapes in place of words


def subtitles_beside(video: str, *, endings: Sequence[str] = SUFFIXES) -> Path | None:
    """The subtitle file that has the name of a video and lies in its folder; None if none does.

    Args:
        video: Path of the video.
        endings: Endings that follow the name of the video, the first choice first. JSON files next
            to a video are usually something else, so the default has none.
    """
    path = Path(video)
    files = (path.with_name(f"{path.stem}{ending}") for ending in endings if path.suffix)
    return next((file for file in files if file.is_file()), None)


def read_subtitle_file(path: Path) -> Lines:
    """Read a subtitle file in UTF-8 or UTF-16.

    Args:
        path: File of .srt, .vtt, .ass or .ssa, or a .json or .jsonl as `read_json_cues` takes it.

    Raises:
        InputError: The file cannot be read, has another encoding or format, or holds no line.
        MissingDependencyError: pysubs2 is not installed.
    """
    text, suffix = _text_of(path), path.suffix.lower()
    if suffix in JSON_SUFFIXES:
        return _subtitles(read_json_cues(text, name=str(path)), str(path))
    pysubs2 = require("pysubs2", extra=_EXTRA)
    text = _WORD_TIME.sub("", _UNCLOSED.sub("", text))
    try:
        named = suffix[1:] if suffix in SUFFIXES else None
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", RuntimeWarning
            )  # on margins and layers: not needed here
            events = pysubs2.SSAFile.from_string(text, format_=named).events
    except (pysubs2.Pysubs2Error, ValueError, RecursionError) as error:
        raise InputError(
            f"the subtitles {path} are not read ({type(error).__name__}: {error}); give a file of "
            f"{', '.join((*SUFFIXES, *JSON_SUFFIXES))}"
        ) from error
    return _subtitles(_cues(events), str(path))


def read_embedded(video: str) -> Lines:
    """Read the first subtitle stream of text in a video file.

    Args:
        video: Path of the video.

    Raises:
        InputError: The video has no such stream, or the stream has no line.
        VideoError: The video cannot be opened.
        MissingDependencyError: pysubs2 is not installed.
    """
    pysubs2 = require("pysubs2", extra=_EXTRA)
    container, picture = open_stream(video)
    events = []
    with closing(container):
        streams = container.streams.subtitles
        found = [one for one in streams if one.codec_context and one.codec_context.codec.text_sub]
        if not found:
            raise InputError(
                f"{video} has no subtitles, neither as a stream of text nor as a file of its name "
                f"next to it ({', '.join(SUFFIXES)}); give the path of a subtitle file"
            )
        start = float((picture.start_time or 0) * (picture.time_base or 0))
        try:
            for packet in container.demux(found[0]):
                if packet.pts is None or packet.time_base is None:
                    continue
                begin = float(packet.pts * packet.time_base) - start
                end = begin + float((packet.duration or 0) * packet.time_base)
                for rect in packet.decode():
                    dialogue = getattr(rect, "dialogue", b"")
                    words = _UNCLOSED.sub("", dialogue.decode("utf-8", "replace"))
                    events.append(pysubs2.SSAEvent(round(1000 * begin), round(1000 * end), words))
        except av.FFmpegError as error:
            raise InputError(
                f"the subtitle stream of {video} does not decode ({error.strerror}); give the path "
                "of a subtitle file, or subtitles=False"
            ) from error
    return _subtitles(_cues(events), f"in {video}")


def within_video(subtitles: Lines, duration_seconds: float, name: str) -> Lines:
    """The lines that begin before the video ends, with a note on the others.

    Args:
        subtitles: Lines of a file, which may belong to another video.
        duration_seconds: Duration of the video.
        name: Name of the video.

    Raises:
        InputError: Every line begins after the video's end.
    """
    lines = tuple(line for line in subtitles.lines if line.start < duration_seconds)
    n_after = len(subtitles.lines) - len(lines)
    if not lines:
        raise InputError(
            f"all {n_after} lines of the subtitles begin after {name} ends, at "
            f"{duration_seconds:.1f} s; give the subtitles of this video"
        )
    if not n_after:
        return subtitles
    note = (
        f"{n_after} of {len(subtitles.lines)} lines of the subtitles begin after the video ends, "
        "and are left out; they may belong to another video"
    )
    return Lines(lines, (*subtitles.notes, note))


def _text_of(path: Path) -> str:
    if not path.is_file():  # a pipe would never end
        raise InputError(f"the subtitles {path} are not a file; give the path of a subtitle file")
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise InputError(
            f"the subtitles {path} cannot be read: {error.strerror or error}; give another file"
        ) from error
    if len(data) > _MOST_BYTES:
        raise InputError(f"{path} has more than {_MOST_BYTES >> 20} MiB; give a subtitle file")
    encoding = _BYTE_ORDER_MARKS.get(data[:2], "utf-8-sig")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InputError(
            f"byte {error.start} of the subtitles {path} is not {encoding.removesuffix('-sig')}; "
            "save the file as UTF-8"
        ) from error


def _cues(events: Iterable[Any]) -> Iterator[Cue]:
    """The cues of pysubs2's events, which are in milliseconds."""
    for event in events:
        if not (event.is_comment or _DRAWING.search(event.text)):
            yield event.start / 1000, event.end / 1000, unescape(event.plaintext)


def _subtitles(cues: Iterable[Cue], name: str) -> Lines:
    """The lines of cues, in time order, without those without words or reversed."""
    lines, n_reversed = [], 0
    for start, end, text in cues:
        # JSON may hold half of a surrogate pair, which no tokenizer reads.
        words = " ".join(text.encode("utf-8", "replace").decode().split())
        if not words:
            continue
        if end < start:
            n_reversed += 1
            continue
        lines.append(TimedText(start, end, words))
    if not lines:
        raise InputError(f"the subtitles {name} hold no line of text; give another file")
    lines.sort(key=lambda line: (line.start, line.end))
    notes = []
    if n_reversed:
        notes.append(f"{n_reversed} lines of the subtitles end before they start, and are left out")
    if len(lines) > _MOST_LINES:
        notes.append(f"the {len(lines)} lines of the subtitles were joined to {_MOST_LINES}")
        lines = _joined(lines)
    return Lines(tuple(lines), tuple(notes))


def _joined(lines: list[TimedText]) -> list[TimedText]:
    """Neighbouring lines as one, so that no more than `_MOST_LINES` are left."""
    bounds = [n * len(lines) // _MOST_LINES for n in range(_MOST_LINES + 1)]
    groups = (lines[start:end] for start, end in pairwise(bounds))
    return [
        TimedText(
            group[0].start, max(line.end for line in group), " ".join(line.text for line in group)
        )
        for group in groups
    ]
