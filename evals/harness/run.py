"""Measure every video once, however often the run is cut off, by however many processes."""

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
from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.errors import InputError, KeyScoreError, MemoryEndedError, VideoError
from keyscore_plugin.hosts import resolve_device, write_whole

_NAMED = 5


def run(
    evaluation: Evaluation,
    setup: Setup,
    *,
    out: Path,
    state: PartialState,
    leave_out: Sequence[str] = (),
) -> Result | None:
    """Measure what no earlier run has measured, and sum up.

    Process r of n takes every n-th video from the r-th on, so none is taken twice and nothing but
    the end has to be agreed on. The figures are made from the records alone: they do not depend
    on how many processes there were, or on how often the run was cut off.

    Args:
        evaluation: The protocol.
        setup: What all cells share.
        out: The folder of the run.
        state: This process among its siblings.
        leave_out: Ids of videos that are not to be measured.

    Returns:
        The figures; None in every process but the main one.

    Raises:
        InputError: The folder holds another run, two videos have one id, an id is unknown, all
            videos are left out, or some could not be measured.
    """
    ids = [unit.id for unit in evaluation.units]
    twice = [name for name, times in Counter(ids).items() if times > 1]
    if twice:
        raise InputError(f"two videos have the id {twice[0]!r}; every video needs one of its own")
    unknown = [name for name in leave_out if name not in ids]
    if unknown:
        raise InputError(f"--leave-out: there is no video {unknown[0]!r} in {evaluation.name}")
    units = [unit for unit in evaluation.units if unit.id not in leave_out]
    if not units:
        raise InputError(f"--leave-out leaves none of {len(ids)} videos to measure; name fewer")
    settings = _settings(evaluation, setup)
    begun_with = provenance()
    if state.is_main_process:
        # What is left out decides no record, so the same folder serves: it is in the result.
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
        # Not which of several GPUs: processes have one each.
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
    """Measure this process's share, as far as no journal has it; what failed is tried again."""
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
            # An encoder that is not there shows at the first video, after the claim. Siblings may
            # be about to write, so a process releases what is its own alone.
            if state.num_processes == 1 and not read_records(out):
                release(out)
            raise


def _record(evaluation: Evaluation, setup: Setup, unit: Unit) -> Record:
    """What one video gives, or why it gives nothing."""
    try:
        with setup.open(unit.video) as bench:
            return evaluation.measure(unit, bench, setup.cells)
    except (VideoError, MemoryEndedError) as error:
        return {"error": " ".join(str(error).split())}
    except InputError as error:
        raise InputError(f"{unit.id}: {error}") from error


def _require_all(records: dict[str, Record], units: Sequence[Unit]) -> None:
    """Nothing is dropped from a mean in silence.

    Raises:
        InputError: A video has no record, or one that says why it could not be measured.
    """
    failed = [unit.id for unit in units if "error" in records.get(unit.id, {"error": ""})]
    if failed:
        first = records.get(failed[0], {"error": "it was not measured"})["error"]
        named = ",".join(failed[:_NAMED]) + (",..." if len(failed) > _NAMED else "")
        raise InputError(
            f"{len(failed)} of {len(units)} videos could not be measured, the first: {first}; "
            f"mend them and run the same command again, or name them: --leave-out={named}"
        )


def write(result: Result, evaluation: Evaluation, out: Path) -> None:
    """Write ``result.json``, ``table.md`` and ``plot.svg``, each as a whole or not at all.

    Raises:
        InputError: The system refuses.
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False, allow_nan=False)
        # A file name that is no UTF-8 holds lone surrogates; written as \udcXX they are JSON.
        for name, content in (("result.json", text + "\n"), ("table.md", result.to_markdown())):
            write_whole(out / name, content.encode("utf-8", "backslashreplace"))
        draw(result, evaluation.plot, out / "plot.svg")
    except OSError as error:
        raise InputError(
            f"cannot write to {out}: {error.strerror or error}; "
            "free the disk and run the same command again"
        ) from error
