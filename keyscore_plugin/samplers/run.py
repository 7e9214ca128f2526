"""The context of one call of a sampler, and the steps that several samplers share."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.stopwatch import stage, waiting
from keyscore_plugin.algorithm.any_k import any_k
from keyscore_plugin.algorithm.segments import segments
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import GridConfig, GridKind, SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.encoding import (
    encode_candidates_first,
    encode_in_blocks,
    join_embeddings,
)
from keyscore_plugin.samplers.grid import (
    FrameBuffer,
    HistogramBuffer,
    ThumbnailStore,
    prefetch,
)
from keyscore_plugin.samplers.query import (
    DEFAULT_NUM_FRAMES,
    Query,
    SelectionRequest,
)
from keyscore_plugin.types import Candidates, Caption, Clips, Embeddings, Frames
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
        captioner_name: Name that the captioner was given by; None if it was given as an object.
    """

    source: VideoSource
    request: SelectionRequest
    config: SamplerConfig
    tensor_device: torch.device
    get_encoder: Callable[[], Encoder]
    get_captioner: Callable[[], Captioner | None]
    captioner_name: str | None = None

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
            InputError: A text is wanted, the caller gave none, and there is no captioner.
        """
        with stage("caption"):
            captioner = self.get_captioner()
        wants_caption, _ = self.request.texts(self.config.guide)
        if wants_caption and self.request.caption is None and captioner is None:
            raise InputError(
                "no text to score the frames with; give a caption, give a question, "
                "or name a captioner (captioner='labels' needs no download)"
            )

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
        with self.read_grid(grid, device=device) as (batches, n_most):
            store = ThumbnailStore(n_most)
            for batch in batches:
                store.append(batch)
        return store

    def look_with_histograms(self, grid: GridConfig) -> tuple[ThumbnailStore, Tensor]:
        """`look` on `tensor_device`; count the colours of a batch while the next one is decoded.

        Returns:
            ``n_grid`` thumbnails, and their ``(n_grid, n_bins)`` HSV histograms (Algorithm 1,
            lines 1-3).
        """
        with self.read_grid(grid, device=self.tensor_device) as (batches, n_most):
            store, colours = (
                ThumbnailStore(n_most),
                HistogramBuffer(n_most, self.config.proposal.bins),
            )
            for batch in store.keeping(batches):
                with stage("propose"):
                    colours.append(batch)
        return store, colours.histograms

    def histograms(self, grid: GridConfig) -> HistogramBuffer:
        """The histograms of `look_with_histograms`; pixels are dropped once they are counted."""
        with self.read_grid(grid, device=self.tensor_device) as (batches, n_most):
            colours = HistogramBuffer(n_most, self.config.proposal.bins)
            for batch in batches:
                with stage("propose"):
                    colours.append(batch)
        return colours

    def look_and_encode(self, config: SamplerConfig) -> tuple[ThumbnailStore, Embeddings]:
        """Embed every frame of a grid of at most `EncodeConfig.max_encoded`, as it is decoded."""
        encoder = self.encoder
        grid = self.grid_to_encode(config)
        with self.read_grid(grid, device=encoder.device) as (batches, n_most):
            store = ThumbnailStore(n_most)
            with stage("encode"):
                blocks = encode_in_blocks(store.keeping(batches), encoder, n_most=n_most)
                return store, join_embeddings(blocks)

    def grid_to_encode(self, config: SamplerConfig) -> GridConfig:
        """The grid of which every frame is embedded: thinned evenly to what may be embedded."""
        n_most = min(config.grid.max_frames, config.encode.max_encoded)
        return replace(self.as_encoded(config.grid), max_frames=n_most)

    def as_encoded(self, grid: GridConfig) -> GridConfig:
        """The grid with thumbnails of at least the size that the encoder sees."""
        return replace(grid, short_side=max(grid.short_side, self.encoder.short_side))

    def propose(self, grid: ThumbnailStore, histograms: Tensor) -> Candidates:
        """Propose candidates from a grid and its histograms (Algorithm 1, lines 4-12)."""
        with stage("propose"):
            return propose_features(
                histograms, grid.indices, grid.pts_seconds, self.config.proposal
            )

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
        self, grid: ThumbnailStore, candidates: Candidates, query: Query, *, n_most: int
    ) -> tuple[Tensor, Embeddings]:
        """`encode_candidates_first`, of ``n_most`` frames or the budget if that is larger."""
        n_encoded = max(n_most, self.request.at_least)
        with stage("encode"):
            return encode_candidates_first(
                grid, candidates, query.embeddings, self.encoder, n_encoded=n_encoded
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
        question = self.request.question if wants_question else None
        caption = None
        with stage("caption"):
            captioner = self.get_captioner()
            if wants_caption and self.request.caption is not None:
                caption = Caption(self.request.caption, origin="given")
            elif wants_caption and captioner is not None:
                caption = captioner.caption(described())
        with stage("encode"):
            texts = [caption.text if caption else None, question]
            encoded = (self.encoder.encode_text(text) for text in texts if text is not None)
            return Query(caption, question, tuple(encoded))
