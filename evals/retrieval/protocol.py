"""Search every video with every caption, for every way to choose the frames of a video."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from evals.harness.bench import Bench, Setup
from evals.harness.cells import Cell
from evals.harness.data import digest
from evals.harness.evaluation import Unit
from evals.harness.plot import Plot
from evals.harness.records import Record
from evals.harness.result import Row
from evals.retrieval.dataset import CaptionedVideo, Dataset
from evals.retrieval.settings import (
    ANY_TEXT,
    TITLES,
    Setting,
    require_no_text_decided,
    settings_of,
)
from evals.retrieval.table import Tried, rows_of
from evals.retrieval.vectors import ShownFrames, cosines, embed_texts, pack, unpack
from keyscore_plugin.hosts import TrimmedVideo
from keyscore_plugin.types import Selection


@dataclass(frozen=True)
class RetrievalEvaluation:
    """One data set, in some settings.

    Attributes:
        dataset: Videos and their captions.
        asked: Settings of ``--setting``.
        setup: Cells, models and settings of the run.

    Raises:
        InputError: A cell fits none of the settings.
    """

    dataset: Dataset
    asked: tuple[Setting, ...]
    setup: Setup
    name: str = "retrieval"

    def __post_init__(self) -> None:
        for cell in self.setup.cells:
            settings_of(cell, self.setup, self.asked)

    @cached_property
    def units(self) -> Sequence[Unit]:
        """The videos."""
        return list(self._by_id)

    @cached_property
    def _by_id(self) -> dict[Unit, CaptionedVideo]:
        return {Unit(video.id, video.video): video for video in self.dataset.videos}

    @cached_property
    def _queries(self) -> list[str]:
        """Every caption of every video."""
        return [caption for video in self.dataset.videos for caption in video.captions]

    @property
    def plot(self) -> Plot:
        """R@1 without dual softmax, with optimistic ties."""
        by_threshold = any(cell.threshold is not None for cell in self.setup.cells)
        x, other = "num_frames", "threshold"
        if by_threshold:
            x, other = other, x
        return Plot(
            "t2v R@1",
            x=x,
            by=("sampler", other, "setting"),
            only={"dual softmax": "no", "ties": "optimistic"},
        )

    def settings(self) -> dict[str, Any]:
        """The data set, its captions and the settings."""
        captions = [[video.id, *video.captions] for video in self.dataset.videos]
        return {
            "dataset": self.dataset.name,
            "n_queries": len(self._queries),
            "captions_sha256": digest(captions),
            "cut_seconds": self.dataset.cut_seconds,
            "setting": {setting: TITLES[setting] for setting in self.asked},
        }

    def measure(self, unit: Unit, bench: Bench, cells: Sequence[Cell]) -> Record:
        """The vectors of the captions, and that of the video for every cell and setting."""
        if self.dataset.cut_seconds is not None:
            bench = Bench(
                bench.setup, TrimmedVideo.beginning(bench.source, self.dataset.cut_seconds)
            )
        video = self._by_id[unit]
        shown = ShownFrames(bench.source, bench.setup.encoder)
        captions, n_cut = embed_texts(video.captions, bench.encoder)
        return {
            "n_frames": len(bench.source.pts_seconds()),
            "captions": pack(captions),
            "n_captions_cut": n_cut,
            "cells": {
                cell.key: {
                    setting: self._try(cell, setting, video, bench, shown)
                    for setting in settings_of(cell, self.setup, self.asked)
                }
                for cell in cells
            },
        }

    def _try(
        self, cell: Cell, setting: Setting, video: CaptionedVideo, bench: Bench, shown: ShownFrames
    ) -> dict[str, Any]:
        if setting == "pair":
            return self._try_every_query(cell, bench, shown)
        selection = self._select(cell, setting, video, bench)
        return {
            "n_selected": len(selection),
            "video": pack(shown.mean(selection.indices)),
            "caption": selection.caption.text if selection.caption and setting != "free" else None,
        }

    def _select(
        self, cell: Cell, setting: Setting, video: CaptionedVideo, bench: Bench
    ) -> Selection:
        if setting == "caption":
            return bench.select(cell)
        if setting == "leak":
            return bench.select(cell, caption=video.captions[0])
        if not cell.needs_text:
            return bench.select(cell)
        selection = bench.select(cell, caption=ANY_TEXT)
        require_no_text_decided(selection, cell)
        return selection

    def _try_every_query(self, cell: Cell, bench: Bench, shown: ShownFrames) -> dict[str, Any]:
        """Choose frames of this video anew with every query of the data set."""
        texts, _ = embed_texts(self._queries, bench.encoder)
        chosen = [bench.select(cell, caption=query).indices for query in self._queries]
        means = torch.stack([shown.mean(indices) for indices in chosen])
        return {
            "n_selected": float(np.mean([len(indices) for indices in chosen])),
            "similarities": pack((texts * means).sum(1)),
        }

    def rows(self, records: Mapping[str, Record], cells: Sequence[Cell]) -> list[Row]:
        """The figures of both directions, with and without dual softmax, for both kinds of ties."""
        measured = _Measured(self.dataset, records)
        return [
            row
            for cell in cells
            for setting in settings_of(cell, self.setup, self.asked)
            for row in rows_of(measured.tried(cell, setting), seed=self.setup.seed)
        ]


class _Measured:
    """The records of the videos that were not left out, as arrays."""

    def __init__(self, dataset: Dataset, records: Mapping[str, Record]) -> None:
        self._records = list(records.values())
        self._title = dataset.title(len(records))
        kept = [video for video in dataset.videos if video.id in records]
        n_captions = [len(video.captions) for video in kept]
        self._owner = np.repeat(np.arange(len(kept)), n_captions)
        self._texts = np.concatenate(
            [
                unpack(record["captions"], n)
                for record, n in zip(self._records, n_captions, strict=True)
            ]
        )
        # Which queries of the data set belong to a video that was measured.
        self._is_query = np.concatenate(
            [np.full(len(video.captions), video.id in records) for video in dataset.videos]
        )

    def tried(self, cell: Cell, setting: Setting) -> Tried:
        """The outcome of one cell in one setting."""
        results = [record["cells"][cell.key][setting] for record in self._records]
        if setting == "pair":
            n_queries = len(self._is_query)
            columns = [unpack(result["similarities"], n_queries) for result in results]
            similarity = np.concatenate(columns, axis=1)[self._is_query]
        else:
            videos = np.concatenate([unpack(result["video"], 1) for result in results])
            similarity = cosines(self._texts, videos)
        return Tried(
            labels={"dataset": self._title, "setting": TITLES[setting], **cell.labels},
            similarity=similarity,
            owner=self._owner,
            n_selected=np.array([float(result["n_selected"]) for result in results]),
            n_frames=np.array([float(record["n_frames"]) for record in self._records]),
            n_captions_cut=sum(record["n_captions_cut"] for record in self._records),
        )
