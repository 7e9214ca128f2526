"""The tables as pictures: bars in units of the floor, and lines over growing sizes."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from evals.speed.table import Line, Table
from keyscore_plugin.hosts import require

_COLOURS = ("#2a6f97", "#e07a5f", "#81b29a", "#6d597a")


def draw(tables: Iterable[Table], folder: Path) -> list[Path]:
    """Draw an SVG for each table that has a picture and lines.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    require("matplotlib", extra="report")
    import matplotlib as mpl

    # The same figures give the same file.
    with mpl.rc_context({"svg.hashsalt": "keyscore", "font.size": 9}):
        return [
            _save(_PICTURES[table.name](table), folder / f"speed-{table.name}.svg")
            for table in tables
            if table.name in _PICTURES and table.lines
        ]


def _save(figure: Any, path: Path) -> Path:
    figure.savefig(path, metadata={"Date": None})
    return path


def _figure(title: str, *, height: float = 3.2) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.add_subplot()
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _floor(table: Table) -> Any:
    """A bar for each job and clip, in units of the floor."""
    figure, axes = _figure(
        "CPU time of a whole call, in units of decoding its grid", height=1 + 0.2 * len(table.lines)
    )
    labels = [f"{line['clip']}: {line['what']}" for line in table.lines]
    values = [float(line["of the floor, CPU"]) for line in table.lines]
    bars = axes.barh(labels, values, color=_COLOURS[0])
    axes.bar_label(bars, [f"{value:.2f}" for value in values], padding=3)
    axes.axvline(1, color=_COLOURS[1], linewidth=1)
    axes.set_xscale("log")
    axes.set_xticks([])
    axes.set_xticks([], minor=True)
    axes.margins(x=0.1)
    axes.invert_yaxis()
    return figure


def _clustering(table: Table) -> Any:
    figure, axes = _figure("Clustering for every k: CPU seconds over frames of the grid")
    for number, (k, lines) in enumerate(_by(table.lines, "k").items()):
        for column, style in (("STACFP s CPU", "-o"), ("scikit-learn s CPU", "--s")):
            _line(axes, lines, "N", column, f"{column.split(' s ')[0]}, k = {k}", style, number)
    return _logarithmic(figure, axes, "frames of the grid", "CPU seconds")


def _grids(table: Table) -> Any:
    figure, axes = _figure("STACFP over the frames of the grid")
    for number, (k, lines) in enumerate(_by(table.lines, "k").items()):
        _line(axes, lines, "N", "s CPU", f"k = {k}", "-o", number)
    return _logarithmic(figure, axes, "frames of the grid", "CPU seconds")


def _growth(table: Table) -> Any:
    figure, axes = _figure(table.title)
    _line(axes, table.lines, "minutes", "stacfp s CPU", "stacfp, CPU seconds", "-o", 0)
    _line(axes, table.lines, "minutes", "decode s CPU", "decode, CPU seconds", "--s", 1)
    for number, name in enumerate(("stacfp", "keyscore"), start=2):
        _line(axes, table.lines, "minutes", f"{name} peak MB", f"{name}, peak MB", "-^", number)
    return _logarithmic(figure, axes, "minutes of video", "")


_PICTURES = {
    "clustering": _clustering,
    "grids": _grids,
    "growth": _growth,
    "select": _floor,
}


def _by(lines: Sequence[Line], column: str) -> dict[str, list[Line]]:
    groups: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        groups[str(line[column])].append(line)
    return groups


def _line(
    axes: Any, lines: Sequence[Line], x: str, y: str, label: str, style: str, colour: int
) -> None:
    places, values = ([float(line[column]) for line in lines] for column in (x, y))
    axes.plot(places, values, style, label=label, color=_COLOURS[colour % len(_COLOURS)])


def _logarithmic(figure: Any, axes: Any, x: str, y: str) -> Any:
    axes.set_xscale("log")
    axes.set_yscale("log")
    places = sorted({float(place) for line in axes.lines for place in line.get_xdata()})
    axes.set_xticks(places, [f"{place:g}" for place in places])
    axes.set_xticks([], minor=True)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(frameon=False)
    return figure
