"""KeyScore: how much each frame matters to a text (sec. 3.2, eq. 1-4).

Symbols of the paper: ``f_i`` a row of ``frames.vectors``, ``t`` the text, ``v`` the pooled video,
``v^(-i)`` the video pooled without frame i, T the number of frames.

Sums run in float64, because the drop impact is a difference of cosines of order 1/T.
"""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.algorithm.numeric import min_max, require_finite
from keyscore_plugin.config import ScoreConfig
from keyscore_plugin.errors import InputError, require_kind, shown
from keyscore_plugin.types import Embeddings, FrameScores, Importance, TextEmbedding

# Ours: two float32 runs of an encoder over the same picture differ by less than this in a cosine.
_COSINE_NOISE = 1e-5
# Rounding here removes what the order of summation leaves in the last bits of float64, so that
# equal frames score alike on every device; the smallest drop impacts are of order 1e-6.
_DECIMALS = 12


def score(
    frames: Embeddings,
    text: TextEmbedding,
    config: ScoreConfig | Mapping[str, Any] | None = None,
) -> FrameScores:
    """Score every frame for a text (sec. 3.2, eq. 1-4).

    Time and memory are O(T d), without a loop over frames. A single frame (T = 1) cannot be
    compared: its normalised scores and its total are zero, its raw temporal score is 1, and its raw
    drop impact is its whole cosine, because a video without frames has no direction.

    Args:
        frames: ``(T, d)`` embeddings. Rows that are not quite unit (half precision) are normalised.
        text: ``(d,)`` embedding by the same encoder.
        config: Weights of eq. 1 and the pooling, or a dict of those that differ from the defaults.

    Returns:
        Scores of shape ``(T,)``, float32, on the device of ``frames``. The normalised components
        and the total lie in [0, 1].

    Raises:
        InputError: There are no frames, the text comes from another encoder or has another
            dimension, or a vector is not finite or is zero.
    """
    config = ScoreConfig.of(config)
    require_kind(frames, Embeddings, name="frames")
    require_kind(text, TextEmbedding, name="text")
    _require_same_space(frames, text)
    frame_units = _unit(frames.vectors, "frames.vectors")
    text_unit = _unit(text.vector.to(frames.vectors.device).unsqueeze(0), "text.vector").squeeze(0)

    semantic_raw = frame_units @ text_unit  # eq. 2: S_sem(i) = cos(f_i, t)
    logits = _attention_logits(semantic_raw, config)
    video = _directions(torch.softmax(logits, dim=0) @ frame_units)  # v
    temporal_raw = frame_units @ video  # eq. 3: S_temp(i) = cos(f_i, v)
    # eq. 4: S_drop(i) = cos(v, t) - cos(v^(-i), t)
    drop_raw = video @ text_unit - _videos_without_each(frame_units, logits) @ text_unit

    semantic_raw, temporal_raw, drop_raw = (
        raw.round(decimals=_DECIMALS) for raw in (semantic_raw, temporal_raw, drop_raw)
    )
    # "All components are min-max normalized before combination." (sec. 3.2.3)
    semantic = min_max(semantic_raw, tolerance=_COSINE_NOISE)
    temporal = min_max(temporal_raw, tolerance=_COSINE_NOISE)
    # Noise in f_i reaches v^(-i) divided by T - 1 when the frames are alike.
    drop = min_max(drop_raw, tolerance=_COSINE_NOISE / max(1, len(frames) - 1))
    # eq. 1: KeyScore(i) = alpha S_sem(i) + beta S_temp(i) + gamma S_drop(i)
    total = config.alpha * semantic + config.beta * temporal + config.gamma * drop
    return FrameScores(
        semantic=semantic.float(),
        temporal=temporal.float(),
        drop=drop.float(),
        total=total.float(),
        semantic_raw=semantic_raw.float(),
        temporal_raw=temporal_raw.float(),
        drop_raw=drop_raw.float(),
    )


def score_by_importance(
    frames: Embeddings,
    importance: Importance,
    config: ScoreConfig | Mapping[str, Any] | None = None,
) -> FrameScores:
    """Score every frame where no text is given: its importance stands in for S_sem of eq. 1.

    Ours. Eq. 3 needs no text and stays as it is, with the mean of the frames as the video. Eq. 4
    has no meaning without a text, so the drop impact of every frame is zero.

    Args:
        frames: ``(T, d)`` embeddings.
        importance: ``(T,)`` importance of the same frames.
        config: Weights of eq. 1, or a dict of those that differ from the defaults.

    Returns:
        Scores of shape ``(T,)``, float32, on the device of ``frames``.

    Raises:
        InputError: The two are of other frames, or a vector is not finite or is zero.
    """
    config = ScoreConfig.of(config)
    if not frames.indices.equal(importance.indices):
        raise InputError(
            f"score_by_importance needs the importance of each embedded frame, got that of "
            f"{len(importance)} frames for {len(frames)} embeddings; score the same frames"
        )
    units = _unit(frames.vectors, "frames.vectors")
    semantic_raw = importance.scores.to(units)
    temporal_raw = (units @ _directions(units.mean(0))).round(decimals=_DECIMALS)  # eq. 3
    semantic = min_max(semantic_raw, tolerance=0.0)
    temporal = min_max(temporal_raw, tolerance=_COSINE_NOISE)
    nothing = torch.zeros_like(semantic)
    return FrameScores(
        semantic=semantic.float(),
        temporal=temporal.float(),
        drop=nothing.float(),
        total=(config.alpha * semantic + config.beta * temporal).float(),
        semantic_raw=semantic_raw.float(),
        temporal_raw=temporal_raw.float(),
        drop_raw=nothing.float(),
    )


def _attention_logits(semantic: Tensor, config: ScoreConfig) -> Tensor:
    """``(T,)`` logits whose softmax pools the frames into v; equal ones give the mean."""
    if config.pooling == "mean":
        return torch.zeros_like(semantic)
    return semantic / config.temperature  # text-guided attention


def _videos_without_each(frame_units: Tensor, logits: Tensor) -> Tensor:
    """``(T, d)`` directions v^(-i): the video pooled again without frame i, for every i.

    With a = softmax(logits), leaving frame i out and renormalising the attention gives
    v^(-i) = (sum_j a_j f_j - a_i f_i) / (1 - a_i), normalised; for equal logits that is
    (sum_j f_j - f_i) / (T - 1). No loop over frames.
    """
    if len(frame_units) == 1:
        return torch.zeros_like(frame_units)
    attention = torch.softmax(logits, dim=0)
    weighted = attention.unsqueeze(1) * frame_units
    rest = (weighted.sum(dim=0) - weighted) / (1 - attention).unsqueeze(1)
    # The difference cancels to nothing for a frame that holds nearly all attention. Only the
    # heaviest frame can, so the others are pooled again without it.
    heaviest = logits.argmax(dim=0, keepdim=True)
    others = torch.softmax(logits.index_fill(0, heaviest, -torch.inf), dim=0)
    return _directions(rest.index_copy(0, heaviest, (others @ frame_units).unsqueeze(0)))


def _directions(means: Tensor) -> Tensor:
    """Scale means of unit vectors to unit length; a mean of zero has no direction and stays zero.

    Ours: opposed frames can sum to zero, where the paper's normalisation is undefined. The zero
    vector's cosine with everything is zero.
    """
    lengths = torch.linalg.vector_norm(means, dim=-1, keepdim=True)
    return torch.where(lengths > _COSINE_NOISE, means / lengths, torch.zeros_like(means))


def _unit(vectors: Tensor, name: str) -> Tensor:
    """Rows scaled to unit length, in float64."""
    vectors = vectors.double()
    lengths = torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    # One check, so one synchronisation, for all faults: NaN, infinity and zero give NaN here.
    if not bool(torch.isfinite(lengths / lengths).all()):
        require_finite(vectors, name)
        raise InputError(f"{name} holds a row of zeros; an embedding needs a direction")
    return torch.div(vectors, lengths)


def _require_same_space(frames: Embeddings, text: TextEmbedding) -> None:
    if len(frames) == 0:
        raise InputError("score got no frames; give at least one embedding")
    if frames.model != text.model:
        raise InputError(
            f"frames were embedded by {shown(frames.model)} and the text by {shown(text.model)}; "
            "embed both with one encoder"
        )
    if text.vector.shape != frames.vectors.shape[1:]:
        raise InputError(
            f"the text embedding must be ({frames.vectors.shape[1]},) like the frames' rows, "
            f"got {tuple(text.vector.shape)}; embed both with one encoder"
        )
