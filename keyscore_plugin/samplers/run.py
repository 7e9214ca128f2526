"""The context of one call of a sampler, and the steps that several samplers share."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.any_k import any_k
from keyscore_plugin.algorithm.segments import segments
from keyscore_plugin.algorithm.selection import rank, rows_in_reach, select
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.named_things import NamedThings
from keyscore_plugin.config import GridConfig, GridKind, ProposalConfig, SelectConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.channels import LineSources, require_readers
from keyscore_plugin.samplers.encoding import encode_candidates_first, encode_rows
from keyscore_plugin.samplers.grid import FrameBuffer, ThumbnailStore
from keyscore_plugin.samplers.grid_reader import GridReader
from keyscore_plugin.samplers.parts import parts_of
from keyscore_plugin.samplers.query import DEFAULT_NUM_FRAMES, Query
from keyscore_plugin.samplers.routing import is_about_the_whole
from keyscore_plugin.types import (
    Candidates,
    Caption,
    Clips,
    Embeddings,
    Frames,
    FrameScores,
    QueryText,
    one_text,
)
from keyscore_plugin.types.spacing import uniform_indices


@dataclass(frozen=True, slots=True, eq=False)
class Run(GridReader):
    """The context of one call: what the steps of a sampler need, so that none of it is passed on.

    It reads the grids of the call (`GridReader`), and finds the texts that score.

    Attributes:
        get_captioner: Function that returns the captioner, or None if the sampler has none; the
            first call loads it.
        get_splitter: Function that returns what asks a model for the things that a text names; the
            first call loads the model.
        captioner_name: Name that the captioner was given by; None if it was given as an object.
    """

    get_captioner: Callable[[], Captioner | None]
    get_splitter: Callable[[], Callable[[str], NamedThings]]
    captioner_name: str | None

    @property
    def start_seconds(self) -> float:
        """Start of the part that is chosen from, in seconds from the video's first frame."""
        return float(self.source.pts_seconds([0])) - self.source.start_pts_seconds

    def require_text(self) -> None:
        """Check that a text scores the frames, or can be made, before anything is decoded.

        Raises:
            InputError: A text is wanted, the caller gave none, and there is no captioner; or the
                texts are too few for their join.
            ModelError: A model is to split the text, and none is given, or it does not load.
            MissingDependencyError: A package that reads the lines of the video is not installed.
        """
        require_readers(self.config)
        with stage("caption"):
            captioner = self.get_captioner()
            if self.config.split == "model":
                self.get_splitter()
        wants_caption, _ = self.request.texts(self.config.guide)
        if wants_caption and not self.request.captions and captioner is None:
            raise InputError(
                "no text to score the frames with; give a caption, give a question, "
                "or name a captioner ('labels' needs no download)"
            )
        self.request.require_texts_to_join(self.config.guide)

    @property
    def asks_about_the_whole(self) -> bool:
        """Whether the text that scores is one question about the video as a whole.

        A threshold needs scores, so a call with one is never about the whole; neither is one with
        a longest gap, which is kept by the scores' selection.
        """
        wants_caption, wants_question = self.request.texts(self.config.guide)
        is_one = wants_question and not wants_caption and len(self.request.questions) == 1
        may_route = (
            self.config.route
            and self.request.threshold is None
            and self.config.select.max_gap_seconds is None
        )
        return may_route and is_one and is_about_the_whole(self.request.questions[0])

    def fill(self, grid: GridConfig) -> None:
        """Look at a grid, embed all, propose candidates and read lines, for the index alone."""
        frames, histograms = self.look_with_histograms(grid)
        self.propose(frames, histograms)
        with stage("encode"):
            encode_rows(frames, torch.arange(len(frames)), self.encoder)
            self.lines(frames).fill()

    def propose(
        self, grid: FrameBuffer, histograms: Tensor, config: ProposalConfig | None = None
    ) -> Candidates:
        """Propose candidates from a grid and its histograms (Algorithm 1, lines 4-12).

        They do not depend on a text, so that the index keeps them.

        Args:
            grid: The ``n_grid`` frames that were looked at.
            histograms: ``(n_grid, n_bins)`` histograms of them.
            config: Settings; None takes those of `config`.
        """
        config = config or self.config.proposal
        settings = json.dumps(asdict(config), sort_keys=True)
        with stage("propose"):
            if grid.kept is not None and settings in grid.kept.look.proposals:
                return grid.kept.look.proposals[settings]
            candidates = propose_features(histograms, grid.indices, grid.pts_seconds, config)
            if grid.kept is not None:
                grid.kept.add_proposal(settings, candidates)
            return candidates

    def scenes(
        self,
        grid: FrameBuffer,
        histograms: Tensor,
        *,
        kind: GridKind,
        clusters: Tensor | None = None,
    ) -> Clips:
        """Cut the video, or the part of it that is chosen from, into scenes by its histograms.

        Args:
            grid: The ``n_grid`` frames that were looked at.
            histograms: ``(n_grid, n_bins)`` histograms of them.
            kind: Kind of the grid.
            clusters: ``(n_grid,)`` cluster of each frame (`Candidates.labels`), or None.
        """
        with stage("propose"):
            return segments(
                histograms,
                grid.pts_seconds - self.source.start_pts_seconds,
                start_seconds=self.start_seconds,
                end_seconds=self.start_seconds + self.source.duration_seconds,
                clusters=clusters,
                at_keyframes=kind == "keyframes",
                config=self.config.clips,
            )

    def take(self, clips: Clips) -> Tensor:
        """``(k,)`` indices of the frames that the budget takes from clips, by `any_k`."""
        with stage("select"):
            return any_k(
                clips,
                self.request.at_least,
                self.source.pts_seconds() - self.source.start_pts_seconds,
                mode=self.config.clips.mode,
                duration_seconds=self.source.duration_seconds,
            )

    def encode(
        self,
        grid: ThumbnailStore,
        histograms: Tensor,
        candidates: Candidates,
        query: Query,
        *,
        n_most: int,
        needed: Tensor | None = None,
    ) -> tuple[Tensor, Embeddings]:
        """`encode_candidates_first`, of ``n_most`` frames or the budget if that is larger."""
        n_encoded = max(n_most, self.request.at_least)
        with stage("encode"):
            return encode_candidates_first(
                grid,
                histograms,
                candidates,
                query,
                self.encoder,
                n_encoded=n_encoded,
                needed=needed,
            )

    @property
    def span(self) -> tuple[float, float]:
        """Start and end of what is chosen from, on the clock of the frames' pts, in seconds."""
        start = float(self.source.pts_seconds([0]))
        return start, start + self.source.duration_seconds

    def select_and_rank(
        self, scores: FrameScores | Tensor, pts_seconds: Tensor, config: SelectConfig
    ) -> tuple[Tensor, Tensor]:
        """`select` by the request, and the `rank` of what is chosen; both on the CPU."""
        duration = self.source.duration_seconds
        chosen = select(
            scores,
            pts_seconds,
            num_frames=self.request.num_frames,
            threshold=self.request.threshold,
            duration_seconds=duration,
            span=self.span,
            config=config,
        )
        places = rank(scores, pts_seconds, chosen, duration_seconds=duration, config=config)
        return chosen.cpu(), places.cpu()

    def rows_in_reach(self, grid: ThumbnailStore) -> Tensor:
        """The rows of a grid that keep the bound of `select`, see there."""
        return rows_in_reach(
            grid.pts_seconds,
            num_frames=self.request.num_frames,
            duration_seconds=self.source.duration_seconds,
            span=self.span,
            config=self.config.select,
        )

    def query(self, grid: ThumbnailStore, rows: Tensor | None = None) -> Query:
        """Decide which texts score, let the captioner write one if none is given, and embed them.

        A question is never replaced by a caption, nor by its answer.

        Args:
            grid: The frames that a captioner may describe.
            rows: ``(n,)`` rows of the grid that it describes; None describes `DEFAULT_NUM_FRAMES`
                even frames.

        Raises:
            InputError: A text is wanted, the caller gave none, and there is no captioner.
        """

        def described() -> Frames:
            even = uniform_indices(grid.pts_seconds, DEFAULT_NUM_FRAMES)
            return grid[even if rows is None else rows].since(self.source.start_pts_seconds)

        self.require_text()
        wants_caption, wants_question = self.request.texts(self.config.guide)
        captions = self.request.captions if wants_caption else ()
        questions = self.request.questions if wants_question else ()
        caption = None
        with stage("caption"):
            captioner = self.get_captioner()
            if captions:
                caption = Caption("\n".join(captions), origin="given")
            elif wants_caption and captioner is not None:
                caption = captioner.caption(described())
                captions = (caption.text,)
            join, question = self.request.join, one_text(questions)
            notes: tuple[str, ...] = ()
            if join == "all" and max(len(captions), len(questions)) == 1:  # it may have parts
                parts = [self._split(texts) for texts in (captions, questions)]
                captions, questions = (one.texts for one in parts)
                join, notes = "any", tuple(note for one in parts for note in one.notes)
        texts = (
            *(QueryText(text, "caption", caption.origin) for text in captions if caption),
            *(QueryText(text, "question") for text in questions),
        )
        with stage("encode"):
            embeddings = tuple(self.encoder.encode_text(text.text) for text in texts)
            channels = self.lines(grid).compared_with(
                tuple(text.text for text in texts),
                self.request.subtitles,
                whole_texts=("" if caption is None else caption.text, question or ""),
            )
        by_lines = (replace(one, origin=of.channel) for of in channels.scores for one in texts)
        texts = (*texts, *by_lines)
        if len(texts) == 1:
            texts = ()
        return Query(caption, question, embeddings, texts, join, channels, notes)

    def _split(self, texts: tuple[str, ...]) -> NamedThings:
        """The parts of one text, as the settings say; none of no text."""
        if not texts:
            return NamedThings(())
        (text,) = texts
        if self.config.split == "model":
            return self.get_splitter()(text)
        return NamedThings(parts_of(text, self.config.split))

    def lines(self, grid: ThumbnailStore) -> LineSources:
        """Where the lines of the video are read: its sound, and its picture."""
        return LineSources(self.source, grid, self.config, self.decode, self.encoder.device)
