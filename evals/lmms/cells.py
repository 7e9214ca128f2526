"""One cell of the comparison: a task, a sampler and a budget, measured by one run of lmms-eval."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from evals.harness.records import claim
from evals.harness.versions import CODE, PACKAGES, versions_of
from keyscore_lmms_eval import SamplerArguments
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import package_file, write_whole

_DONE = "cell.json"  # written last: a cell without it is run again
_INTEGRATIONS = ("keyscore_lmms_eval", "keyscore_qwen_vl_utils", "keyscore_transformers")
_HOSTS = ("lmms-eval", "qwen-vl-utils", "vllm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """The settings that all cells share.

    Attributes:
        model: Model id of lmms-eval.
        model_args: Arguments of the model, without a sampler.
        processes: Number of GPUs, each with a share of the documents; 1 starts no launcher.
        options: Further options of lmms-eval.
    """

    model: str
    model_args: str
    processes: int = 1
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The task, the sampler and the budget of one run.

    Attributes:
        task: Task of lmms-eval.
        sampler: Name of a sampler, or ``precomputed:FILE``.
        num_frames: Budget.
    """

    task: str
    sampler: str
    num_frames: int

    def folder(self, out: Path) -> Path:
        """The folder of the files of this cell."""
        return out / self.task / f"{self.sampler.replace('/', '_')}-{self.num_frames}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The figures of one run.

    Attributes:
        metric: Name of the task's first metric.
        score: Value of the metric, on the scale of the task.
        documents: Number of documents that were answered.
        errors: Number of videos without frames, whose documents count as wrong.
        keyframes: Mean number of frames chosen per video.
        visual_tokens: Mean number of visual tokens per video; None if the model does not report it.
        selection_seconds: Mean time to choose the frames of a video, with decoding.
        end_to_end_seconds: Mean time per video from the first selection to the last answer.
    """

    metric: str
    score: float
    documents: int
    errors: int
    keyframes: float
    visual_tokens: float | None
    selection_seconds: float
    end_to_end_seconds: float


def command(cell: Cell, setting: Setting, folder: Path) -> list[str]:
    """The command line of a cell."""
    sampler, _, file = cell.sampler.partition(":")
    ours: dict[str, object] = {"sampler": sampler, "num_frames": cell.num_frames}
    if file:
        ours["sampler_file"] = file
    ours["sampler_log"] = folder / "log.jsonl"
    arguments = [setting.model_args, *(f"{name}={value}" for name, value in ours.items())]
    launcher = [sys.executable, "-m"]
    if setting.processes > 1:
        launcher += ["accelerate.commands.launch", f"--num_processes={setting.processes}", "-m"]
    return [
        *launcher,
        "lmms_eval",
        *("--model", setting.model),
        *("--model_args", ",".join(filter(None, arguments))),
        *("--tasks", cell.task),
        *("--batch_size", "1"),
        *("--output_path", str(folder / "results")),
        "--log_samples",
        *setting.options,
    ]


def require_samplers(cells: Sequence[Cell]) -> None:
    """Check the names before any work, because the cells before a wrong one may take hours.

    Raises:
        InputError: A sampler is unknown.
    """
    for cell in cells:
        sampler, _, file = cell.sampler.partition(":")
        SamplerArguments(sampler=sampler, num_frames=cell.num_frames, sampler_file=file or None)


def figures(cell: Cell, setting: Setting, out: Path) -> Figures:
    """The figures of a cell, from an earlier run of the cell or from a new one.

    Raises:
        InputError: The folder holds this cell with other settings, code or packages, or cannot be
            written; or the run failed.
        MissingDependencyError: An integration is not installed.
    """
    folder = cell.folder(out)
    done = folder / _DONE
    if not done.exists():
        shutil.rmtree(folder, ignore_errors=True)  # the rest of an interrupted run
    claim(folder, {**asdict(cell), **asdict(setting), "versions": _versions()})
    if done.exists():
        return Figures(**json.loads(done.read_text()))
    with (folder / "output.txt").open("w") as output:
        code = subprocess.call(
            command(cell, setting, folder), stdout=output, stderr=subprocess.STDOUT
        )
    if code != 0:
        raise InputError(f"lmms-eval ended with code {code}; see {folder / 'output.txt'}")
    found = read_figures(cell.task, folder)
    write_whole(done, f"{json.dumps(asdict(found), indent=1)}\n".encode())
    return found


def _versions() -> dict[str, str]:
    """The versions of the code and the packages that run inside lmms-eval."""
    integrations = (
        package_file(name, "__init__.py", extra="lmms-eval").parent for name in _INTEGRATIONS
    )
    return versions_of((*CODE, *integrations), (*PACKAGES, *_HOSTS))


def read_figures(task: str, folder: Path) -> Figures:
    """The figures of a finished run, from the results of lmms-eval and from our log."""
    results = json.loads(_results_file(folder).read_text())
    if task not in results["results"]:
        raise InputError(
            f"lmms-eval reports no score for {task} as a whole; give the names of its parts"
        )
    metric = next(iter(results["higher_is_better"][task]))
    scores = results["results"][task]
    lines = list(_lines(folder))
    done = [line for line in lines if line["error"] is None]
    tokens = [line["visual_tokens"] for line in done]
    return Figures(
        metric=metric,
        score=next(v for name, v in scores.items() if name.startswith(f"{metric},")),
        documents=results["n-samples"][task]["effective"],
        errors=len(lines) - len(done),
        keyframes=_mean([len(line["indices"]) for line in done]),
        visual_tokens=None if None in tokens else _mean(tokens),
        selection_seconds=_mean([line["seconds"]["total"] for line in done]),
        end_to_end_seconds=results["throughput"]["avg_keyscore_end_to_end_seconds"],
    )


def _mean(values: Sequence[float]) -> float:
    return fmean(values) if values else 0.0


def _results_file(folder: Path) -> Path:
    files = sorted((folder / "results").rglob("*_results.json"))
    if len(files) != 1:  # lmms-eval ends with code 0 after most errors, too
        raise InputError(
            f"lmms-eval left {len(files)} files of results below {folder / 'results'}; "
            f"expected one; see {folder / 'output.txt'}"
        )
    return files[0]


def _lines(folder: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of the selection log; with several processes each writes another file."""
    for path in sorted(folder.glob("log*.jsonl")):
        yield from map(json.loads, path.read_text(encoding="utf-8").splitlines())
