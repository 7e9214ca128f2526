"""The table of a comparison: every sampler next to the uniform frames of the same run."""

from collections.abc import Mapping

from evals.harness.result import markdown_table
from evals.lmms.cells import Cell, Figures

BASELINE = "uniform"
_HEAD = (
    "task",
    "budget",
    "sampler",
    "score",
    "delta",
    "keyframes",
    "visual tokens",
    "s choosing",
    "s in all",
    "documents",
    "errors",
)


def to_markdown(cells: Mapping[Cell, Figures]) -> str:
    """One row for each cell; ``delta`` is the score minus that of `BASELINE` at the same budget."""
    rows = []
    for cell, found in cells.items():
        base = Cell(task=cell.task, sampler=BASELINE, num_frames=cell.num_frames)
        delta = found.score - cells[base].score
        tokens = found.visual_tokens
        rows.append(
            (
                cell.task,
                str(cell.num_frames),
                cell.sampler,
                f"{found.score:.4g}",
                "" if cell == base else f"{delta:+.3g}",
                f"{found.keyframes:.1f}",
                "unknown" if tokens is None else f"{tokens:.0f}",
                f"{found.selection_seconds:.2f}",
                f"{found.end_to_end_seconds:.2f}",
                str(found.documents),
                str(found.errors),
            )
        )
    return markdown_table(_HEAD, rows)
