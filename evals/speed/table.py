"""A table of plain values."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from evals.harness.result import markdown_table

Cell = str | int | float
Line = dict[str, Cell]


@dataclass(frozen=True, slots=True)
class Table:
    """The measurements of one comparison.

    Attributes:
        name: Short name, for files and options.
        title: Description of the comparison.
        lines: Rows, all with the same columns.
        notes: Notes for readers, such as the reason why a row is missing.
        key: Columns that identify a line when it is measured again.
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
            rows = [[_shown(line[column]) for column in columns] for line in self.lines]
            parts.append(markdown_table(columns, rows))
        parts += [f"- {note}" for note in self.notes]
        return "\n".join(parts).rstrip() + "\n"


def _shown(cell: Cell) -> str:
    """A cell as text; a float gets three digits, because measured times have no more."""
    if isinstance(cell, float):
        return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)
