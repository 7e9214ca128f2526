"""The results as a Markdown table and as one JSON value."""

import platform
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from evals.needle.protocol import Row

_COLUMNS = ("precision", "hit", "1 s", "2 s", "5 s")


def to_markdown(rows: Sequence[Row]) -> str:
    """One line a budget and sampler, budgets together, so that samplers can be compared."""
    lines = [
        f"| budget | sampler | {' | '.join(_COLUMNS)} |",
        f"|---|---|{'---|' * len(_COLUMNS)}",
    ]
    # A stable sort: inside a budget the samplers keep the order in which they were asked for.
    for row in sorted(rows, key=lambda row: row.num_frames):
        cells = " | ".join(f"{value:.2f}" for value in row.figures.to_dict().values())
        lines.append(f"| {row.num_frames} | {row.sampler} | {cells} |")
    return "\n".join(lines)


def to_json(rows: Sequence[Row], settings: dict[str, Any]) -> dict[str, Any]:
    """The figures with all that is needed to repeat them.

    Args:
        rows: The figures.
        settings: Split, seed, encoder, configuration.
    """
    packages = ("torch", "numpy", "av", "scikit-image", "foolbox")
    return {
        "eval": "needle",
        "settings": settings,
        "versions": {"python": platform.python_version()} | {p: version(p) for p in packages},
        "rows": [
            {"sampler": row.sampler, "num_frames": row.num_frames, "n_queries": row.n_queries}
            | row.figures.to_dict()
            for row in rows
        ],
    }
