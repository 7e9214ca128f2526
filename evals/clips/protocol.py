"""The needle protocol for clips: each query also by another video's question, and with w = 1."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any, ClassVar

import numpy as np

from evals.clips.metrics import judge_clips
from evals.harness.bench import Bench, Setup
from evals.harness.cells import Cell
from evals.harness.data import digest
from evals.harness.evaluation import Unit
from evals.harness.figures import Figure, clustered_mean
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from evals.needle.protocol import NeedleEvaluation, judge_selection
from evals.needle.sources import SPLITS, unlike
from keyscore_plugin import any_k, get_sampler
from keyscore_plugin.types import Selection
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo

# Variants of a cell, as the table names them.
OWN, OTHER, EQUAL = "its own question", "another video's question", "w = 1"
_COLUMNS = {
    "hit": "hit",
    "coverage_1s": "1 s",
    "coverage_2s": "2 s",
    "coverage_5s": "5 s",
    "precision": "clip precision",
    "recall": "clip recall",
    "iou": "clip IoU",
    "r1_30": "R@1 .3",
    "r1_50": "R@1 .5",
    "share": "share of the video",
    "fallback": "fallback",
}


@dataclass(frozen=True)
class ClipsEvaluation(NeedleEvaluation):
    """The clips of every query, and what the frames taken from them show.

    A control asks each question of a video that does not show it: what is still found is found
    without the question. `EQUAL` takes the frames again from the same clips, all of weight 1.
    """

    name: ClassVar[str] = "clips"
    plot: ClassVar[Plot] = Plot("2 s", by=("sampler", "variant"))

    def settings(self) -> dict[str, Any]:
        """The data set, its sentences and their spans, and the questions of the control."""
        others = [self._others(video) for video in self.videos]
        return {**super().settings(), "others_sha256": digest(others)}

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """The figures of every needle, and what one call of each sampler costs."""
        # First, because a Video-LLM keeps its answers in memory.
        costs = _costs(self._by_id[unit], bench.setup, cells)
        return {**super().measure(unit, bench, cells), "costs": costs}

    def _figures(self, video: NeedleVideo, bench: Bench, cells: Sequence[Cell]) -> dict[str, Any]:
        """The figures of every needle by variant and cell."""
        figures: dict[str, dict[str, list[dict[str, float]]]] = {OWN: {}, EQUAL: {}, OTHER: {}}
        for cell in cells:
            chosen = [
                bench.select(cell, caption=needle.caption if cell.needs_text else None)
                for needle in video.needles
            ]
            figures[OWN][cell.key] = _judge_all(chosen, video)
            if all(selection.clips for selection in chosen):
                equal = [_with_equal_weights(selection, bench, cell) for selection in chosen]
                figures[EQUAL][cell.key] = _judge_all(equal, video)
            if cell.needs_text:
                others = [bench.select(cell, caption=text) for text in self._others(video)]
                figures[OTHER][cell.key] = _judge_all(others, video)
        return figures

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """Means over all needles, in the order of the budgets."""
        clusters = self._clusters(records)
        rows = []
        for variant in (OWN, EQUAL, OTHER):
            for cell in cells:
                judged = [
                    one
                    for record in records.values()
                    for one in record["figures"][variant].get(cell.key, [])
                ]
                if judged:
                    figures = {
                        column: clustered_mean(
                            [one[name] for one in judged], clusters, seed=self.seed
                        )
                        for name, column in _COLUMNS.items()
                        if name in judged[0]
                    }
                    if variant == OWN:
                        costs = [record["costs"][cell.sampler] for record in records.values()]
                        figures |= {name: _median(costs, name) for name in costs[0]}
                    labels = {**cell.labels, "variant": variant}
                    rows.append(Row(labels, n=len(judged), figures=figures))
        return sorted(rows, key=lambda row: float(row.labels["num_frames"] or 0))

    def _others(self, video: NeedleVideo) -> list[str]:
        """For each needle a sentence that the video does not show; drawn, the same each time."""
        if self.dataset in SPLITS:
            pool = [source.caption for split in unlike(self.dataset) for source in split.sources]
        else:
            shown = {needle.caption for needle in video.needles}
            sentences = {needle.caption for other in self.videos for needle in other.needles}
            pool = sorted(sentences - shown)
        rng = np.random.default_rng([self.seed, self.videos.index(video)])
        return [str(text) for text in rng.choice(pool, len(video.needles))]


def _costs(video: NeedleVideo, setup: Setup, cells: Sequence[Cell]) -> dict[str, dict[str, float]]:
    """Seconds and tokens of one call of each sampler on a video of which nothing is kept.

    The models are loaded before. The tokens are those that a Video-LLM of transformers reads and
    writes.
    """
    costs: dict[str, dict[str, float]] = {}
    for cell in cells:
        if cell.sampler in costs:
            continue
        sampler = get_sampler(
            cell.name,
            config=cell.config(setup.config),
            encoder=setup.encoder if cell.needs_text else "auto",
            captioner=setup.captioner,
            decoder=setup.decoder,
            device=setup.device,
        )
        before = getattr(setup.captioner, "n_tokens", 0)
        caption = video.needles[0].caption if cell.needs_text else None
        chosen = sampler(video.path, num_frames=cell.num_frames, caption=caption)
        n_tokens = getattr(setup.captioner, "n_tokens", 0) - before
        costs[cell.sampler] = {"seconds": chosen.seconds["total"], "tokens": float(n_tokens)}
    return costs


def _median(costs: Sequence[Mapping[str, float]], name: str) -> Figure:
    return Figure(median(cost[name] for cost in costs))


def _judge_all(selections: Sequence[Selection], video: NeedleVideo) -> list[dict[str, float]]:
    return [_judge(one, needle) for one, needle in zip(selections, video.needles, strict=True)]


def _judge(selection: Selection, needle: Needle) -> dict[str, float]:
    frames = asdict(judge_selection(selection, needle))
    del frames["precision"]  # of the frames; evals.needle has it
    if selection.clips is None:
        return frames
    clips = judge_clips(selection.clips, needle, duration_seconds=selection.duration_seconds)
    return {**frames, **asdict(clips), "fallback": float(selection.fallback is not None)}


def _with_equal_weights(selection: Selection, bench: Bench, cell: Cell) -> Selection:
    """The same number of frames from the same clips, all of weight 1."""
    assert selection.clips is not None
    clips = replace(selection.clips, weights=(1.0,) * len(selection.clips))
    rows = any_k(
        clips,
        len(selection),
        bench.source.pts_seconds() - bench.source.start_pts_seconds,
        mode=cell.config(bench.setup.config).clips.mode,
        duration_seconds=bench.source.duration_seconds,
    )
    pts_seconds = bench.source.pts_seconds(rows).tolist()
    return replace(
        selection, indices=rows.tolist(), pts_seconds=pts_seconds, scores=None, clips=clips
    )
