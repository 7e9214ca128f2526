"""Law: a damaged subtitle file gives lines in time order, or one clear error."""

import random
from pathlib import Path

import pytest

from keyscore_plugin.errors import InputError
from keyscore_plugin.timed_texts.subtitles import read_subtitle_file
from keyscore_plugin.types import TimedText

FILES = {
    "srt": b"1\n00:00:01,000 --> 00:00:03,000\nOne <i>two</i>\n\n"
    b"2\n00:00:05,500 --> 00:00:08,000\nSix\n",
    "vtt": b"WEBVTT\n\n00:01.000 --> 00:03.000 align:start\nOne\n\n00:05.500 --> 00:08.000\nSix\n",
    "ass": b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, "
    b"Text\nDialogue: 0,0:00:01.00,0:00:03.00,Default,,0,0,0,,One {\\i1}two\\N\n",
}
PIECES = (b"99999999999", b"-->", b"\n\n", b"{\\p1}", b"\x00", b"\xff", b"Dialogue: ", b":::", b"-")


def damaged(data: bytes, seed: int) -> bytes:
    rng, left = random.Random(seed), bytearray(data)
    for _ in range(rng.randint(1, 12)):
        at = rng.randrange(len(left) + 1)
        left[at : at + rng.choice((0, 0, 1, 5))] = rng.choice(PIECES)
    return bytes(left)


def answer(path: Path) -> tuple[TimedText, ...] | str:
    """The lines of a file, or the error."""
    try:
        return read_subtitle_file(path).lines
    except InputError as error:
        return str(error)


@pytest.mark.fuzz
@pytest.mark.parametrize("suffix", FILES)
def test_a_damaged_subtitle_file_gives_lines_or_one_clear_error(
    suffix: str, tmp_path: Path
) -> None:
    path = tmp_path / f"a.{suffix}"
    for seed in range(200):
        path.write_bytes(damaged(FILES[suffix], seed))
        found = answer(path)
        if isinstance(found, str):
            assert "\n" not in found
        else:
            assert list(found) == sorted(found, key=lambda line: (line.start, line.end))
