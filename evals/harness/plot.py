"""A picture of the table."""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evals.harness.figures import Figure
from evals.harness.result import Label, Result, Row
from keyscore_plugin.hosts import require, write_whole


@dataclass(frozen=True, slots=True)
class Plot:
    """The content of a picture: lines over ``x``, or bars if no line has two points.

    Attributes:
        y: Name of the figure.
        x: Label on the horizontal axis, a number.
        by: Labels that distinguish the lines.
        only: Labels and values of the rows that are shown.
    """

    y: str
    x: str = "num_frames"
    by: tuple[str, ...] = ("sampler",)
    only: Mapping[str, Label] = field(default_factory=dict)

    def shows(self, row: Row) -> bool:
        """Whether a row is in the picture."""
        wanted = all(row.labels.get(name) == value for name, value in self.only.items())
        return wanted and self.y in row.figures


def draw(result: Result, plot: Plot, path: Path) -> None:
    """Write the picture as SVG.

    Raises:
        OSError: The file cannot be written; an earlier one is unchanged.
        MissingDependencyError: matplotlib is not installed.
    """
    require("matplotlib", extra="evals")
    import matplotlib as mpl
    from matplotlib.figure import Figure as Canvas

    lines = _lines(result.rows, plot)
    # The same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "keyscore", "font.size": 9}):
        bars = all(len(points) < 2 for points in lines.values())
        n_bars = sum(map(len, lines.values()))
        canvas = Canvas(figsize=(8, 1.2 + 0.25 * n_bars if bars else 4.5), layout="constrained")
        axes = canvas.add_subplot()
        axes.spines[["top", "right"]].set_visible(False)
        (_bars if bars else _curves)(axes, lines, plot)
        canvas.suptitle(_title(result, plot), x=0.01, ha="left")
        picture = io.BytesIO()
        canvas.savefig(picture, format="svg", metadata={"Date": None})
    write_whole(path, picture.getvalue())


def _title(result: Result, plot: Plot) -> str:
    """The name of the figure, then a line for each data set or part of one."""
    shown = [row.labels for row in filter(plot.shows, result.rows)]
    datasets = dict.fromkeys(str(labels["dataset"]) for labels in shown if "dataset" in labels)
    return "\n".join([f"{result.name}: {plot.y}, 95 % intervals", *datasets])


Points = list[tuple[float, Figure]]


def _lines(rows: Sequence[Row], plot: Plot) -> dict[str, Points]:
    """The points of every line by its name; points without an ``x`` get separate lines."""
    placed: dict[str, Points] = {}
    unplaced: dict[str, Points] = {}
    for row in filter(plot.shows, rows):
        labels = [str(row.labels[name]) for name in plot.by if row.labels.get(name) is not None]
        x = row.labels.get(plot.x)
        lines, at = (placed, float(x)) if isinstance(x, int | float) else (unplaced, math.nan)
        lines.setdefault(", ".join(labels), []).append((at, row.figures[plot.y]))
    # On a line with others, a point without an x would silently be dropped.
    apart = {
        f"{name}, no {plot.x}" if name in placed else name: unplaced[name] for name in unplaced
    }
    return placed | apart


def _interval(figure: Figure) -> tuple[float, float]:
    """The distances from the value to both ends of the interval."""
    if figure.low is None or figure.high is None:
        return 0.0, 0.0
    # The percentile interval of a skewed statistic need not hold its value.
    return max(0.0, figure.value - figure.low), max(0.0, figure.high - figure.value)


def _curves(axes: Any, lines: dict[str, Points], plot: Plot) -> None:
    for name, points in lines.items():
        ordered = sorted(points, key=lambda point: point[0])
        x = [at for at, _ in ordered]
        spread = [_interval(figure) for _, figure in ordered]
        y = [figure.value for _, figure in ordered]
        if all(map(math.isnan, x)):  # without an x: a level line across the picture
            axes.axhline(y[0], label=name, linestyle="--", color="grey")
            continue
        axes.errorbar(x, y, yerr=list(zip(*spread, strict=True)), label=name, marker="o", ms=3)
    axes.set_xlabel(plot.x)
    axes.set_ylabel(plot.y)
    axes.legend(frameon=False, fontsize=8)


def _bars(axes: Any, lines: dict[str, Points], plot: Plot) -> None:
    named = [(name, figure) for name, points in lines.items() for _, figure in points]
    spread = [_interval(figure) for _, figure in named]
    axes.barh(
        range(len(named)),
        [figure.value for _, figure in named],
        xerr=list(zip(*spread, strict=True)) or None,
        color="#2a6f97",
    )
    axes.set_yticks(range(len(named)), [name for name, _ in named])
    axes.invert_yaxis()
    axes.set_xlabel(plot.y)
