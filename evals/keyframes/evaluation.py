"""Choose frames of every video, and compare their colours with those of the true keyframes."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from evals.harness.bench import Bench
from evals.harness.cells import Cell
from evals.harness.data import digest, part_of, require_same_video
from evals.harness.evaluation import Unit
from evals.harness.figures import Figure, Floats, Ints, bootstrap, mean_figure
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from evals.keyframes.ground_truth import N_PUBLISHED, Labelled
from evals.keyframes.lines import ORACLE, Line, lines_of
from evals.keyframes.matching import histograms, judge
from keyscore_plugin import VideoSource
from keyscore_plugin.baselines.random_frames import RandomSampler, RandomSettings

N_DRAWS = 5  # ours: the figures of random frames are means over this many draws
_READ_AT_ONCE = 16  # frames of full size: 100 MB at 1080p
_SLACK_FRAMES = 15  # half a second: decoders and annotators may count differently by a little

WITHOUT_ZERO_MATCH = "F1 without zero-match videos (inflated)"


@dataclass(frozen=True)
class KeyframeEvaluation:
    """The protocol of LMSKE on one data set.

    Attributes:
        dataset: Name in `N_PUBLISHED`.
        videos: Videos and their true keyframes.
        titles: Text of each video by its id; None if the samplers read no titles.
        captions: Kind of texts that the samplers read: ``"titles"``, ``"captioner"`` or ``"none"``.
        truth: Origin of the true keyframes.
        oracle: Whether samplers also run with as many frames as there are true keyframes.
        seed: Seed of the bootstrap and of random frames.
    """

    dataset: str
    videos: Sequence[Labelled]
    titles: Mapping[str, str] | None = None
    captions: str = "none"
    truth: str = "files"
    oracle: bool = False
    seed: int = 0
    name: ClassVar[str] = "keyframes"
    plot: ClassVar[Plot] = Plot("F1", by=("sampler", "as_many_as", "threshold"))

    @cached_property
    def units(self) -> Sequence[Unit]:
        """The videos."""
        return [Unit(video.id, video.video) for video in self.videos]

    @cached_property
    def _by_id(self) -> dict[str, Labelled]:
        return {video.id: video for video in self.videos}

    def settings(self) -> dict[str, Any]:
        """The data set, its keyframes and the texts."""
        titles = self.titles or {}
        annotations = [[video.id, video.indices, titles.get(video.id)] for video in self.videos]
        return {
            "dataset": self.dataset,
            "annotations_sha256": digest(annotations),
            "ground_truth": self.truth,
            "n_keyframes": sum(len(video.indices) for video in self.videos),
            "captions": self.captions,
            "oracle": self.oracle,
            "random_draws": N_DRAWS,
        }

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """The frames of every line, and their figures."""
        truth = self._by_id[unit.id].indices
        n_frames = len(bench.source.pts_seconds())
        video = self._by_id[unit.id]
        require_same_video(
            video.video,
            n_frames,
            annotations="keyframes",
            last=video.indices[-1],
            annotated=video.n_frames,
            slack=_SLACK_FRAMES,
        )
        caption = None if self.titles is None else self.titles[unit.id]
        chosen: dict[str, list[list[int]]] = {}
        for line in lines_of(cells, oracle=self.oracle):
            budget = len(truth) if line.as_many_as == ORACLE else 0
            if line.as_many_as in chosen:
                budget = len(chosen[line.as_many_as][0])
            cell = line.with_budget(budget)
            chosen[line.key] = self._choose(bench, cell, caption)
        colours = _colours(bench.source, {*truth, *_flat(chosen)})
        true_colours = _stack(colours, truth)
        return {
            "truth": list(truth),
            "chosen": chosen,
            "judged": {
                key: [
                    asdict(judge(_stack(colours, draw), true_colours, n_frames=n_frames))
                    for draw in draws
                ]
                for key, draws in chosen.items()
            },
        }

    def _choose(self, bench: Bench, cell: Cell, caption: str | None) -> list[list[int]]:
        """Frame indices: several draws of random frames, else one selection."""
        if cell.name != "random":
            return [bench.select(cell, caption=caption).indices]
        samplers = [
            RandomSampler(settings=RandomSettings(seed))
            for seed in range(self.seed, self.seed + N_DRAWS)
        ]
        return [draw(bench.source, num_frames=cell.num_frames).indices for draw in samplers]

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """Means over the videos; lines with the same number of frames follow each other."""
        lines = lines_of(cells, oracle=self.oracle)
        lines.sort(key=lambda line: (line.number_from, line.cell.num_frames or 0))
        return [self._row(line, list(records.values())) for line in lines]

    def _row(self, line: Line, records: Sequence[Record]) -> Row:
        judged = [record["judged"][line.key] for record in records]

        def column(name: str) -> Floats:
            """``(n_videos,)`` means over the draws."""
            return np.array([np.mean([draw[name] for draw in draws]) for draws in judged])

        f1 = column("f1")
        matched = np.array([np.mean([draw["matches"] > 0 for draw in draws]) for draws in judged])

        def without_zero_match(rows: Ints) -> float:
            """The mean over the videos with a match; 0 if there are none."""
            return float(f1[rows].sum() / max(matched[rows].sum(), 1 / N_DRAWS))

        figures = {
            "F1": mean_figure(f1.tolist(), seed=self.seed),
            "precision": mean_figure(column("precision").tolist(), seed=self.seed),
            "recall": mean_figure(column("recall").tolist(), seed=self.seed),
            "zero-match videos": Figure(float((1 - matched).sum())),
            WITHOUT_ZERO_MATCH: bootstrap(without_zero_match, len(f1), seed=self.seed),
            "frames": mean_figure(column("chosen").tolist(), seed=self.seed),
            "compression": mean_figure(column("compression").tolist(), seed=self.seed),
        }
        dataset = part_of(self.dataset, len(records), N_PUBLISHED[self.dataset], "videos")
        return Row({"dataset": dataset, **line.labels}, len(records), figures)


def _flat(chosen: Mapping[str, list[list[int]]]) -> set[int]:
    return {index for draws in chosen.values() for draw in draws for index in draw}


def _colours(source: VideoSource, indices: set[int]) -> dict[int, Floats]:
    """``(512,)`` histograms of full-size frames, by frame index."""
    ordered = sorted(indices)
    colours: dict[int, Floats] = {}
    for start in range(0, len(ordered), _READ_AT_ONCE):
        frames = source.read(ordered[start : start + _READ_AT_ONCE])
        colours.update(zip(frames.indices.tolist(), histograms(frames.pixels), strict=True))
    return colours


def _stack(colours: Mapping[int, Floats], indices: Sequence[int]) -> Floats:
    return np.stack([colours[index] for index in indices])
