"""The result of a run, as JSON and as a Markdown table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from evals.harness.figures import Figure

Label = str | int | float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        labels: Labels by column: the sampler, its budget, the protocol.
        n: Number of queries, clips or videos behind the figures.
        figures: Figures by column.
    """

    labels: Mapping[str, Label]
    n: int
    figures: Mapping[str, Figure]


@dataclass(frozen=True, slots=True)
class Result:
    """The table of a run, with all that is needed to repeat it.

    Attributes:
        name: Name of the evaluation.
        settings: Settings that decide the figures.
        versions: Versions of the code and the packages when the run began.
        left_out: Ids of the videos that were left out.
        rows: Rows of the table.
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
        """One line for each row; columns without a label are left out."""
        labels = [
            name
            for name in _union(row.labels for row in self.rows)
            if any(row.labels.get(name) is not None for row in self.rows)
        ]
        figures = _union(row.figures for row in self.rows)
        table = markdown_table(
            [*labels, "n", *figures],
            [
                [
                    *(_label(row.labels.get(name)) for name in labels),
                    str(row.n),
                    *(_cell(row.figures.get(name)) for name in figures),
                ]
                for row in self.rows
            ],
        )
        if self.left_out:
            table += f"\nLeft out by name: {', '.join(self.left_out)}.\n"
        return table


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; every line ends with a line feed."""
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"


def _union(mappings: Iterable[Mapping[str, Any]]) -> list[str]:
    """The keys of all mappings, each once, in the order of their first occurrence."""
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
