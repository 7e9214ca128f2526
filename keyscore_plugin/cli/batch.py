"""``keyscore batch``: choose frames of many videos, one JSON object per line; resumable."""

import argparse
from collections.abc import Sequence
from contextlib import closing
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from pkgutil import resolve_name

from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.batch.manifest import STDIN, Item, read_manifest
from keyscore_plugin.batch.parquet import LINES, require_distinct, require_writer, write_parquet
from keyscore_plugin.batch.run import Answers, Budget, Records, RunSettings, answers_here, run_batch
from keyscore_plugin.batch.worker import Job
from keyscore_plugin.batch.workers import answers_of_workers
from keyscore_plugin.captioners.registry import named_captioner
from keyscore_plugin.cli.meter import announce, line_meter
from keyscore_plugin.cli.options import add_sampler_options, make_config, make_sampler
from keyscore_plugin.cli.streams import detail, own_stdout, tell
from keyscore_plugin.cli.words import amount, whole_number
from keyscore_plugin.encoders.registry import named_encoder
from keyscore_plugin.errors import InputError
from keyscore_plugin.registries import AUTO_DECODER
from keyscore_plugin.samplers.base import Sampler, asks_judge, refuse_threshold

EXIT_LINES = 4  # the run is done, and some lines hold an error
_TIMEOUT_SECONDS = 3600.0  # ours: ends a worker that hangs; no video that we know takes as long


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.add_argument(
        "manifest",
        type=Path,
        metavar="MANIFEST",
        help='a file of lines such as {"video": "a.mp4", "caption": "a dog", "id": 7, "start": 60, '
        '"end": 90}, a CSV with these columns, a list with one video per line, a folder of videos, '
        "or - for standard input; a relative name starts at the manifest's folder; a line without "
        "an id gets its line number, a video of a folder gets its name; start and end are seconds "
        "from the first frame",
    )
    parser.add_argument(
        "--out",
        required=True,
        metavar="FILE.jsonl|DIR/",
        help="the output, one JSON object per line; or a folder for one Parquet file with the same "
        "columns; run the same command again to go on where it stopped",
    )
    parser.add_argument(
        "--workers",
        type=whole_number,
        metavar="N",
        help="number of processes that share the lines; a video on which one hangs or crashes "
        "costs only its line, and the output is the same for any N. Without it, this process "
        "answers every line",
    )
    parser.add_argument(
        "--timeout-seconds",
        type=partial(amount, unit="seconds"),
        metavar="S",
        help="time limit for one video in a worker, in seconds (implies --workers 1; "
        f"default: {_TIMEOUT_SECONDS:g})",
    )
    parser.add_argument(
        "--engine",
        choices=("here", "ray"),
        default="here",
        help="what answers the lines: processes of this machine, or actors of a Ray cluster, of "
        "which --workers is the number; the output is the same (default: %(default)s)",
    )
    parser.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="head of the Ray cluster; without it, the one of RAY_ADDRESS, or one that is started "
        "here",
    )
    parser.add_argument(
        "--gpus-per-worker",
        type=partial(amount, unit="GPUs"),
        metavar="SHARE",
        help="share of a GPU for each actor of Ray, such as 0.25 (default: none)",
    )
    add_sampler_options(parser)


def run(args: argparse.Namespace) -> int:
    """Answer the lines that have no answer yet.

    Returns:
        0 if every line is answered by a selection, `EXIT_LINES` if some hold an error.

    Raises:
        InputError: The manifest or the output file cannot be used, or workers are asked for on a
            system that is not POSIX.
    """
    has_workers = args.workers is not None or args.timeout_seconds is not None
    if has_workers and find_spec("fcntl") is None:
        raise InputError(
            "--workers and --timeout-seconds need a POSIX system, which this one is not; leave "
            "them out, or run the command under Linux, macOS or WSL"
        )
    if args.engine != "ray" and (args.address or args.gpus_per_worker):
        raise InputError(
            "--address and --gpus-per-worker belong to a Ray cluster; add --engine ray, or leave "
            "them out"
        )
    with own_stdout():
        sampler = make_sampler(args)
        if args.threshold is not None:
            refuse_threshold(sampler)  # here, not as the error of each line
        items = read_manifest(
            args.manifest,
            needs_text=sampler.needs_text and (args.captioner is None or asks_judge(sampler)),
        )
        budget = Budget(num_frames=args.num_frames, threshold=args.threshold)
        name = "standard input" if args.manifest == STDIN else str(args.manifest)
        folder = _table_folder(args.out)
        if folder is not None:
            require_distinct(items)
        lines = Path(args.out) if folder is None else folder / LINES
        with Journal(lines) as journal, line_meter(name) as on_answer:
            summary = run_batch(
                items,
                journal,
                partial(_reported, _answers(args, sampler, budget)),
                settings=_run_settings(args, sampler, budget),
                on_answer=on_answer,
            )
            if folder is not None:
                write_parquet(folder)
    tell(
        f"{args.out}: {summary.n_lines} lines, {summary.n_before} of them from before, "
        f"{summary.n_errors} with an error"
    )
    return EXIT_LINES if summary.n_errors else 0


def _table_folder(out: str) -> Path | None:
    """Return the folder that gets a Parquet file; None if the output is a file of JSON lines.

    Raises:
        MissingDependencyError: Parquet is asked for, and pyarrow is not installed.
    """
    folder = Path(out)
    if not (out.endswith("/") or folder.is_dir()):
        return None
    require_writer()
    return folder


def _run_settings(args: argparse.Namespace, sampler: Sampler, budget: Budget) -> RunSettings:
    """Return the options as a record names them, with ``auto`` resolved."""
    return RunSettings(
        budget=budget,
        sampler=sampler.name,
        config=make_config(args).to_dict(),
        encoder=named_encoder(args.encoder),
        decoder=AUTO_DECODER if args.decoder == "auto" else args.decoder,
        captioner=named_captioner(args.captioner, adapter=args.adapter),
    )


def _reported(answers: Answers, items: Sequence[Item]) -> Records:
    """Yield the records as they come, and print a line about each if details are wanted."""
    with closing(answers(items)) as records:
        for item, record in records:
            outcome = record.get("error") or (
                f"{len(record['indices'])} frames in {record['seconds']['total']:.2f} s"
            )
            detail(f"{item.video}: {outcome}")
            if record.get("fallback") is not None:
                tell(f"{item.video}: fallback: {record['fallback']}")
            yield item, record


def _answers(args: argparse.Namespace, sampler: Sampler, budget: Budget) -> Answers:
    """Return the function that answers lines: here, in workers with a time limit, or in Ray."""
    make = partial(make_sampler, args, load_models=True)
    if args.engine == "ray":
        return partial(
            resolve_name("keyscore_ray.engine:answers_of_ray"),
            make_sampler=make,
            budget=budget,
            n_workers=args.workers,
            num_gpus=args.gpus_per_worker or 0,
            limit_seconds=args.timeout_seconds or _TIMEOUT_SECONDS,
            address=args.address,
        )
    if args.workers is None and args.timeout_seconds is None:
        # The models are loaded late, after the output was checked.
        return lambda items: answers_here(make(), budget)(items)
    n_workers = args.workers or 1
    if sampler.needs_text:
        announce(f"models in {n_workers} worker{'s' if n_workers > 1 else ''}")
    return partial(
        answers_of_workers,
        job=Job(
            make_sampler=make,
            budget=budget,
        ),
        n_workers=n_workers,
        limit_seconds=args.timeout_seconds or _TIMEOUT_SECONDS,
    )
