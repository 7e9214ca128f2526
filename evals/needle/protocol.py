"""Search the same videos with every sampler, budget and query."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from evals.harness.bench import Bench
from evals.harness.cells import Cell
from evals.harness.data import digest
from evals.harness.evaluation import Unit
from evals.harness.figures import Ints, clustered_mean
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from evals.needle.asks import Ask
from evals.needle.lines import Kind
from evals.needle.metrics import Figures, judge
from evals.needle.sources import SPLITS
from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Selection
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo

# Column names in the tables.
_COLUMNS = {"coverage_1s": "1 s", "coverage_2s": "2 s", "coverage_5s": "5 s"}
# QVHighlights is annotated in stretches of 2 s; the last one may reach beyond the end.
_BEYOND_SECONDS = 2.0


@dataclass(frozen=True)
class NeedleEvaluation:
    """The needle protocol on one set of videos.

    Attributes:
        dataset: Name of the set in the result.
        videos: Videos and their needles.
        seed: Seed of the bootstrap.
        ask: Kind of the queries.
        lines: Whether a line is said, or written, in each clip; None for neither.
    """

    dataset: str
    videos: Sequence[NeedleVideo]
    seed: int = 0
    ask: Ask = "one"
    lines: Kind | None = None
    name: ClassVar[str] = "needle"
    plot: ClassVar[Plot] = Plot("1 s", by=("sampler", "threshold"))

    @cached_property
    def units(self) -> Sequence[Unit]:
        """The videos."""
        return list(self._by_id)

    @cached_property
    def _by_id(self) -> dict[Unit, NeedleVideo]:
        return {Unit(video.path.stem, video.path): video for video in self.videos}

    def settings(self) -> dict[str, Any]:
        """The data set, its sentences and their spans."""
        needles = [[asdict(needle) for needle in video.needles] for video in self.videos]
        settings = {"dataset": self.dataset, "ask": self.ask, "needles_sha256": digest(needles)}
        return settings if self.lines is None else {**settings, "lines": self.lines}

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """The figures of every needle, for every cell."""
        video = self._by_id[unit]
        _require_inside(video, bench.source.duration_seconds)
        return {"figures": self._figures(video, bench, cells)}

    def _figures(self, video: NeedleVideo, bench: Bench, cells: Sequence[Cell]) -> dict[str, Any]:
        return {cell.key: _search(bench, cell, video, self.ask) for cell in cells}

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """Means over all needles, in the order of the budgets, so that samplers can be compared."""
        rows = [self._row(cell, records) for cell in cells]
        return sorted(rows, key=lambda row: float(row.labels["num_frames"] or 0))

    def _row(self, cell: Cell, records: Mapping[str, Record]) -> Row:
        judged = [row for record in records.values() for row in record["figures"][cell.key]]
        columns = zip(fields(Figures), zip(*judged, strict=True), strict=True)
        clusters = self._clusters(records)
        return Row(
            cell.labels,
            n=len(judged),
            figures={
                _COLUMNS.get(field.name, field.name): clustered_mean(
                    column, clusters, seed=self.seed
                )
                for field, column in columns
            },
        )

    def _clusters(self, records: Mapping[str, Record]) -> Ints:
        """``(n_queries,)`` cluster of each query; a cluster is resampled as a whole.

        Queries of one video are not independent, so a video is a cluster. The videos of a joined
        split are orders of the same clips with the same sentences, so there a sentence is one.
        """
        measured = [video for video in self.videos if video.path.stem in records]
        names = [
            " ".join(needle.texts) if self.dataset in SPLITS else video.path.stem
            for video in measured
            for needle in video.needles
        ]
        return np.unique(names, return_inverse=True)[1]


def _require_inside(video: NeedleVideo, duration_seconds: float) -> None:
    """Check that a video is as long as its needles need.

    Raises:
        VideoError: A span lies behind the end of the video, where no frame can be near it.
    """
    ends = max(end for needle in video.needles for _, end in needle.spans)
    if ends > duration_seconds + _BEYOND_SECONDS:
        raise VideoError(
            str(video.path),
            f"it is {duration_seconds:g} s long, and a query points at {ends:g} s",
            "get the copy that was annotated",
        )


def _search(bench: Bench, cell: Cell, video: NeedleVideo, ask: Ask) -> list[list[float]]:
    """The figures of every needle of one video; a sampler that reads no text is called once."""
    if not cell.needs_text:
        selection = bench.select(cell)
        figures = [judge_selection(selection, needle, ask) for needle in video.needles]
    else:
        kind = "question" if ask == "global" else "caption"
        figures = [
            judge_selection(
                bench.select(cell, subtitles=video.subtitles, **{kind: needle.texts}), needle, ask
            )
            for needle in video.needles
        ]
    return [list(astuple(one)) for one in figures]


def judge_selection(selection: Selection, needle: Needle, ask: Ask = "one") -> Figures:
    """`judge` with times from the video's first frame on, as annotations have them."""
    start = selection.start_pts_seconds
    return judge([seconds - start for seconds in selection.pts_seconds], needle, ask=ask)
