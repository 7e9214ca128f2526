"""The text that scored, above a picture: as large as its length allows."""

from dataclasses import dataclass

from keyscore_plugin.report import style
from keyscore_plugin.report.sheet import Sheet, wrapped
from keyscore_plugin.types import Selection

# Points, inches a line, most lines. What is longer than the last of these is cut; a report in HTML
# has all of it.
_SIZES = ((style.TITLE, 0.25, 3), (style.BODY, 0.165, 10))


@dataclass(frozen=True, slots=True)
class Title:
    """Lines that fit the page.

    Attributes:
        lines: Of text.
        size: Points of the letters.
        line_height: Inches.
    """

    lines: list[str]
    size: float
    line_height: float

    @classmethod
    def of(cls, selection: Selection) -> "Title":
        """The text that scored the frames, or that there was none."""
        text = _text(selection)
        fitting = (kind for kind in _SIZES if len(wrapped(text, size=kind[0])) <= kind[2])
        size, line_height, most = next(fitting, _SIZES[-1])
        return cls(_cut(wrapped(text, size=size), most), size, line_height)

    @property
    def height(self) -> float:
        """Inches of all lines."""
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
    return f"\u201c{text}\u201d{by}"


def _cut(lines: list[str], most: int) -> list[str]:
    """At most so many lines; an ellipsis ends the last one where some are left out."""
    if len(lines) <= most:
        return lines
    last = lines[most - 1]
    return [*lines[: most - 1], f"{last.rpartition(' ')[0] or last[:-2]} \u2026"]
