"""A video that is decoded once, and an encoder and a captioner that see each frame once.

Every sampler, budget and query then costs its own work only, through the public call.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin import Captioner, ClipQuestion, Encoder, VideoSource
from keyscore_plugin.hosts import ForwardedVideo, require_judge
from keyscore_plugin.types import Caption, Embeddings, Frames, TextEmbedding


class CachedSource(ForwardedVideo):
    """A video that keeps the thumbnails of every grid that was read.

    Args:
        source: The video; it is closed with this one.
    """

    def __init__(self, source: VideoSource) -> None:
        super().__init__(source)
        self._thumbnails: dict[tuple[Any, ...], list[Frames]] = {}

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """Decode the thumbnails of a grid, at the first call only."""
        key = (tuple(torch.as_tensor(grid).tolist()), short_side)
        if key not in self._thumbnails:
            self._thumbnails[key] = list(self._source.thumbnails(grid, short_side=short_side))
        yield from self._thumbnails[key]


class CachedEncoder:
    """An `Encoder` for one video that embeds each frame, and each text, once.

    Args:
        load: Function that loads the encoder; it is called on first use, so that a sampler that
            embeds nothing loads nothing.
        texts: Embedded texts by text; several videos may share them.
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
        """The name of the encoder."""
        return self._encoder.name

    @property
    def device(self) -> torch.device:
        """The device of the encoder."""
        return self._encoder.device

    @property
    def short_side(self) -> int:
        """The shorter side of a frame that the encoder sees, in pixels."""
        return self._encoder.short_side

    @property
    def n_encoded(self) -> int:
        """The number of frames embedded so far."""
        return len(self._vectors)

    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed the frames that were not embedded before; returns all of them."""
        indices = frames.indices.tolist()
        rows = [row for row, index in enumerate(indices) if index not in self._vectors]
        if rows:
            fresh = self._encoder.encode_frames(frames[rows])
            self._vectors.update(zip(fresh.indices.tolist(), fresh.vectors, strict=True))
        vectors = torch.stack([self._vectors[index] for index in indices])
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    def encode_text(self, text: str) -> TextEmbedding:
        """Embed a text that was not embedded before."""
        if text not in self._texts:
            self._texts[text] = self._encoder.encode_text(text)
        return self._texts[text]


class CachedCaptioner:
    """A `Captioner` for one video that describes the same frames once.

    Args:
        captioner: Captioner that is asked once for the same frames.
    """

    def __init__(self, captioner: Captioner) -> None:
        self._captioner = captioner
        self._captions: dict[tuple[int, ...], Caption] = {}
        self.name: str = captioner.name

    def caption(self, frames: Frames) -> Caption:
        """Describe frames that were not described before."""
        key = tuple(frames.indices.tolist())
        if key not in self._captions:
            self._captions[key] = self._captioner.caption(frames)
        return self._captions[key]

    def judge(self, question: ClipQuestion, *, max_new_tokens: int) -> str:
        """Ask the captioner for clips, if it is a Video-LLM, which keeps its answers itself."""
        judge = require_judge(self._captioner, asker="kframes")
        return judge.judge(question, max_new_tokens=max_new_tokens)
