"""Ask the tiny Video-LLM about every video, with the frames of every sampler and budget."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from evals.answers.material import CHANCE, AskedVideo
from evals.answers.train import Answerer, chat
from evals.harness.bench import Bench
from evals.harness.cells import Cell
from evals.harness.data import digest
from evals.harness.evaluation import Unit
from evals.harness.figures import Figure, Ints, clustered_mean
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from keyscore_plugin.types import Join, Selection, SubtitleInput, TextInput
from keyscore_transformers import generate

_BASELINE = "uniform"
_ANSWER_TOKENS = 4  # a colour is one token, and one ends the answer


@dataclass(frozen=True)
class AnswersEvaluation:
    """One question about every video, answered by models that saw only the chosen frames.

    Attributes:
        videos: Videos and their questions.
        answerers: Models by the name of their row.
        seed: Seed of the bootstrap.
    """

    videos: Sequence[AskedVideo]
    answerers: Mapping[str, Answerer]
    seed: int = 0
    name: ClassVar[str] = "answers"
    plot: ClassVar[Plot] = Plot("accuracy", by=("model", "sampler", "threshold"))

    @cached_property
    def units(self) -> Sequence[Unit]:
        """The videos."""
        return list(self._by_id)

    @cached_property
    def _by_id(self) -> dict[Unit, AskedVideo]:
        return {Unit(one.video.path.stem, one.video.path): one for one in self.videos}

    def settings(self) -> dict[str, Any]:
        """The questions, the spans that answer them, and the weights of the models."""
        questions = [[asdict(one.question), one.span] for one in self.videos]
        weights = {name: answerer.weights_sha256 for name, answerer in self.answerers.items()}
        return {"questions_sha256": digest(questions), "weights_sha256": weights}

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """Whether each cell shows the clip with the frame, and whether each model is right."""
        asked = self._by_id[unit]
        hits, right = {}, {}
        for cell in cells:
            chosen = _OnBench(bench, cell)
            right[cell.key] = {
                name: float(_answer(answerer, asked, chosen) == asked.question.answer)
                for name, answerer in self.answerers.items()
            }
            hits[cell.key] = _hit(chosen.selection, asked.span)
        return {"hits": hits, "right": right}

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """Accuracy by model, sampler and budget, and what the hits alone would give."""
        ordered = sorted(cells, key=lambda cell: cell.num_frames or 0)
        return [self._row(name, cell, records) for name in self.answerers for cell in ordered]

    def _row(self, name: str, cell: Cell, records: Mapping[str, Record]) -> Row:
        clusters = self._clusters(records)
        right = _right(records, cell.key, name)
        hits = [record["hits"][cell.key] for record in records.values()]
        hit = clustered_mean(hits, clusters, seed=self.seed)
        figures = {
            "accuracy": clustered_mean(right, clusters, seed=self.seed),
            "hit": hit,
            "if read": Figure(hit.value + (1 - hit.value) * CHANCE),
        }
        baseline = Cell(_BASELINE, num_frames=cell.num_frames).key
        if cell.sampler != _BASELINE and all(baseline in one["hits"] for one in records.values()):
            theirs = _right(records, baseline, name)
            gains = [mine - other for mine, other in zip(right, theirs, strict=True)]
            figures[f"over {_BASELINE}"] = clustered_mean(gains, clusters, seed=self.seed)
        return Row({"model": name, **cell.labels}, n=len(right), figures=figures)

    def _clusters(self, records: Mapping[str, Record]) -> Ints:
        """``(n_videos,)`` cluster of each video; a cluster is resampled as a whole.

        Videos that ask about one scene are a cluster, because they film the same photograph.
        """
        scenes = [one.question.scene for one in self.videos if one.video.path.stem in records]
        return np.unique(scenes, return_inverse=True)[1]


class _OnBench:
    """The sampler of a cell, which decodes and embeds the video once for all cells and models."""

    def __init__(self, bench: Bench, cell: Cell) -> None:
        self.name = cell.name
        self.needs_text = cell.needs_text
        self.cell = cell
        self._bench = bench
        self._selection: Selection | None = None

    def __call__(
        self,
        video: Any,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        """Choose frames of the video of the bench, which the host has opened as well."""
        if self._selection is None:
            self._selection = self._bench.select(self.cell, caption=caption)
        return self._selection

    @property
    def selection(self) -> Selection:
        """What the last call chose."""
        if self._selection is None:
            raise ValueError("the sampler was not called")
        return self._selection


def _answer(answerer: Answerer, asked: AskedVideo, sampler: _OnBench) -> str:
    """The answer of a model from the frames that the sampler chooses by the scene."""
    answer = generate(
        answerer.model,
        answerer.processor,
        chat(asked.question.text, str(asked.video.path)),
        sampler=sampler,
        num_frames=sampler.cell.num_frames,
        threshold=sampler.cell.threshold,
        caption=asked.question.scene,
        max_new_tokens=_ANSWER_TOKENS,
        do_sample=False,
    )
    return str(answer)


def _hit(selection: Selection, span: tuple[float, float]) -> float:
    """1 if a chosen frame lies in the span, else 0."""
    start = selection.start_pts_seconds
    return float(any(span[0] <= seconds - start < span[1] for seconds in selection.pts_seconds))


def _right(records: Mapping[str, Record], key: str, name: str) -> list[float]:
    return [record["right"][key][name] for record in records.values()]
