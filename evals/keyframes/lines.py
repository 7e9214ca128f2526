"""The lines of the table: the cells, and the references that each is compared with."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evals.harness.cells import Cell

REFERENCES = ("uniform", "random")
ORACLE = "ground truth (an oracle)"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Attributes:
        cell: Sampler and, if it is the same for all videos, its budget.
        as_many_as: Origin of the budget of each video otherwise: the key of another cell, or
            `ORACLE`, the number of its true keyframes.
    """

    cell: Cell
    as_many_as: str | None = None

    @property
    def key(self) -> str:
        """The line as the key of a record."""
        if self.as_many_as is None:
            return self.cell.key
        return f"{self.cell.sampler}, as many as {self.as_many_as}"

    @property
    def number_from(self) -> str:
        """The origin of the number of frames, which is the same for lines that are compared."""
        if self.as_many_as is not None:
            return self.as_many_as
        return self.cell.key if self.cell.num_frames is None else ""

    @property
    def labels(self) -> dict[str, str | int | float | None]:
        """The line as the first columns of a table."""
        return {**self.cell.labels, "as_many_as": self.as_many_as}

    def with_budget(self, num_frames: int) -> Cell:
        """The cell for one video, with this budget if the budget differs between videos."""
        return self.cell if self.as_many_as is None else replace(self.cell, num_frames=num_frames)


def lines_of(cells: Sequence[Cell], *, oracle: bool) -> list[Line]:
    """The lines of a run: every cell, and as many uniform and random frames.

    Args:
        cells: Cells that are compared.
        oracle: Whether every sampler also gets as many frames as there are true keyframes.

    Returns:
        Lines; a line follows the one that its number of frames comes from.

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
