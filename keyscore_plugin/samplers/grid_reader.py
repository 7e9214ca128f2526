"""The looks of one call at the grid of its video: decoded, or taken from the index."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.stopwatch import stage, waiting
from keyscore_plugin.algorithm.kept import on_device
from keyscore_plugin.config import GridConfig, SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.index.look import Look
from keyscore_plugin.index.video_index import Grid, KeptLook, VideoIndex
from keyscore_plugin.samplers.encoding import encode_in_blocks, encode_rows, join_embeddings
from keyscore_plugin.samplers.grid import (
    FrameBuffer,
    HistogramBuffer,
    KeptFrames,
    KeptThumbnails,
    ThumbnailStore,
    prefetch,
)
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.types import Embeddings, Frames
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.source import VideoSource

_BATCHES_AHEAD = 2  # ours: one is being decoded while one lies ready


@dataclass(frozen=True, slots=True, eq=False)
class GridReader:
    """Reads grids of one open video. A grid that the index holds is not decoded again.

    Attributes:
        source: The open video. Nothing else may use it while `read_grid` or `decode` is open.
        request: Request of the caller; a grid has at least as many frames as its budget.
        config: The settings of the sampler.
        tensor_device: The device of histograms, clustering and scores.
        get_encoder: Function that returns the encoder; the first call loads it.
        index: Looks at the video that the index keeps; None without an index.
    """

    source: VideoSource
    request: SelectionRequest
    config: SamplerConfig
    tensor_device: torch.device
    get_encoder: Callable[[], Encoder]
    index: VideoIndex | None

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at the first use."""
        with stage("encode"):
            return self.get_encoder()

    @contextmanager
    def read_grid(
        self, grid: GridConfig, *, device: torch.device
    ) -> Iterator[tuple[Iterator[Frames], int]]:
        """Decode the grid (Algorithm 1, line 1) as `decode` does.

        Args:
            grid: Settings of the grid: which frames, how many, and how large; at least as many as
                the request needs.
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
            grid: Settings of the grid: which frames, how many, and how large.
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

    def grid_to_encode(self, config: SamplerConfig) -> GridConfig:
        """The grid of which every frame is embedded: thinned evenly to what may be embedded."""
        n_most = min(config.grid.max_frames, config.encode.max_encoded)
        return replace(self.as_encoded(config.grid), max_frames=n_most)

    def as_encoded(self, grid: GridConfig) -> GridConfig:
        """The grid with thumbnails of at least the size that the encoder sees."""
        return replace(grid, short_side=max(grid.short_side, self.encoder.short_side))

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
