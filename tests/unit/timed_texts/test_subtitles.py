"""Subtitles as files and streams: the lines and their times, and what is refused or noted."""

import json
from pathlib import Path

import pytest

from keyscore_plugin.errors import InputError
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.timed_texts.subtitles import (
    BENCHMARK_ENDINGS,
    read_embedded,
    read_subtitle_file,
    subtitles_beside,
    within_video,
)
from keyscore_plugin.types import TimedText
from keyscore_plugin.video.samples import sample_video
from tests.support.ffmpeg import make, require_ffmpeg

SRT = """1
00:00:05,500 --> 00:00:08,000
The train to Lyon leaves
from platform nine.

2
00:00:01,000 --> 00:00:03,000
We sold the <i>bakery</i>.
"""
VTT = """WEBVTT

00:01.000 --> 00:03.000 align:start
We sold the <b>bakery</b>.

00:05.500 --> 00:08.000
The train to Lyon leaves
from platform nine.
"""
ASS = """[Script Info]
ScriptType: v4.00+

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:09.00,Default,,0,0,0,,a note of the author
Dialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,We sold the {\\i1}bakery{\\i0}.
Dialogue: 0,0:00:05.50,0:00:08.00,Default,,0,0,0,,The train to Lyon leaves\\Nfrom platform nine.
"""
LONG_VIDEO_BENCH = """[
{"start": "00:00:05.500", "end": "00:00:08.000",
 "line": "The train to Lyon leaves from platform nine."},
{"start": "00:00:01.000", "end": "00:00:03.000", "line": "We sold the bakery."}]"""
LONG_VIDEO_BENCH_TIMESTAMPS = """[
{"timestamp": [1.0, 3.0], "text": " We sold the bakery."},
{"timestamp": [5.5, 8], "text": " The train to Lyon leaves from platform nine."}]"""
LINES = (
    TimedText(1.0, 3.0, "We sold the bakery."),
    TimedText(5.5, 8.0, "The train to Lyon leaves from platform nine."),
)


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        ("srt", SRT),
        ("vtt", VTT),
        ("ass", ASS),
        ("json", LONG_VIDEO_BENCH),
        ("json", LONG_VIDEO_BENCH_TIMESTAMPS),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_all_formats_and_encodings_give_the_same_lines_in_time_order(
    tmp_path: Path, suffix: str, text: str, encoding: str
) -> None:
    found = read_subtitle_file(write(tmp_path / f"a.{suffix}", text, encoding))
    assert found == Lines(LINES)


@pytest.mark.parametrize("codec", ["srt", "ass", "webvtt"])
def test_a_stream_in_the_video_gives_the_lines_of_the_file(tmp_path: Path, codec: str) -> None:
    require_ffmpeg()
    subtitles = write(tmp_path / "a.vtt", VTT)
    options = ("-c:v", "copy", "-c:s", codec, "-map", "0:v", "-map", "1:s")
    video = make(tmp_path / "b.mkv", "-i", sample_video("bikes"), "-i", subtitles, *options)
    assert read_embedded(str(video)).lines == LINES


def test_a_video_without_subtitles_says_where_they_are_looked_for() -> None:
    with pytest.raises(InputError, match="neither as a stream of text nor as a file of its name"):
        read_embedded(str(sample_video("bikes")))


def test_the_file_of_the_same_name_is_found(tmp_path: Path) -> None:
    assert subtitles_beside(str(tmp_path / "film.mp4")) is None
    file = write(tmp_path / "film.vtt", VTT)
    assert subtitles_beside(str(tmp_path / "film.mp4")) == file


@pytest.mark.parametrize("name", ["film.srt", "film.jsonl", "film_en.json"])
def test_a_file_of_a_benchmark_is_found_by_its_ending_only_if_asked_for(
    tmp_path: Path, name: str
) -> None:
    file = write(tmp_path / name, "")
    video = str(tmp_path / "film.mp4")
    assert subtitles_beside(video, endings=BENCHMARK_ENDINGS) == file
    assert subtitles_beside(video) == (file if name == "film.srt" else None)


def words_of(*words: tuple[float, float, str]) -> str:
    """A file of Video-MME-v2, which has a word a line."""
    keys = ("start_time", "end_time", "text")
    return "".join(json.dumps(dict(zip(keys, word, strict=True))) + "\n" for word in words)


def test_words_are_joined_to_lines_that_end_with_a_sentence_or_before_a_pause(
    tmp_path: Path,
) -> None:
    text = words_of((1, 1.2, "Hi"), (1.2, 1.5, "guys."), (1.5, 2, "Add"), (2, 2.4, "salt"))
    text += words_of((3, 3.2, "now"), *((4.1 + n, 5 + n, f"word{n}") for n in range(7)))
    found = read_subtitle_file(write(tmp_path / "001.jsonl", text)).lines
    assert found[:3] == (
        TimedText(1, 1.5, "Hi guys."),
        TimedText(1.5, 2.4, "Add salt"),
        TimedText(3, 3.2, "now"),
    )
    assert [line.text.split() for line in found[3:]] == [[f"word{n}" for n in range(6)], ["word6"]]


def test_a_cue_without_an_end_lasts_until_the_next_one_or_a_few_seconds(tmp_path: Path) -> None:
    cues = [{"timestamp": [start, None], "text": "a"} for start in (1.0, 3.0, 60.0)]
    found = read_subtitle_file(write(tmp_path / "a_en.json", json.dumps(cues)))
    assert [(line.start, line.end) for line in found.lines] == [(1, 3), (3, 8), (60, 65)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[", "are neither a JSON list nor lines of JSON"),
        ("[" * 100_000, "are neither a JSON list nor lines of JSON"),
        ("WEBVTT", "are neither a JSON list nor lines of JSON"),
        ("[]", "hold no line of text"),
        ("\n", "hold no line of text"),
        ('{"segments": []}', "cue 1 of the subtitles .* is {'segments': .*}; write it as"),
        ('[{"start": 1, "end": 2, "text": "a"}]', "cue 1 .* write it as"),
        ('[{"timestamp": [1], "text": "a"}]', "cue 1 .* write it as"),
        ('[{"start": "0:1", "end": "0:0:2", "line": "a"}]', "cue 1 .* has the time '0:1'; write"),
        ('[{"start": "%s:0:0.5", "end": "0:0:2", "line": "a"}]' % ("9" * 400), "cue 1 .* the time"),
        ('[{"timestamp": [NaN, 2], "text": "a"}]', "cue 1 .* has the time nan"),
        ('[{"timestamp": [1%s, 2], "text": "a"}]' % ("0" * 400), "cue 1 .* has the time <int of"),
        ('{"text": "a", "start_time": null, "end_time": 2}', "cue 1 .* has the time None"),
    ],
)
def test_json_of_another_form_is_one_clear_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_subtitle_file(write(tmp_path / "a.json", text))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value).replace(str(tmp_path), "")) <= 400


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("Größe".encode("latin-1"), "byte 2 of the subtitles .* is not utf-8; save the file as"),
        (b"no subtitles at all", "hold no line of text"),
        (b"", "hold no line of text"),
        (b"1\n00:00:01,000 --> 00:00:02,000\n<i></i>\n\n", "hold no line of text"),
        (b"\xff\xfe\x00", "is not utf-16"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_clear_line(
    tmp_path: Path, data: bytes, message: str
) -> None:
    path = tmp_path / "a.srt"
    path.write_bytes(data)
    with pytest.raises(InputError, match=message) as caught:
        read_subtitle_file(path)
    assert "\n" not in str(caught.value)


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.srt"):
        with pytest.raises(InputError, match="are not a file; give the path of a subtitle file"):
            read_subtitle_file(path)


def cue(start: int, end: int, text: str) -> str:
    times = (f"{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02},000" for n in (start, end))
    return f"1\n{' --> '.join(times)}\n{text}\n\n"


CUE = "WEBVTT\n\n00:01.000 --> 00:03.000\n"


def test_overlapping_lines_are_kept_and_reversed_ones_are_left_out(tmp_path: Path) -> None:
    text = cue(5, 2, "late") + cue(0, 9, "one") + cue(3, 6, "two")
    found = read_subtitle_file(write(tmp_path / "a.srt", text))
    assert [line.text for line in found.lines] == ["one", "two"]
    assert found.notes == ("1 lines of the subtitles end before they start, and are left out",)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.vtt", f"{CUE}4 <00:01.200><c>2</c><00:01.500><c> you</c>", "4 2 you"),
        ("a.vtt", f"{CUE}&gt;&gt; Tom &amp; Jerry", ">> Tom & Jerry"),
        ("a.srt", cue(1, 3, "Tom&nbsp;&amp; Jerry"), "Tom & Jerry"),
        ("a.ass", ASS.replace("We", "{\\p1}m 0 0 l 9 9{\\p0}We"), LINES[1].text),
        ("a.ass", ASS.replace("We", "{\\pos(1,2)\\k20}We{\\k9}"), LINES[0].text),
        ("a.json", '[{"timestamp": [1, 3], "text": "so \\ud83d"}]', "so ?"),
    ],
    ids=["times of words", "entities", "entities of srt", "drawing", "karaoke", "half a surrogate"],
)
def test_the_words_of_a_line_are_what_a_viewer_reads(
    tmp_path: Path, name: str, text: str, words: str
) -> None:
    found = read_subtitle_file(write(tmp_path / name, text))
    assert found.lines[0].text == words


@pytest.mark.parametrize("bracket", ["{", "<c."])
def test_brackets_that_nothing_closes_do_not_hold_up_a_call(tmp_path: Path, bracket: str) -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:03.000\n" + bracket * 500_000 + " the end"
    (line,) = read_subtitle_file(write(tmp_path / "a.vtt", text)).lines
    assert (line.start, line.end) == (1, 3)
    assert line.text.endswith("the end")


def test_of_very_many_lines_neighbours_are_joined(tmp_path: Path) -> None:
    text = "".join(cue(n, n + 1, f"line{n}") for n in range(50_000))
    found = read_subtitle_file(write(tmp_path / "a.srt", text))
    assert len(found.lines) == 4096
    assert found.notes == ("the 50000 lines of the subtitles were joined to 4096",)
    assert (found.lines[0].start, found.lines[-1].end) == (0, 50_000)
    words = " ".join(line.text for line in found.lines).split()
    assert words == [f"line{n}" for n in range(50_000)]


def test_lines_after_the_end_of_the_video_are_noted_or_refused() -> None:
    found = within_video(Lines(LINES), 4.0, "a.mp4")
    assert found.lines == LINES[:1]
    assert "1 of 2 lines of the subtitles begin after the video ends" in found.notes[0]
    with pytest.raises(InputError, match=r"all 2 lines of the subtitles begin after a\.mp4 ends"):
        within_video(Lines(LINES), 0.5, "a.mp4")


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [(2, 1, "a"), (0, float("inf"), "a"), (float("nan"), 1, "a"), (0, 1, " ")],
)
def test_a_timed_text_checks_itself(start: float, end: float, text: str) -> None:
    with pytest.raises(InputError, match="TimedText"):
        TimedText(start, end, text)
