"""Rank the frames of every video, and compare the ranking with the annotators'."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from evals.harness.bench import Bench
from evals.harness.cells import Cell
from evals.harness.data import require_same_video
from evals.harness.evaluation import Unit
from evals.harness.figures import Figure, Floats, Ints, bootstrap
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from evals.summaries.agreement import (
    Agreement,
    f_scores,
    of_users_with_each_other,
    of_users_with_the_rest,
    with_each_user,
    with_mean_summary,
)
from evals.summaries.data import AnnotatedVideo, DataSet
from evals.summaries.predict import predict
from evals.summaries.shots import CAPACITY_RULE, capacity_of, summarise
from evals.summaries.splits import Weights, protocols

HUMAN = "human (each left out in turn)"


@dataclass(frozen=True)
class SummaryEvaluation:
    """Rank correlation on one data set.

    Attributes:
        data: Videos and their annotations.
        captions: Kind of texts that the samplers read: ``"titles"``, ``"captioner"`` or ``"none"``.
        seed: Seed of the bootstrap and of random scores.
    """

    data: DataSet
    captions: str = "titles"
    seed: int = 0
    name: ClassVar[str] = "summaries"
    plot: ClassVar[Plot] = Plot("tau", only={"videos": "all"})

    @cached_property
    def units(self) -> Sequence[Unit]:
        """The videos; the ids are the keys of the h5 file."""
        return [Unit(key, video.video) for key, video in self.data.videos.items()]

    def settings(self) -> dict[str, Any]:
        """The data set, the texts and the rule of the knapsack."""
        annotations = [video.annotation for video in self.data.videos.values()]
        return {
            "dataset": self.data.name,
            "annotations_sha256": self._digest(),
            "captions": self.captions,
            "splits": {name: list(map(list, sets)) for name, sets in self.data.splits.items()},
            "capacity": CAPACITY_RULE,
            # CSTA takes 15 % of the frames up to the end of the last shot.
            "capacity_differs_from_csta": sum(
                capacity_of(one.n_frames) != capacity_of(int(one.shots[-1, 1]) + 1)
                for one in annotations
            ),
        }

    def _digest(self) -> str:
        """The SHA-256 of all annotations."""
        digest = hashlib.sha256()
        for key, video in self.data.videos.items():
            one = video.annotation
            digest.update(
                repr((key, video.title, one.n_frames)).encode("utf-8", "backslashreplace")
            )
            users = () if video.users is None else (video.users,)
            for values in (one.picks, one.shots, one.user_summary, *users):
                digest.update(repr(values.shape).encode() + values.tobytes())
        return digest.hexdigest()

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """The scores of every cell, and their agreement with the annotators."""
        video = self.data.videos[unit.id]
        annotation = video.annotation
        require_same_video(
            unit.video,
            len(bench.source.pts_seconds()),
            annotations=f"annotations ({annotation.key} of the h5 file)",
            last=int(annotation.picks[-1]),
            annotated=annotation.n_frames,
            slack=annotation.step,
        )
        scores = predict(
            cells,
            annotation.picks,
            bench,
            caption=video.title,
            seed=(self.seed, int(unit.id.removeprefix("video_"))),
        )
        return {
            "scores": {key: values.tolist() for key, values in scores.items()},
            "agreement": {key: judge(values, video) for key, values in scores.items()}
            | {HUMAN: judge_users(video)},
        }

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """One row for each ranking, protocol by protocol."""
        return [
            self._row(sampler, key, protocol, weights, records)
            for protocol, weights in protocols(self.data.splits, list(records)).items()
            for sampler, key in [*((cell.sampler, cell.key) for cell in cells), (HUMAN, HUMAN)]
        ]

    def _row(
        self,
        sampler: str,
        key: str,
        protocol: str,
        weights: Weights,
        records: Mapping[str, Record],
    ) -> Row:
        judged = [records[video]["agreement"][key] for video in weights]
        names = [name for name in ("tau", "rho", "F") if name in judged[0]]
        figures = {
            name: self._mean(np.array([each[name] for each in judged]), weights) for name in names
        }
        figures["undefined"] = Figure(float(sum(each["undefined"] for each in judged)))
        dataset = self.data.title(len(records))
        labels = {"dataset": dataset, "sampler": sampler, "videos": protocol}
        return Row(labels, len(weights), figures)

    def _mean(self, values: Floats, weights: Weights) -> Figure:
        weight = np.array(list(weights.values()))

        def mean(rows: Ints) -> float:
            return float(np.average(values[rows], weights=weight[rows]))

        return bootstrap(mean, len(values), seed=self.seed)


def judge(scores: Floats, video: AnnotatedVideo) -> dict[str, float | int]:
    """The agreement of a ranking with the annotators, and the F-score of its summary."""
    users = video.annotation.user_summary
    summary = summarise(scores, video.annotation)
    each = f_scores(summary, users)
    if video.users is None:  # SumMe
        return {**asdict(with_mean_summary(summary, users)), "F": float(each.max())}
    return {**asdict(with_each_user(scores, video.users)), "F": float(each.mean())}


def judge_users(video: AnnotatedVideo) -> dict[str, float | int]:
    """The agreement of the annotators with each other, as `judge` gives it, without an F-score."""
    agreement: Agreement = (
        of_users_with_the_rest(video.annotation.user_summary)
        if video.users is None
        else of_users_with_each_other(video.users)
    )
    return asdict(agreement)
