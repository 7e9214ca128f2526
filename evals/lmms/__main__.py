"""How many questions does a Video-LLM answer with the chosen frames? Details:
evals/lmms/README.md.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from evals.harness.main import budget, names
from evals.lmms.cells import Cell, Figures, Setting, figures, require_samplers
from evals.lmms.table import BASELINE, to_markdown
from keyscore_plugin.errors import KeyScoreError


def main(argv: Sequence[str] | None = None) -> int:
    """Run what is not done yet and write the table; returns the exit code."""
    options = _parse(argv)
    setting = Setting(
        model=options.model,
        model_args=options.model_args,
        processes=options.processes,
        options=tuple(options.lmms_options),
    )
    done: dict[Cell, Figures] = {}
    try:
        cells = _cells(options)
        require_samplers(cells)
        for cell in cells:
            print(f"{cell.task}, {cell.num_frames} frames, {cell.sampler}", file=sys.stderr)
            done[cell] = figures(cell, setting, options.out)
            # After each cell, so that an interrupted run leaves a table.
            (options.out / "table.md").write_text(to_markdown(done))
    except KeyScoreError as error:
        print(f"lmms: {error}", file=sys.stderr)
        return 2
    print(to_markdown(done), end="")
    return 0


def _cells(options: argparse.Namespace) -> list[Cell]:
    """The cells; at every budget the baseline, which the others are compared with, is first."""
    samplers = list(dict.fromkeys([BASELINE, *options.sampler]))
    return [
        Cell(task=task, sampler=sampler, num_frames=num_frames)
        for task in options.tasks
        for num_frames in map(budget, names(options.num_frames))
        for sampler in samplers
    ]


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evals.lmms", description=__doc__)
    parser.add_argument("--model", required=True, help="model id of lmms-eval, such as qwen2_5_vl")
    parser.add_argument(
        "--model-args",
        required=True,
        help="arguments of the model, without a sampler: pretrained=...",
    )
    parser.add_argument("--tasks", type=names, required=True, help="tasks, separated by commas")
    parser.add_argument(
        "--sampler",
        type=names,
        default=["keyscore"],
        help=f"samplers, separated by commas; also precomputed:FILE. {BASELINE} is always run",
    )
    parser.add_argument(
        "--num-frames",
        default="8,16,32,64",
        help="budgets: a selection costs the model what this many uniform frames cost "
        "(default: 8,16,32,64)",
    )
    parser.add_argument(
        "--processes", type=int, default=1, help="number of GPUs, through accelerate"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs", "lmms"),
        help="folder of the run; an interrupted run is resumed (default: runs/lmms)",
    )
    parser.add_argument(
        "lmms_options", nargs="*", help="options of lmms-eval, after --, such as -- --limit 100"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    sys.exit(main())
