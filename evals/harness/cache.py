"""A video that is decoded once, an encoder and a captioner that see each frame once.

Every sampler, budget and query then costs only its own work, through the product's own call.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin import Captioner, Encoder, VideoSource
from keyscore_plugin.hosts import ForwardedVideo
from keyscore_plugin.types import Caption, Embeddings, Frames, TextEmbedding


class CachedSource(ForwardedVideo):
    """A video that keeps the thumbnails of every grid it was asked for.

    Args:
        source: The video; closing this closes it.
    """

    def __init__(self, source: VideoSource) -> None:
        super().__init__(source)
        self._thumbnails: dict[tuple[Any, ...], list[Frames]] = {}

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """See `VideoSource.thumbnails`; decoded at the first call only."""
        key = (tuple(torch.as_tensor(grid).tolist()), short_side)
        if key not in self._thumbnails:
            self._thumbnails[key] = list(self._source.thumbnails(grid, short_side=short_side))
        yield from self._thumbnails[key]


class CachedEncoder:
    """An `Encoder` for one video that embeds each frame, and each text, once.

    Args:
        load: Makes what embeds; called at the first use, so a sampler that embeds nothing
            loads nothing.
        texts: Where embedded texts are kept; several videos may share it.
    """

    def __init__(
        self, load: Callable[[], Encoder], texts: dict[str, TextEmbedding] | None = None
    ) -> None:
        self._load = load
        self._vectors: dict[int, Tensor] = {}
        self._texts = {} if texts is None else texts

    @cached_property
    def _encoder(self) -> Encoder:
        return self._load()

    @property
    def name(self) -> str:
        """See `Encoder.name`."""
        return self._encoder.name

    @property
    def device(self) -> torch.device:
        """See `Encoder.device`."""
        return self._encoder.device

    @property
    def short_side(self) -> int:
        """See `Encoder.short_side`."""
        return self._encoder.short_side

    @property
    def n_encoded(self) -> int:
        """Frames embedded so far."""
        return len(self._vectors)

    def encode_frames(self, frames: Frames) -> Embeddings:
        """See `Encoder.encode_frames`; only frames not seen before are embedded."""
        indices = frames.indices.tolist()
        rows = [row for row, index in enumerate(indices) if index not in self._vectors]
        if rows:
            fresh = self._encoder.encode_frames(frames[rows])
            self._vectors.update(zip(fresh.indices.tolist(), fresh.vectors, strict=True))
        vectors = torch.stack([self._vectors[index] for index in indices])
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    def encode_text(self, text: str) -> TextEmbedding:
        """See `Encoder.encode_text`."""
        if text not in self._texts:
            self._texts[text] = self._encoder.encode_text(text)
        return self._texts[text]


class CachedCaptioner:
    """A `Captioner` for one video that describes the same frames once.

    Args:
        captioner: What describes.
    """

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self._captions: dict[tuple[int, ...], Caption] = {}
        self.name: str = captioner.name

    def caption(self, frames: Frames) -> Caption:
        """See `Captioner.caption`."""
        key = tuple(frames.indices.tolist())
        if key not in self._captions:
            self._captions[key] = self._captioner.caption(frames)
        return self._captions[key]
