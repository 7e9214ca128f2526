"""What does KeyScore cost, compared with decoding and with other tools?

evals/speed/README.md has the details.
"""

import argparse
import importlib.util
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path

from evals.harness.versions import commit
from evals.speed import (
    clustering,
    dropping,
    gpu,
    indexed,
    processor,
    server,
    serving,
    whole,
    windows,
)
from evals.speed.measure import cpu_model
from evals.speed.options import parse
from evals.speed.plots import draw
from evals.speed.results import Facts, Results
from evals.speed.table import Table
from evals.speed.whole import Setting
from keyscore_plugin import open_video, sample_video
from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.hosts import require, write_whole

# Each part of the evaluation with its options. Parts that take long yield several tables.
_PARTS: Mapping[str, Callable[[argparse.Namespace, Setting], Iterable[Table]]] = {
    "clustering": lambda o, s: [
        clustering.against_sklearn(o.sizes, o.k_max, repeats=s.repeats, threads=s.threads)
    ],
    "grids": lambda o, s: [
        clustering.growth(o.sizes, o.k_max, repeats=s.repeats, threads=s.threads)
    ],
    "scoring": lambda o, s: [dropping.table(o.scored, repeats=s.repeats, threads=s.threads)],
    "select": lambda o, s: whole.tables(o.clips, s),
    "growth": lambda o, s: whole.growth(o.growth_minutes, o.growth_height, s),
    "serving": lambda o, s: [serving.table(o.clips[0], s)],
    "server": lambda o, s: [server.table(o.server, o.clips[0], s)],
    "index": lambda o, s: [indexed.table(o.index_minutes, o.index_height, o.index_questions, s)],
    "windows": lambda o, s: [windows.table(o.window_seconds, threads=s.threads)],
    "gpu": lambda o, s: [gpu.table(o.gpu_frames, repeats=s.repeats, threads=s.threads)],
    "processor": lambda o, s: [processor.table(o.processor, repeats=s.repeats)],
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation; returns the exit code."""
    options = parse(argv, parts=_PARTS, description=__doc__)
    setting = Setting(
        folder=options.root.absolute(),
        decoder=options.decoder,
        repeats=options.repeats,
        threads=options.threads,
        decord=importlib.util.find_spec("decord") is not None,
        peers=options.peers and str(options.peers.absolute()),
    )
    try:
        # A decoder that is missing shows here, not as a measuring process that failed.
        open_video(sample_video("bikes"), options.decoder).close()
        facts = _facts(options.threads, options.repeats)
        results = Results.load(options.out / "speed.json")
        for part in options.only:
            for table in _PARTS[part](options, setting):
                print(table.to_markdown(), flush=True)
                results.add(table, facts)
                _write(results, options.out)  # so that a failure later on loses nothing
    except (KeyScoreError, OSError) as error:
        return _failed(str(error))
    except subprocess.CalledProcessError as error:
        command = shlex.join(map(str, error.cmd))
        return _failed(f"a measuring process ended with exit code {error.returncode}: {command}")
    print(f"written to {options.out}: speed.md, speed.json and pictures", file=sys.stderr)
    return 0


def _failed(reason: str) -> int:
    print(f"speed: {reason}", file=sys.stderr)
    return 2


def _write(results: Results, folder: Path) -> None:
    """Write the tables as Markdown, as JSON and as pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "speed.json", results.to_json().encode())
    write_whole(folder / "speed.md", results.to_markdown().encode())
    draw([measured.table for measured in results.tables.values()], folder)


def _facts(threads: int, repeats: int) -> Facts:
    """The circumstances that the figures depend on."""
    require("sklearn", extra="evals")  # before its version is read
    return {
        "date": datetime.now(timezone.utc).date().isoformat(),
        "cores": os.cpu_count() or 1,
        "CPU": cpu_model(),
        "threads": threads,
        "repeats": repeats,
        "commit": commit() or "unknown",
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "numpy", "av", "scikit-learn")},
    }


if __name__ == "__main__":
    sys.exit(main())
