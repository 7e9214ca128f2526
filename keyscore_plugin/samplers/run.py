"""The context of one call of a sampler, and the steps that several samplers share."""

import json
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace

import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.stopwatch import stage, waiting
from keyscore_plugin.algorithm.any_k import any_k
from keyscore_plugin.algorithm.kept import on_device
from keyscore_plugin.algorithm.segments import segments
from keyscore_plugin.algorithm.selection import rank, rows_in_reach, select
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.named_things import NamedThings
from keyscore_plugin.config import (
    GridConfig,
    GridKind,
    ProposalConfig,
    SamplerConfig,
    SelectConfig,
)
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError
from keyscore_plugin.index.look import Look
from keyscore_plugin.index.video_index import Grid, KeptLook, VideoIndex
from keyscore_plugin.samplers.channels import LineSources, require_readers
from keyscore_plugin.samplers.encoding import (
    encode_candidates_first,
    encode_in_blocks,
    encode_rows,
    join_embeddings,
)
from keyscore_plugin.samplers.grid import (
    FrameBuffer,
    HistogramBuffer,
    KeptFrames,
    KeptThumbnails,
    ThumbnailStore,
    prefetch,
)
from keyscore_plugin.samplers.parts import parts_of
from keyscore_plugin.samplers.query import (
    DEFAULT_NUM_FRAMES,
    Query,
    SelectionRequest,
)
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
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.source import VideoSource

_BATCHES_AHEAD = 2  # ours: one is being decoded while one lies ready


@dataclass(frozen=True, slots=True, eq=False)
class Run:
    """The context of one call: what the steps of a sampler need, so that none of it is passed on.

    Attributes:
        source: The open video. Nothing else may use it while `read_grid` or `decode` is open.
        request: What the caller asks for.
        config: The settings of the sampler.
        tensor_device: The device of histograms, clustering and scores.
        get_encoder: Returns the encoder; the first call loads it.
        get_captioner: Returns the captioner, or None if the sampler has none; the first call loads
            it.
        get_splitter: Returns what asks a model for the things that a text names; the first call
            loads the model.
        captioner_name: Name that the captioner was given by; None if it was given as an object.
        index: What the index keeps of the video; None without an index.
    """

    source: VideoSource
    request: SelectionRequest
    config: SamplerConfig
    tensor_device: torch.device
    get_encoder: Callable[[], Encoder]
    get_captioner: Callable[[], Captioner | None]
    get_splitter: Callable[[], Callable[[str], NamedThings]]
    captioner_name: str | None = None
    index: VideoIndex | None = None

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at the first use."""
        with stage("encode"):
            return self.get_encoder()

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
            MissingDependencyError: What reads the lines of the video is not installed.
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

    @contextmanager
    def read_grid(
        self, grid: GridConfig, *, device: torch.device
    ) -> Iterator[tuple[Iterator[Frames], int]]:
        """Decode the grid (Algorithm 1, line 1) as `decode` does.

        Args:
            grid: Which frames, how many, and how large; at least as many as the request needs.
            device: The device that the pixels go to.

        Yields:
            The batches of `decode`, and the number of frames that come at most.
        """
        with stage("decode"):
            indices = grid_indices(self.source, grid, at_least=self.request.at_least)
        with self.decode(indices, short_side=grid.short_side, device=device) as batches:
            yield batches, len(indices)

    @contextmanager
    def decode(
        self, indices: Tensor, *, short_side: int, device: torch.device
    ) -> Iterator[Iterator[Frames]]:
        """Decode frames as thumbnails, in a thread that ends with the block.

        Args:
            indices: ``(n,)`` rising frame indices.
            short_side: Pixels of the shorter side.
            device: The device that the pixels go to, once, as they come; those of a GPU's decoder
                stay there.

        Yields:
            Batches of ``(m, h, w, 3)`` thumbnails, in time order. The next ones are decoded while
            the caller works on one.

        Raises:
            VideoError: No frame decodes.
        """
        thumbnails = self.source.thumbnails(indices, short_side=short_side)
        with closing(prefetch(thumbnails, depth=_BATCHES_AHEAD)) as batches:
            waited_for = waiting("decode", batches)
            tracked = progress.track("decode", waited_for, total=len(indices))
            yield (batch.to(device) for batch in tracked)

    def look(self, grid: GridConfig, *, device: torch.device) -> ThumbnailStore:
        """Decode a grid, and keep its thumbnails to be read again by row."""
        if self.index is not None:  # which keeps histograms of every look
            return self.look_with_histograms(grid, device=device)[0]
        with self.read_grid(grid, device=device) as (batches, n_most):
            store = ThumbnailStore(n_most)
            for batch in batches:
                store.append(batch)
        return store

    def look_with_histograms(
        self, grid: GridConfig, *, device: torch.device | None = None
    ) -> tuple[ThumbnailStore, Tensor]:
        """`look`, and count the colours of a batch while the next one is decoded.

        Args:
            grid: Which frames, how many, and how large.
            device: The device that the pixels go to; None takes `tensor_device`.

        Returns:
            ``n_grid`` thumbnails, and their ``(n_grid, n_bins)`` HSV histograms (Algorithm 1,
            lines 1-3).
        """

        def decode() -> tuple[ThumbnailStore, Tensor]:
            with self.read_grid(grid, device=device or self.tensor_device) as (batches, n_most):
                store, colours = ThumbnailStore(n_most), self._colours(n_most)
                for _ in self._counted(store.keeping(batches), colours):
                    pass
            return store, colours.histograms

        kept = self._recalled(grid, embeds=True)
        if kept is not None:
            return KeptThumbnails(kept, lambda: decode()[0]), self._histograms_of(kept)
        store, histograms = decode()
        self._keep(grid, store, histograms, embeds=True)
        return store, histograms

    def histograms(self, grid: GridConfig) -> tuple[FrameBuffer, Tensor]:
        """The histograms of `look_with_histograms`; pixels are dropped once they are counted.

        Returns:
            The ``n_grid`` frames, and their ``(n_grid, n_bins)`` HSV histograms.
        """
        kept = self._recalled(grid, embeds=False)
        if kept is not None:
            return KeptFrames(kept), self._histograms_of(kept)
        with self.read_grid(grid, device=self.tensor_device) as (batches, n_most):
            colours = self._colours(n_most)
            for _ in self._counted(batches, colours):
                pass
        self._keep(grid, colours, colours.histograms, embeds=False)
        return colours, colours.histograms

    def look_and_encode(self, config: SamplerConfig) -> tuple[ThumbnailStore, Embeddings]:
        """Embed every frame of a grid of at most `EncodeConfig.max_encoded`, as it is decoded."""
        encoder = self.encoder
        grid = self.grid_to_encode(config)
        if self._recalled(grid, embeds=True) is not None:
            store, _ = self.look_with_histograms(grid, device=encoder.device)
            with stage("encode"):
                return store, encode_rows(store, torch.arange(len(store)), encoder)
        with self.read_grid(grid, device=encoder.device) as (batches, n_most):
            store, colours = ThumbnailStore(n_most), self._colours(n_most)
            kept = store.keeping(batches)
            looked = kept if self.index is None else self._counted(kept, colours)
            with stage("encode"):
                frames = join_embeddings(encode_in_blocks(looked, encoder, n_most=n_most))
        self._keep(grid, store, colours.histograms, embeds=True)
        if store.kept is not None:
            store.kept.add_vectors(torch.arange(len(store)), frames.vectors)
        return store, frames

    def fill(self, grid: GridConfig) -> None:
        """Look at a grid, embed all, propose candidates and read lines, for the index alone."""
        frames, histograms = self.look_with_histograms(grid)
        self.propose(frames, histograms)
        with stage("encode"):
            encode_rows(frames, torch.arange(len(frames)), self.encoder)
            self.lines(frames).fill()

    def _colours(self, n_most: int) -> HistogramBuffer:
        return HistogramBuffer(n_most, self.config.proposal.bins)

    def _counted(self, batches: Iterator[Frames], colours: HistogramBuffer) -> Iterator[Frames]:
        """Pass batches on, and count the colours of each one first."""
        for batch in batches:
            with stage("propose"):
                colours.append(batch.to(self.tensor_device))
            yield batch

    def _recalled(self, grid: GridConfig, *, embeds: bool) -> KeptLook | None:
        """What the index holds of a look at a grid; None without an index, or if it is new."""
        if self.index is None:
            return None
        encoder = self.encoder if embeds else None
        with stage("decode"):
            return self.index.recall(self._asked(grid), encoder)

    def _keep(
        self, grid: GridConfig, frames: FrameBuffer, histograms: Tensor, *, embeds: bool
    ) -> None:
        """Give a new look to the index, if there is one."""
        if self.index is not None:
            look = Look(frames.indices, frames.pts_seconds, histograms.cpu())
            encoder = self.encoder if embeds else None
            frames.kept = self.index.keep(self._asked(grid), encoder, look)

    def _asked(self, grid: GridConfig) -> Grid:
        return Grid(
            kind=grid.kind,
            indices=grid_indices(self.source, grid, at_least=self.request.at_least),
            short_side=grid.short_side,
            bins=self.config.proposal.bins,
            device=self.tensor_device,
        )

    def _histograms_of(self, kept: KeptLook) -> Tensor:
        return on_device(kept.look.histograms, self.tensor_device)

    def grid_to_encode(self, config: SamplerConfig) -> GridConfig:
        """The grid of which every frame is embedded: thinned evenly to what may be embedded."""
        n_most = min(config.grid.max_frames, config.encode.max_encoded)
        return replace(self.as_encoded(config.grid), max_frames=n_most)

    def as_encoded(self, grid: GridConfig) -> GridConfig:
        """The grid with thumbnails of at least the size that the encoder sees."""
        return replace(grid, short_side=max(grid.short_side, self.encoder.short_side))

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
