"""The protocol that an evaluation implements; the harness does the rest."""

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
    """One video, the unit of measuring, resuming, sharding and leaving out.

    Attributes:
        id: Name of the video, unique in the evaluation.
        video: File of the video.
    """

    id: str
    video: Path


class Evaluation(Protocol):
    """One protocol on one data set; errors in the annotations are raised when it is made."""

    @property
    def name(self) -> str:
        """The name of the module, such as ``"needle"``."""

    @property
    def units(self) -> Sequence[Unit]:
        """The videos, in a fixed order."""

    @property
    def plot(self) -> Plot:
        """The content of the picture."""

    def settings(self) -> dict[str, Any]:
        """All that decides the figures besides the common options, as plain JSON values."""

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """Run every cell on one video.

        Returns:
            Plain JSON values that `rows` needs.

        Raises:
            VideoError: The video cannot be read.
            MemoryEndedError: The device has too little memory for this video.
        """

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """The table, made from the record of every video that was not left out, by id, in order."""
