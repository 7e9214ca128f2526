"""Every sampler, budget and query over the same videos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

from evals.harness.bench import Bench
from evals.harness.cells import Cell
from evals.harness.evaluation import Unit
from evals.harness.figures import mean_figure
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from evals.needle.data import NeedleVideo
from evals.needle.metrics import Figures, judge

# As the tables have always called them.
_COLUMNS = {"coverage_1s": "1 s", "coverage_2s": "2 s", "coverage_5s": "5 s"}


@dataclass(frozen=True)
class NeedleEvaluation:
    """The needle protocol on one set of videos.

    Attributes:
        dataset: What the result calls the set.
        videos: The videos and their needles.
        seed: Of the bootstrap.
    """

    dataset: str
    videos: Sequence[NeedleVideo]
    seed: int = 0
    name: ClassVar[str] = "needle"
    plot: ClassVar[Plot] = Plot("1 s")

    @cached_property
    def units(self) -> Sequence[Unit]:
        """The videos."""
        return list(self._by_id)

    @cached_property
    def _by_id(self) -> dict[Unit, NeedleVideo]:
        return {Unit(video.path.stem, video.path): video for video in self.videos}

    def settings(self) -> dict[str, Any]:
        """The data set."""
        return {"dataset": self.dataset}

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """The figures of every needle, for every cell."""
        video = self._by_id[unit]
        return {"figures": {cell.key: _search(bench, cell, video) for cell in cells}}

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """Means over all needles; budgets together, so that samplers can be compared."""
        rows = [self._row(cell, records) for cell in cells]
        return sorted(rows, key=lambda row: float(row.labels["num_frames"] or 0))

    def _row(self, cell: Cell, records: Mapping[str, Record]) -> Row:
        judged = [row for record in records.values() for row in record["figures"][cell.key]]
        columns = zip(fields(Figures), zip(*judged, strict=True), strict=True)
        return Row(
            cell.labels,
            n=len(judged),
            figures={
                _COLUMNS.get(field.name, field.name): mean_figure(column, seed=self.seed)
                for field, column in columns
            },
        )


def _search(bench: Bench, cell: Cell, video: NeedleVideo) -> list[list[float]]:
    """Ask for every needle of one video; once for all when the sampler reads no text."""
    if not cell.needs_text:
        selection = bench.select(cell)
        figures = [judge(selection.pts_seconds, needle) for needle in video.needles]
    else:
        figures = [
            judge(bench.select(cell, caption=needle.caption).pts_seconds, needle)
            for needle in video.needles
        ]
    return [list(one.to_dict().values()) for one in figures]
