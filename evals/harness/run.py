"""Measure every video once, in any number of processes, also after an interruption."""

import json
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm import tqdm

from evals.harness.bench import Setup
from evals.harness.evaluation import Evaluation, Unit
from evals.harness.plot import draw
from evals.harness.records import Record, claim, journal_path, read_records, release
from evals.harness.result import Result
from evals.harness.versions import provenance, versions
from keyscore_plugin import Captioner, Encoder
from keyscore_plugin.errors import InputError, KeyScoreError, MemoryEndedError, VideoError
from keyscore_plugin.hosts import Journal, resolve_device, write_whole

_NAMED = 5


def run(
    evaluation: Evaluation,
    setup: Setup,
    *,
    out: Path,
    state: PartialState,
    leave_out: Sequence[str] = (),
) -> Result | None:
    """Measure the videos that no earlier run has measured, and make the table.

    Process r of n takes every n-th video from the r-th on, so that no video is taken twice. The
    figures are made from the records alone: they do not depend on the number of processes, or on
    how often the run was interrupted.

    Args:
        evaluation: Protocol on a data set.
        setup: Cells, models and settings of the run.
        out: Folder of the run.
        state: State of this process among the others.
        leave_out: Ids of videos that are not measured.

    Returns:
        The result in the main process; None in the others.

    Raises:
        InputError: The folder holds another run, two videos have one id, an id is unknown, all
            videos are left out, or some could not be measured.
    """
    ids = [unit.id for unit in evaluation.units]
    twice = [name for name, times in Counter(ids).items() if times > 1]
    if twice:
        raise InputError(f"two videos have the id {twice[0]!r}; give each video a different one")
    unknown = [name for name in leave_out if name not in ids]
    if unknown:
        raise InputError(
            f"--leave-out: {evaluation.name} has no video {unknown[0]!r}; the first is {ids[0]!r}"
        )
    units = [unit for unit in evaluation.units if unit.id not in leave_out]
    if not units:
        raise InputError(f"--leave-out names all of the {len(ids)} videos; name fewer")
    settings = _settings(evaluation, setup)
    begun_with = provenance()
    if state.is_main_process:
        # --leave-out changes no record, so a run may go on in the same folder with another one.
        claim(out, settings | {"versions": versions()})
    state.wait_for_everyone()
    _measure(evaluation, setup, units[state.process_index :: state.num_processes], out, state)
    state.wait_for_everyone()
    if not state.is_main_process:
        return None
    records = read_records(out)
    _require_all(records, units)
    measured = {unit.id: records[unit.id] for unit in units}
    left_out = list(dict.fromkeys(leave_out))
    rows = evaluation.rows(measured, setup.cells)
    return Result(evaluation.name, settings, begun_with, left_out, rows)


def _settings(evaluation: Evaluation, setup: Setup) -> dict[str, Any]:
    """All that decides the figures, as plain JSON values."""
    return {
        "eval": evaluation.name,
        "cells": [cell.key for cell in setup.cells],
        "config": setup.config.to_dict(),
        "encoder": _name(setup.encoder_asked),
        "captioner": _name(setup.captioner_asked),
        # Without the number of the GPU: every process has another one.
        "device": resolve_device(setup.device).type,
        "decoder": setup.decoder,
        "seed": setup.seed,
        "videos": [unit.id for unit in evaluation.units],
    } | evaluation.settings()


def _name(asked: str | Encoder | Captioner | None) -> str | None:
    return asked if asked is None or isinstance(asked, str) else asked.name


def _measure(
    evaluation: Evaluation, setup: Setup, units: Sequence[Unit], out: Path, state: PartialState
) -> None:
    """Measure the videos of this process that no journal has; errors are tried again."""
    done = {name for name, record in read_records(out).items() if "error" not in record}
    pending = [unit for unit in units if unit.id not in done]
    bar = tqdm(
        total=len(units),
        initial=len(units) - len(pending),
        desc=evaluation.name,
        unit="video",
        disable=not state.is_main_process,
        file=sys.stderr,
    )
    path = journal_path(out, state.process_index, state.num_processes)
    with closing(bar), Journal(path) as journal:
        try:
            for unit in pending:
                journal.append(unit.id, _record(evaluation, setup, unit))
                bar.update()
        except KeyScoreError:
            # A missing encoder is noticed at the first video, after the folder was claimed. With
            # several processes the others may be about to write, so the claim stays.
            if state.num_processes == 1 and not read_records(out):
                release(out)
            raise


def _record(evaluation: Evaluation, setup: Setup, unit: Unit) -> Record:
    """The record of one video, or the reason why it could not be measured."""
    try:
        with setup.open(unit.video) as bench:
            return evaluation.measure(unit, bench, setup.cells)
    except (VideoError, MemoryEndedError) as error:
        return {"error": " ".join(str(error).split())}
    except InputError as error:
        raise InputError(f"{unit.id}: {error}") from error


def _require_all(records: dict[str, Record], units: Sequence[Unit]) -> None:
    """Check that every video was measured, so that no mean silently leaves one out.

    Raises:
        InputError: A video was not measured; the message gives the first reason.
    """
    failed = [unit.id for unit in units if "error" in records.get(unit.id, {"error": ""})]
    if failed:
        first = records.get(failed[0], {"error": "it was not measured"})["error"]
        named = ",".join(failed[:_NAMED]) + (",..." if len(failed) > _NAMED else "")
        raise InputError(
            f"{len(failed)} of {len(units)} videos could not be measured, the first: {first}; "
            f"repair them and run the same command again, or leave them out: --leave-out={named}"
        )


def write(result: Result, evaluation: Evaluation, out: Path) -> None:
    """Write ``result.json``, ``table.md`` and ``plot.svg``, each completely or not at all.

    Raises:
        InputError: A file cannot be written.
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        # A file name that is not UTF-8 holds lone surrogates; written as \udcXX they are JSON.
        for name, content in (("result.json", text + "\n"), ("table.md", result.to_markdown())):
            write_whole(out / name, content.encode("utf-8", "backslashreplace"))
        draw(result, evaluation.plot, out / "plot.svg")
    except OSError as error:
        raise InputError(
            f"cannot write to {out}: {error.strerror or error}; "
            "free the disk and run the same command again"
        ) from error
