"""What an evaluation must say; the rest is the harness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from evals.harness.bench import Bench
from evals.harness.cells import Cell
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row


@dataclass(frozen=True, slots=True)
class Unit:
    """One video: what is measured at once, resumed, sharded and left out.

    Attributes:
        id: Unique in the evaluation.
        video: The file.
    """

    id: str
    video: Path


class Evaluation(Protocol):
    """One protocol on one data set. It is made complete: annotation errors show then."""

    @property
    def name(self) -> str:
        """Of the module, such as ``"needle"``."""

    @property
    def units(self) -> Sequence[Unit]:
        """The videos, in a fixed order."""

    @property
    def plot(self) -> Plot:
        """What the picture shows."""

    def settings(self) -> dict[str, Any]:
        """What decides the figures beside the common options, as plain JSON values."""

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """Try every cell on one video.

        Returns:
            Plain JSON values; whatever `rows` needs.

        Raises:
            VideoError: The video cannot be read.
            MemoryEndedError: The memory of the device does not hold the work on it.
        """

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """The table, from the record of every video that was not left out, by id, in order."""
