"""The tensors that flow between the stages, with the indices and times of their rows."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError


def _require_rows(value: Any, n_rows: int, names: tuple[str, ...]) -> None:
    """Check that each named tensor of ``value`` has ``n_rows`` rows."""
    lengths = {name: len(getattr(value, name)) for name in names}
    if set(lengths.values()) != {n_rows}:
        raise InputError(
            f"{type(value).__name__} needs one length in every field, got {lengths}; give one row "
            "for each frame"
        )


def _require_time_order(value: Any) -> None:
    """Check that ``pts_seconds`` of ``value`` does not fall."""
    if bool((value.pts_seconds.diff() < 0).any()):
        raise InputError(
            f"{type(value).__name__} needs its rows in time order; sort them by pts_seconds"
        )


def _repr_shapes(value: Any) -> str:
    """``Frames(pixels=uint8(8, 128, 228, 3), indices=int64(8,), ...)``."""

    def show(item: Any) -> str:
        if isinstance(item, Tensor):
            return f"{str(item.dtype).removeprefix('torch.')}{tuple(item.shape)}"
        return repr(item)

    inside = ", ".join(f"{f.name}={show(getattr(value, f.name))}" for f in fields(value))
    return f"{type(value).__name__}({inside})"


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Frames:
    """Decoded frames of one video.

    Attributes:
        pixels: ``(n, h, w, 3)`` uint8 RGB, upright (the container's rotation is applied).
        indices: ``(n,)`` int64 frame indices, 0-based positions in display order.
        pts_seconds: ``(n,)`` float64 presentation times in seconds, from the container.

    Raises:
        InputError: The pixels have another shape or type, or the fields differ in length.
    """

    pixels: Tensor
    indices: Tensor
    pts_seconds: Tensor

    def __post_init__(self) -> None:
        if self.pixels.ndim != 4 or self.pixels.shape[-1] != 3 or self.pixels.dtype != torch.uint8:
            raise InputError(
                f"Frames.pixels must be (n, h, w, 3) uint8, "
                f"got {tuple(self.pixels.shape)} {self.pixels.dtype}"
            )
        _require_rows(self, len(self.pixels), ("indices", "pts_seconds"))

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, rows: Tensor | slice | list[int]) -> "Frames":
        return Frames(self.pixels[rows], self.indices[rows], self.pts_seconds[rows])

    def to(self, device: torch.device | str) -> "Frames":
        """The same frames with their pixels on a device; indices and times are not moved."""
        return Frames(self.pixels.to(device), self.indices, self.pts_seconds)

    def since(self, start_pts_seconds: float) -> "Frames":
        """The same frames with their times counted from a start, not from the container's zero."""
        return Frames(self.pixels, self.indices, self.pts_seconds - start_pts_seconds)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Embeddings:
    """Frame embeddings of one encoder, in time order.

    Attributes:
        vectors: ``(n, d)`` float32 vectors of unit norm.
        indices: ``(n,)`` int64 frame indices.
        pts_seconds: ``(n,)`` float64 presentation times in seconds.
        model: Name of the encoder.

    Raises:
        InputError: The vectors have another shape or type, the fields differ in length, or times
            fall.
    """

    vectors: Tensor
    indices: Tensor
    pts_seconds: Tensor
    model: str

    def __post_init__(self) -> None:
        if self.vectors.ndim != 2 or not self.vectors.is_floating_point():
            raise InputError(
                f"Embeddings.vectors must be (n, d) floating point, "
                f"got {tuple(self.vectors.shape)} {self.vectors.dtype}"
            )
        _require_rows(self, len(self.vectors), ("indices", "pts_seconds"))
        _require_time_order(self)

    def __len__(self) -> int:
        return len(self.vectors)

    def to(self, device: torch.device | str) -> "Embeddings":
        """The same embeddings with their vectors on a device; indices and times are not moved."""
        return Embeddings(self.vectors.to(device), self.indices, self.pts_seconds, self.model)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True)
class Reading:
    """The words of a text that an encoder can read, and those that it cannot.

    Attributes:
        n_words: Number of words in the text.
        unread: Words that the encoder cannot read, in the text's order.
    """

    n_words: int
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TextEmbedding:
    """One embedded text.

    Attributes:
        vector: ``(d,)`` float32 vector of unit norm.
        model: Name of the encoder.
        n_tokens: Number of tokens in the whole text.
        max_tokens: Number of tokens that the encoder reads; later ones were cut.
        reading: Words that the encoder reads; None where it does not say.
    """

    vector: Tensor
    model: str
    n_tokens: int
    max_tokens: int
    reading: Reading | None = None

    @property
    def n_tokens_cut(self) -> int:
        """Number of tokens at the end of the text that the encoder did not read."""
        return max(0, self.n_tokens - self.max_tokens)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Candidates:
    """STACFP's proposals (Algorithm 1): one representative frame per cluster, in time order.

    Attributes:
        rows: ``(n_candidates,)`` int64 rows of the grid.
        cluster: ``(n_candidates,)`` int64 clusters that the candidates represent, numbered by the
            time of their representative.
        indices: ``(n_candidates,)`` int64 frame indices.
        pts_seconds: ``(n_candidates,)`` float64 presentation times in seconds.
        labels: ``(n_grid,)`` int64 clusters of all frames of the grid.
        k_silhouettes: Mean silhouette of every k that was tried (Algorithm 1, line 9).

    Raises:
        InputError: The fields differ in length, or times fall.
    """

    rows: Tensor
    cluster: Tensor
    indices: Tensor
    pts_seconds: Tensor
    labels: Tensor
    k_silhouettes: Mapping[int, float]

    def __post_init__(self) -> None:
        _require_rows(self, len(self.rows), ("cluster", "indices", "pts_seconds"))
        _require_time_order(self)

    def __len__(self) -> int:
        return len(self.rows)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameScores:
    """KeyScore of each frame (eq. 1-4). Every field has shape ``(n,)``.

    Attributes:
        semantic: Cosine of frame and text (eq. 2), min-max normalised over the frames.
        temporal: Cosine of frame and whole video (eq. 3), min-max normalised.
        drop: Fall of the video-text cosine without the frame (eq. 4), min-max normalised.
        total: Weighted sum of the three (eq. 1).
        semantic_raw: Cosine of eq. 2, not normalised.
        temporal_raw: Cosine of eq. 3, not normalised.
        drop_raw: Difference of cosines of eq. 4, not normalised.

    Raises:
        InputError: The fields differ in length.
    """

    semantic: Tensor
    temporal: Tensor
    drop: Tensor
    total: Tensor
    semantic_raw: Tensor
    temporal_raw: Tensor
    drop_raw: Tensor

    def __post_init__(self) -> None:
        _require_rows(self, len(self.total), tuple(f.name for f in fields(self)))

    def __len__(self) -> int:
        return len(self.total)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FrameCaptions:
    """One sentence about each of some frames of a video, in time order.

    Attributes:
        texts: Sentence on each of ``n`` frames; ``""`` for a frame of which the captioner wrote
            nothing, such as a blank picture.
        indices: ``(n,)`` int64 frame indices.
        pts_seconds: ``(n,)`` float64 presentation times in seconds.
        model: Name of the captioner.

    Raises:
        InputError: The fields differ in length, or times fall.
    """

    texts: tuple[str, ...]
    indices: Tensor
    pts_seconds: Tensor
    model: str

    def __post_init__(self) -> None:
        _require_rows(self, len(self.texts), ("indices", "pts_seconds"))
        _require_time_order(self)

    def __len__(self) -> int:
        return len(self.texts)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Importance:
    """The importance of some frames in their video, when nobody asks anything.

    Attributes:
        scores: ``(n,)`` floating-point scores, finite; 1 is the most that a model can give.
        indices: ``(n,)`` int64 frame indices.
        pts_seconds: ``(n,)`` float64 presentation times in seconds.
        model: Name of what scored: a language model, and a head if there is one.

    Raises:
        InputError: The scores have another shape or type or are not finite, the fields differ in
            length, or times fall.
    """

    scores: Tensor
    indices: Tensor
    pts_seconds: Tensor
    model: str

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or not self.scores.is_floating_point():
            raise InputError(
                f"Importance.scores must be (n,) floating point, "
                f"got {tuple(self.scores.shape)} {self.scores.dtype}"
            )
        if not bool(self.scores.isfinite().all()):
            raise InputError(
                f"Importance.scores must be finite, got {int((~self.scores.isfinite()).sum())} "
                f"of {len(self.scores)} that are not; look for NaN in the embeddings or the head"
            )
        _require_rows(self, len(self.scores), ("indices", "pts_seconds"))
        _require_time_order(self)

    def __len__(self) -> int:
        return len(self.scores)

    __repr__ = _repr_shapes
