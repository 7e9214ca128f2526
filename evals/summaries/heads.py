"""Heads trained and tested over splits and seeds: records on disk, and the table made of them."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from evals.harness.figures import Figure, Floats
from evals.harness.records import Record
from evals.harness.result import Row
from evals.summaries.data import DataSet
from evals.summaries.embeddings import Embedded
from evals.summaries.evaluation import HUMAN, judge, judge_users
from evals.summaries.predict import stretched
from evals.summaries.training import Example, Recipe, SelectOn, divide, fit
from keyscore_plugin import HeadCard, HeadShape, ImportanceHead, head_scores, save_head
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import Journal

HEAD, SHUFFLED = "head", "head, captions shuffled"
_UNTRAINED = ("random", "uniform", HUMAN)


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """What is trained and tested.

    Attributes:
        data: Data set with its splits.
        protocol: Publisher of the splits.
        seeds: Seeds of the heads, one head for each split and seed.
        examples: Videos to learn from, by the name of the row and by key.
        embedded: The videos, for the rows that need no training.
        shape: Sizes of the heads.
        recipe: Recipe of their training.
        select_on: Videos that choose the checkpoint.
        card: Card of the heads; what differs between them is filled in.
        device: Device to train on.
    """

    data: DataSet
    protocol: str
    seeds: Sequence[int]
    examples: Mapping[str, Mapping[str, Example]]
    embedded: Mapping[str, Embedded]
    shape: HeadShape
    recipe: Recipe
    select_on: SelectOn
    card: HeadCard
    device: torch.device

    @property
    def runs(self) -> Iterator[tuple[str, int, int]]:
        """Row, split and seed of every head."""
        for row in self.examples:
            for split in range(len(self.data.splits[self.protocol])):
                for seed in self.seeds:
                    yield row, split, seed

    def tested(self, split: int) -> list[str]:
        """Keys of the test videos of a split that are there."""
        keys = self.data.splits[self.protocol][split]
        return [key for key in keys if key in self.embedded]


def train_all(job: Job, out: Path) -> dict[str, Record]:
    """Train and test every head that the folder does not hold, one at a time.

    Args:
        job: Heads that are trained and tested, with the data.
        out: Folder of the run. Heads go to ``heads``, their figures to ``records-fit.jsonl``; a
            run that was killed trains at most one head again.

    Returns:
        The record of every head by its name.

    Raises:
        InputError: A split has too few videos, or the loss is not finite.
    """
    for split in range(len(job.data.splits[job.protocol])):
        if not job.tested(split):
            raise InputError(
                f"all test videos of split {split} of {job.protocol} were left out; leave fewer out"
            )
    with closing(Journal(out / "records-fit.jsonl")) as journal:
        runs = list(job.runs)
        for row, split, seed in tqdm(runs, desc="heads", unit="head"):
            name = f"{row} {split} {seed}"
            if name not in journal.done:
                record = _train(job, row, split, seed, out)
                journal.append(name, record)
                journal.done[name] = record
        return {
            f"{row} {split} {seed}": journal.done[f"{row} {split} {seed}"]
            for row, split, seed in runs
        }


def _train(job: Job, row: str, split: int, seed: int, out: Path) -> Record:
    examples, tested = job.examples[row], job.tested(split)
    learned, held = divide(
        [one for key, one in examples.items() if key not in tested], job.recipe, seed=seed
    )
    if job.select_on == "test":  # what the published recipe does
        learned, held = [*learned, *held], [examples[key] for key in tested]
    fitted = fit(
        job.shape,
        learned,
        job.recipe,
        judge=lambda head: _mean_tau(job, head, held),
        seed=seed,
        device=job.device,
    )
    if row == HEAD:
        _save(job, fitted.head, split, seed, [one.key for one in learned], fitted.epoch, out)
    scores = {key: _scores(fitted.head, examples[key]) for key in tested}
    return {
        "epoch": fitted.epoch,
        "tau_of_choice": fitted.value,
        "judged": {key: judge(values, job.data.videos[key]) for key, values in scores.items()},
        "spread": {key: float(values.std()) for key, values in scores.items()},
    }


def _save(
    job: Job, head: ImportanceHead, split: int, seed: int, keys: list[str], epoch: int, out: Path
) -> None:
    card = HeadCard(
        shape=job.shape,
        model=job.card.model,
        captioner=job.card.captioner,
        embedding=job.card.embedding,
        data={
            "dataset": job.data.title(len(job.embedded)),
            "splits": job.protocol,
            "split": split,
            "trained_on": keys,
        },
        training={**job.recipe.to_dict(), "seed": seed, "epoch": epoch, "select_on": job.select_on},
        command=job.card.command,
    )
    save_head(head, out / "heads" / f"split{split}-seed{seed}", card)


def _scores(head: ImportanceHead, example: Example) -> Floats:
    scores: Floats = head_scores(head, example.embeddings, example.pts_seconds).numpy()
    return scores


def _mean_tau(job: Job, head: ImportanceHead, examples: Sequence[Example]) -> float:
    taus = [judge(_scores(head, one), job.data.videos[one.key])["tau"] for one in examples]
    return float(np.mean(taus))


def rows_of(job: Job, records: Mapping[str, Record], *, seed: int) -> list[Row]:
    """The table: the heads, the language model without one, and the controls.

    The mean is over the splits (and the seeds) of the mean over the test videos of each, as
    published; ``sd`` is the standard deviation of these means.
    """
    n_splits = len(job.data.splits[job.protocol])
    rows: list[Row] = []
    for row in job.examples:
        runs = [records[f"{row} {split} {one}"] for split in range(n_splits) for one in job.seeds]
        judged = [list(run["judged"].values()) for run in runs]
        spread = float(np.mean([np.mean(list(run["spread"].values())) for run in runs]))
        rows.append(_row(job, row, judged, spread=spread))
    marks = dict.fromkeys(name for one in job.embedded.values() for name in one.marks)
    for name in (*marks, *_UNTRAINED):
        judged = [
            [_untrained(job, name, key, seed) for key in job.tested(split)]
            for split in range(n_splits)
        ]
        rows.append(_row(job, name, judged))
    return rows


def _untrained(job: Job, name: str, key: str, seed: int) -> dict[str, Any]:
    video = job.data.videos[key]
    if name == HUMAN:
        return dict(judge_users(video))
    n_steps = len(video.annotation.picks)
    if name == "random":
        rng = np.random.default_rng([seed, int(key.removeprefix("video_"))])
        return dict(judge(rng.random(n_steps), video))
    if name == "uniform":
        return dict(judge(np.ones(n_steps), video))
    return dict(judge(stretched(job.embedded[key].marks[name]), video))


def _row(
    job: Job,
    name: str,
    judged: Sequence[Sequence[Mapping[str, Any]]],
    *,
    spread: float | None = None,
) -> Row:
    figures = {}
    for metric in ("tau", "rho", "F"):
        if metric in judged[0][0]:
            means = np.array([np.mean([one[metric] for one in run]) for run in judged])
            figures[metric] = Figure(float(means.mean()))
            figures[f"{metric} sd"] = Figure(float(means.std(ddof=1)) if len(means) > 1 else 0.0)
    figures["undefined"] = Figure(float(sum(one["undefined"] for run in judged for one in run)))
    if spread is not None:
        figures["sd of scores"] = Figure(spread)
    labels = {
        "dataset": job.data.title(len(job.embedded)),
        "scores": name,
        "splits": job.protocol,
        "chosen on": job.select_on if name in job.examples else None,
    }
    return Row(labels, sum(map(len, judged)), figures)
