"""The figures of a run as one JSON value and one Markdown table."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evals.harness.figures import Figure

Label = str | int | float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        labels: What was measured, column by column: the sampler, its budget, the protocol.
        n: How many queries, clips or videos the figures stand on.
        figures: By the name of their column.
    """

    labels: Mapping[str, Label]
    n: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Result:
    """What a run found, with all that is needed to repeat it.

    Attributes:
        name: Of the evaluation.
        settings: Everything that decides the figures.
        versions: What ran, as it was when the run began.
        left_out: Ids of the videos that were left out by name.
        rows: The table.
    """

    name: str
    settings: Mapping[str, Any]
    versions: Mapping[str, str]
    left_out: Sequence[str]
    rows: Sequence[Row]

    def to_dict(self) -> dict[str, Any]:
        """The result as plain JSON values."""
        return {
            "eval": self.name,
            "settings": dict(self.settings),
            "versions": dict(self.versions),
            "left_out": list(self.left_out),
            "rows": [
                {
                    "labels": dict(row.labels),
                    "n": row.n,
                    "figures": {name: asdict(figure) for name, figure in row.figures.items()},
                }
                for row in self.rows
            ],
        }

    def to_markdown(self) -> str:
        """One line a row; labels that no row has are left out."""
        labels = [
            name
            for name in _union(row.labels for row in self.rows)
            if any(row.labels.get(name) is not None for row in self.rows)
        ]
        figures = _union(row.figures for row in self.rows)
        lines = [
            f"| {' | '.join([*labels, 'n', *figures])} |",
            f"|{'---|' * (len(labels) + 1 + len(figures))}",
        ]
        for row in self.rows:
            cells = [_label(row.labels.get(name)) for name in labels]
            cells += [str(row.n)]
            cells += [_cell(row.figures.get(name)) for name in figures]
            lines.append(f"| {' | '.join(cells)} |")
        if self.left_out:
            lines += ["", f"Left out by name: {', '.join(self.left_out)}."]
        return "\n".join(lines) + "\n"


def _union(mappings: Any) -> list[str]:
    """The keys of all mappings, each once, in the order in which they were met."""
    return list(dict.fromkeys(key for mapping in mappings for key in mapping))


def _label(value: Label) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _cell(figure: Figure | None) -> str:
    if figure is None:
        return ""
    if figure.low is None or figure.high is None:
        return _number(figure.value)
    return f"{_number(figure.value)} [{_number(figure.low)}, {_number(figure.high)}]"


def _number(value: float) -> str:
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"
