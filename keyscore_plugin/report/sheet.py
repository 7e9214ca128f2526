"""A figure that is filled from top to bottom, measured in inches, and its title."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.report import style
from keyscore_plugin.types import Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_INCHES = 10.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 0.45, 0.30, 0.15, 0.10  # margins; the left one holds tick labels
CONTENT_INCHES = WIDTH_INCHES - _LEFT - _RIGHT

# Control characters and others that XML forbids: an .svg with one does not open (XML 1.0,
# production 2).
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

_WORD_GAP_INCHES = 0.12
_LINE_INCHES = 0.96 * CONTENT_INCHES  # a PNG aligns letters to pixels, which makes lines longer
_INCHES_PER_POINT = 1 / 72


class Sheet:
    """A page with a cursor that moves down as it is filled.

    Args:
        content_height: Height between the upper and the lower margin, in inches.

    Attributes:
        figure: Figure of matplotlib. It is made without pyplot, so it has no global state and opens
            no window.
    """

    def __init__(self, content_height: float) -> None:
        self._height = _TOP + content_height + _BOTTOM
        self._y = self._height - _TOP
        self.figure: Figure = require("matplotlib.figure", extra="report").Figure(
            figsize=(WIDTH_INCHES, self._height), facecolor="white"
        )

    def skip(self, height: float) -> None:
        """Move the cursor down by ``height`` inches."""
        self._y -= height

    def text(self, parts: tuple[tuple[str, str], ...], *, size: float, height: float) -> None:
        """Write one line of (text, colour) parts from the left margin; the cursor moves down."""
        x = _LEFT
        for n, (said, colour) in enumerate(parts):
            text = printable(said)
            self.figure.text(
                x / WIDTH_INCHES,
                (self._y - height / 2) / self._height,
                text,
                fontsize=size,
                color=colour,
                va="center",
                parse_math=False,  # $ is a dollar sign
            )
            if n < len(parts) - 1:
                x += _text_width(text, size=size) + _WORD_GAP_INCHES
        self.skip(height)

    def axes(self, height: float) -> "Axes":
        """Add axes over the whole content width; the cursor moves down."""
        axes = self.axes_at(0.0, 0.0, width=CONTENT_INCHES, height=height)
        self.skip(height)
        return axes

    def axes_at(self, left: float, down: float, *, width: float, height: float) -> "Axes":
        """Add axes at a place measured from the left margin and down from the cursor, in inches."""
        return self.figure.add_axes(
            (
                (_LEFT + left) / WIDTH_INCHES,
                (self._y - down - height) / self._height,
                width / WIDTH_INCHES,
                height / self._height,
            )
        )


def printable(text: str) -> str:
    """Replace the characters of a text that no picture can hold by a replacement character."""
    return _NO_XML.sub("\ufffd", text)


def wrapped(text: str, *, size: float) -> list[str]:
    """Break a text into lines that fit the page; a word longer than a line is divided."""
    lines, room = [""], _LINE_INCHES
    for word in printable(text).split():
        spaced = f" {word}" if lines[-1] else word
        if _letters_width(spaced, size=size) <= room:
            pieces = [spaced]
        elif _letters_width(word, size=size) <= _LINE_INCHES:
            pieces, room = [word], 0.0
        else:
            pieces = list(spaced)
        for piece in pieces:
            width = _letters_width(piece, size=size)
            if width > room:
                lines.append("")
                room = _LINE_INCHES
            lines[-1] += piece
            room -= width
    return lines


def _letters_width(text: str, *, size: float) -> float:
    """Add up the widths of letters, which is faster than `_text_width` and ignores kerning."""
    return sum(_letter_width(letter, size=size) for letter in text)


@cache
def _letter_width(letter: str, *, size: float) -> float:
    """Return the inches from this letter to the next; a space alone would have no width."""
    with glyphs_may_be_missing():
        return _text_width(f"|{letter}|", size=size) - _text_width("||", size=size)


def _text_width(text: str, *, size: float) -> float:
    """Return the width of a text in the default font, in inches."""
    to_path = require("matplotlib.textpath", extra="report").text_to_path
    font = require("matplotlib.font_manager", extra="report").FontProperties(size=size)
    width, _, _ = to_path.get_text_width_height_descent(text, font, ismath=False)
    return float(width) * _INCHES_PER_POINT


@contextmanager
def glyphs_may_be_missing() -> Iterator[None]:
    """Suppress warnings about missing glyphs, which show as boxes; a text may be in any script."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


# Points, inches per line, most lines. A longer title than the last of these is cut; a report in
# HTML has all of it.
_SIZES = ((style.TITLE, 0.25, 3), (style.BODY, 0.165, 10))


@dataclass(frozen=True, slots=True)
class Title:
    """The title of a picture, in lines that fit the page.

    Attributes:
        lines: Lines of text.
        size: Font size in points.
        line_height: Height of a line in inches.
    """

    lines: list[str]
    size: float
    line_height: float

    @classmethod
    def of(cls, selection: Selection) -> "Title":
        """Return the title of a selection: the text that scored the frames, if any."""
        text = _text(selection)
        fitting = (kind for kind in _SIZES if len(wrapped(text, size=kind[0])) <= kind[2])
        size, line_height, most = next(fitting, _SIZES[-1])
        return cls(_cut(wrapped(text, size=size), most), size, line_height)

    @property
    def height(self) -> float:
        """Height of all lines, in inches."""
        return len(self.lines) * self.line_height

    def draw(self, sheet: Sheet) -> None:
        """Write the lines; the cursor of the sheet moves below them."""
        for line in self.lines:
            sheet.text(((line, style.INK),), size=self.size, height=self.line_height)


def _text(selection: Selection) -> str:
    text = selection.caption.text if selection.caption else selection.question
    if text is None:
        return f"{selection.sampler}, without a text"
    by = " (generated)" if selection.caption and selection.caption.origin == "generated" else ""
    return f"\u201c{text.replace(chr(10), ' / ')}\u201d{by}"


def _cut(lines: list[str], most: int) -> list[str]:
    """Keep at most ``most`` lines; an ellipsis ends the last one if some are left out."""
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    return [*lines[: most - 1], f"{last.rpartition(' ')[0] or last[:-2]} \u2026"]
