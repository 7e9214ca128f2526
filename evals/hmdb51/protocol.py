"""The protocol of Table 6 for each clip: caption, choose, classify."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from evals.harness.bench import CAPTION_FRAMES, Bench
from evals.harness.cells import Cell
from evals.harness.evaluation import Unit
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from evals.hmdb51.classify import classify, describe
from evals.hmdb51.data import Hmdb51, Part
from evals.hmdb51.prompts import DEFAULT_TEMPLATES, ClassPrompts
from evals.hmdb51.sample import Sample
from evals.hmdb51.table import CRITERION, rows, tests_label


@dataclass(frozen=True)
class Hmdb51Evaluation:
    """Zero-shot classification of HMDB-51.

    Attributes:
        data: Clips and splits.
        templates: Templates of the class prompts.
        everything: Whether all clips are measured, not only those in the test part of a split.
        seed: Seed of the bootstrap.
        sweeps: Whether there are thresholds; they are then the horizontal axis of the picture.
    """

    data: Hmdb51
    templates: tuple[str, ...] = DEFAULT_TEMPLATES
    everything: bool = True
    seed: int = 0
    sweeps: bool = False
    name: ClassVar[str] = "hmdb51"

    @property
    def plot(self) -> Plot:
        """F1 on the test splits over the thresholds if there are any, else over the budgets."""
        only = {"clips": tests_label(self.data.splits), "choice": None}
        if self.sweeps:
            return Plot(CRITERION, x="threshold", by=("sampler", "num_frames"), only=only)
        return Plot(CRITERION, only=only)

    @cached_property
    def units(self) -> Sequence[Unit]:
        """The clips."""
        return [
            Unit(clip.id, clip.video)
            for clip in self.data.clips
            if self.everything or Part.TEST in clip.parts.values()
        ]

    @cached_property
    def _prompts(self) -> ClassPrompts:
        return ClassPrompts(self.data.classes, self.templates)

    def settings(self) -> dict[str, Any]:
        """The templates, the splits and their lists."""
        return {
            "templates": list(self.templates),
            "splits": list(self.data.splits),
            "lists_sha256": self.data.digest,
            "lists_not_70_and_30": list(self.data.uneven),
            "clips": "all" if self.everything else "test",
            "caption_frames": CAPTION_FRAMES,
        }

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """The caption of a clip, if a cell needs one, and the class that every cell predicts."""
        caption = describe(bench) if any(cell.needs_text for cell in cells) else None
        text = None if caption is None else caption.text
        selections = {cell.key: bench.select(cell, caption=text) for cell in cells}
        # Not the encoder of the bench: it keeps the embeddings of the thumbnails.
        encoder = bench.setup.encoder
        vectors = self._prompts.vectors(encoder)
        return {
            "n_frames": len(bench.source.pts_seconds()),
            "caption": None if caption is None else {"text": text, "model": caption.model},
            "cells": classify(bench.source, selections, encoder, self.data.classes, vectors),
        }

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """The rows of all sets of clips; each names the part of the data set that was measured."""
        sample = Sample.of(self.data, records, cells)
        dataset = self.data.title(len(self.units) - len(records))
        return [
            replace(row, labels={"dataset": dataset, **row.labels})
            for row in rows(sample, cells, everything=self.everything, seed=self.seed)
        ]
