"""Which selections stand in the table: those asked for, and what every one is held against."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evals.harness.cells import Cell

REFERENCES = ("uniform", "random")
ORACLE = "ground truth (an oracle)"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        cell: The sampler and, where it is one number for all videos, its budget.
        as_many_as: Where the budget of each video comes from instead: the key of another cell,
            or `ORACLE`, the number of its true keyframes.
    """

    cell: Cell
    as_many_as: str | None = None

    @property
    def key(self) -> str:
        """The line as a key of a record."""
        if self.as_many_as is None:
            return self.cell.key
        return f"{self.cell.sampler}, as many as {self.as_many_as}"

    @property
    def number_from(self) -> str:
        """Where its number of frames comes from, the same for lines to be held side by side."""
        if self.as_many_as is not None:
            return self.as_many_as
        return self.cell.key if self.cell.num_frames is None else ""

    @property
    def labels(self) -> dict[str, str | int | float | None]:
        """The line as the first columns of a table."""
        return {**self.cell.labels, "as_many_as": self.as_many_as}

    def with_budget(self, num_frames: int) -> Cell:
        """The cell for one video, where the budget is not the same for all."""
        return self.cell if self.as_many_as is None else replace(self.cell, num_frames=num_frames)


def lines_of(cells: Sequence[Cell], *, oracle: bool) -> list[Line]:
    """The lines of a run: with each budget, uniform and random frames of the same number.

    Args:
        cells: What was asked for.
        oracle: Also every sampler with as many frames as there are true keyframes.

    Returns:
        Lines; a line comes after every other one that it takes its number from.

    Example:
        >>> [line.key for line in lines_of([Cell("keyscore", threshold=0.5)], oracle=False)]
        ['keyscore@t0.5', 'uniform, as many as keyscore@t0.5', 'random, as many as keyscore@t0.5']
    """
    lines = [Line(cell) for cell in cells]
    for cell in cells:
        if cell.num_frames is not None:
            lines += [Line(Cell(name, num_frames=cell.num_frames)) for name in REFERENCES]
        else:
            lines += [Line(Cell(name), as_many_as=cell.key) for name in REFERENCES]
    if oracle:
        samplers = [*(cell.sampler for cell in cells), *REFERENCES]
        lines += [Line(Cell(sampler), as_many_as=ORACLE) for sampler in samplers]
    return list(dict.fromkeys(lines))
