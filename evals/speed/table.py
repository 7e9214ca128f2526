"""The results: tables of plain values, as Markdown and as JSON."""

from collections.abc import Sequence
from dataclasses import dataclass, field

Cell = str | int | float
Line = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """One question and its measured answer.

    Attributes:
        name: Short, for files and options.
        title: What is compared.
        lines: Rows; all have the same columns.
        notes: What a reader must know; why something is missing.
        key: The columns by which a line is known again when it is measured anew.
    """

    name: str
    title: str
    lines: Sequence[Line]
    notes: Sequence[str] = field(default=())
    key: Sequence[str] = field(default=())

    def to_markdown(self) -> str:
        """The table under its title."""
        parts = [f"### {self.title}", ""]
        if self.lines:
            columns = list(self.lines[0])
            parts += [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
            parts += [f"| {' | '.join(_shown(line[c]) for c in columns)} |" for line in self.lines]
            parts.append("")
        parts += [f"- {note}" for note in self.notes]
        return "\n".join(parts).rstrip() + "\n"


def _shown(cell: Cell) -> str:
    """Three digits are as many as such figures have."""
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)
