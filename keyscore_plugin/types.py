"""The values that flow between the stages: frozen, validated when made, rows in time order.

Pixels are ``(n, h, w, 3)`` uint8 RGB. Times are seconds from the container, never index / fps.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from itertools import pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from keyscore_plugin.errors import InputError

Origin = Literal["given", "generated"]


def _require_rows(value: Any, n_rows: int, names: tuple[str, ...]) -> None:
    """Check that each named tensor of ``value`` has ``n_rows`` rows."""
    lengths = {name: len(getattr(value, name)) for name in names}
    if set(lengths.values()) != {n_rows}:
        raise InputError(f"{type(value).__name__} needs one length in every field, got {lengths}")


def _require_time_order(value: Any) -> None:
    """Check that ``pts_seconds`` of ``value`` does not fall."""
    if bool((value.pts_seconds.diff() < 0).any()):
        raise InputError(f"{type(value).__name__} needs its rows in time order")


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
        indices: ``(n,)`` int64, 0-based positions in display order.
        pts_seconds: ``(n,)`` float64, presentation times from the container.
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
        """The same frames with their pixels on a device; indices and times stay where they are."""
        return Frames(self.pixels.to(device), self.indices, self.pts_seconds)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Embeddings:
    """Frame embeddings of one encoder.

    Attributes:
        vectors: ``(n, d)`` float32, unit norm.
        indices: ``(n,)`` int64 frame indices.
        pts_seconds: ``(n,)`` float64.
        model: The encoder that made them.
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
        """The same with the vectors on a device; indices and times stay where they are."""
        return Embeddings(self.vectors.to(device), self.indices, self.pts_seconds, self.model)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class TextEmbedding:
    """One embedded text.

    Attributes:
        vector: ``(d,)`` float32, unit norm.
        model: The encoder that made it.
        n_tokens: Tokens of the whole text.
        max_tokens: Tokens the encoder reads; what lies beyond was cut.
    """

    vector: Tensor
    model: str
    n_tokens: int
    max_tokens: int

    @property
    def n_tokens_cut(self) -> int:
        """How many tokens at the end of the text the encoder did not see."""
        return max(0, self.n_tokens - self.max_tokens)

    __repr__ = _repr_shapes


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Candidates:
    """STACFP's proposals: one representative frame a cluster, in time order.

    Attributes:
        rows: ``(n_candidates,)`` int64, rows of the grid.
        cluster: ``(n_candidates,)`` int64, the cluster each one stands for; clusters are numbered
            by the time of their representative.
        indices: ``(n_candidates,)`` int64 frame indices.
        pts_seconds: ``(n_candidates,)`` float64.
        labels: ``(n_grid,)`` int64, the cluster of every frame of the grid.
        k_silhouettes: Mean silhouette of every k that was tried (Algorithm 1, line 9).
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
    """KeyScore of each frame, eq. 1-4. Every field has shape ``(n,)``.

    Attributes:
        semantic: Eq. 2, min-max normalised over the frames.
        temporal: Eq. 3, min-max normalised.
        drop: Eq. 4, min-max normalised.
        total: Eq. 1, the weighted sum of the three.
        semantic_raw: Eq. 2 as it comes, a cosine.
        temporal_raw: Eq. 3 as it comes, a cosine.
        drop_raw: Eq. 4 as it comes, a difference of cosines.
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


@dataclass(frozen=True, slots=True)
class Caption:
    """A sentence about the video.

    Attributes:
        text: The sentence.
        origin: ``"given"`` by the caller or ``"generated"`` by a captioner.
        model: The captioner that made it; None when it was given.
    """

    text: str
    origin: Origin
    model: str | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise InputError("the caption is empty; give a sentence, or none to have one made")


@dataclass(frozen=True, slots=True)
class ScoredFrame:
    """One frame that was looked at closely. Scores are None where a sampler makes none."""

    index: int
    pts_seconds: float
    cluster: int | None = None
    semantic: float | None = None
    temporal: float | None = None
    drop: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class LookedAt:
    """What was decoded, small, in order to choose.

    Attributes:
        kind: Where the first look went: `GridConfig.kind`, or ``"all"``, every frame of the video.
        n_first: Frames of the first look; for most samplers there is no other.
        n_closer: Further frames of the second look, around what scored in the first.
    """

    kind: str
    n_first: int
    n_closer: int = 0


STAGES = ("decode", "propose", "caption", "encode", "score", "select")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a sampler chose, and everything one needs to check or repeat it.

    Attributes:
        video: The video, as the caller named it.
        sampler: Name of the sampler.
        config: Its settings, as plain JSON values.
        num_frames: The budget asked for; None when there was none.
        threshold: The least score asked for, instead of a budget; None when there was none.
        indices: The chosen frames, 0-based in display order, unique, rising.
        pts_seconds: Their presentation times from the container.
        scores: What the sampler ranked each chosen frame by; None when it ranks nothing.
        caption: The caption that scored the frames, if one did.
        question: The question that scored the frames, if one did.
        encoder: The encoder used, or None.
        decoder: The decoder used.
        duration_seconds: Duration of the video.
        average_fps: Mean frame rate of the video.
        n_frames: Frames in the video.
        n_frames_counted: True when they were counted, False when estimated.
        n_grid: Frames that were looked at.
        looked_at: Which these were; None where there were none, or where an older version wrote.
        candidates: STACFP's representatives with their scores, in time order.
        curves: Every scored frame, for plots; not written to JSON unless asked for.
        seconds: Time spent in each of `STAGES`, and ``"total"``.
        notes: What a reader must know: a text that was cut, a stream that ended early ...
    """

    video: str
    sampler: str
    config: Mapping[str, Any]
    num_frames: int | None
    threshold: float | None = None
    indices: list[int]
    pts_seconds: list[float]
    scores: list[float] | None
    caption: Caption | None = None
    question: str | None = None
    encoder: str | None = None
    decoder: str
    duration_seconds: float
    average_fps: float
    n_frames: int
    n_frames_counted: bool
    n_grid: int
    looked_at: LookedAt | None = None
    candidates: tuple[ScoredFrame, ...] = ()
    curves: tuple[ScoredFrame, ...] = ()
    seconds: Mapping[str, float]
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.indices) != len(self.pts_seconds):
            raise InputError(
                f"Selection needs a time for every index, "
                f"got {len(self.indices)} indices and {len(self.pts_seconds)} times"
            )
        if self.scores is not None and len(self.scores) != len(self.indices):
            raise InputError(
                f"Selection needs a score for every index or none, "
                f"got {len(self.indices)} indices and {len(self.scores)} scores"
            )
        if any(later <= earlier for earlier, later in pairwise(self.indices)):
            raise InputError(f"Selection.indices must be unique and rising, got {self.indices}")
        if not all(math.isfinite(t) for t in self.pts_seconds):
            raise InputError(f"Selection.pts_seconds must be finite, got {self.pts_seconds}")
        if not all(math.isfinite(s) for s in self.scores or ()):
            raise InputError(f"Selection.scores must be finite, got {self.scores}")

    def __len__(self) -> int:
        return len(self.indices)

    def to_dict(self, *, curves: bool = False) -> dict[str, Any]:
        """The selection as plain JSON values.

        Args:
            curves: Also every scored frame, one row each; long for a long video.
        """
        values = asdict(self)
        if not curves:
            del values["curves"]
        return values

    def to_json(self, *, curves: bool = False) -> str:
        """The selection as one line of JSON; see `to_dict`."""
        return json.dumps(self.to_dict(curves=curves), ensure_ascii=False, allow_nan=False)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Selection":
        """The inverse of `to_dict`.

        Raises:
            InputError: A field is missing, unknown, or has no such value.
        """
        values = dict(values)
        try:
            for rows in ("candidates", "curves"):
                values[rows] = tuple(ScoredFrame(**row) for row in values.get(rows, ()))
            if values.get("caption") is not None:
                values["caption"] = Caption(**values["caption"])
            if values.get("looked_at") is not None:
                values["looked_at"] = LookedAt(**values["looked_at"])
            values["notes"] = tuple(values.get("notes", ()))
            return cls(**values)
        except TypeError as error:
            raise InputError(f"not a Selection: {error}") from error

    @classmethod
    def from_json(cls, text: str) -> "Selection":
        """The inverse of `to_json`.

        Raises:
            InputError: The text is not JSON, or not a selection.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"not a Selection: not JSON ({error})") from error
        if not isinstance(values, dict):
            raise InputError(f"not a Selection: expected an object, got {type(values).__name__}")
        return cls.from_dict(values)
