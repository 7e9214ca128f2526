"""The score that a sampler gives to every pick of a video."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import torch

from evals.harness.bench import CAPTION_FRAMES, Bench
from evals.harness.cells import Cell
from evals.harness.figures import Floats, Ints
from keyscore_plugin import SamplerConfig, score, score_by_importance
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import (
    Caption,
    Embeddings,
    FrameCaptions,
    Frames,
    Importance,
    TextEmbedding,
)
from keyscore_plugin.types.spacing import uniform_indices

_READS_CAPTIONS = "llmvs"
_READS_TEXT = ("keyscore", "topk")
_READS_NOTHING = ("random", "uniform")
_READ_AT_ONCE = 64


def require_ranking(cells: Sequence[Cell], config: SamplerConfig) -> None:
    """Check that every cell ranks all frames of a video.

    Raises:
        InputError: A sampler chooses frames without a score for the others, has a budget, or
            cannot follow the guide of the settings.
    """
    for cell in cells:
        if cell.name not in (*_READS_TEXT, *_READS_NOTHING, _READS_CAPTIONS):
            raise InputError(
                f"{cell.name} gives no score to the frames that it does not choose, so it ranks "
                "nothing; use keyscore (also keyscore:S ...), topk, llmvs, random or uniform"
            )
        if cell.num_frames is not None or cell.threshold is not None:
            raise InputError(
                f"{cell.key}: every frame is ranked, there is no budget; "
                "leave out --num-frames and --threshold"
            )
        if cell.name == "topk" and config.guide == "importance":
            raise InputError(
                "topk scores with a text, and guide='importance' scores without one; leave topk "
                "out, or give another guide"
            )


def read_texts(cells: Sequence[Cell], config: SamplerConfig) -> bool:
    """Whether some cell compares frames with a text."""
    return config.guide != "importance" and any(cell.name in _READS_TEXT for cell in cells)


def predict(
    cells: Sequence[Cell], picks: Ints, bench: Bench, *, caption: str | None, seed: Sequence[int]
) -> dict[str, Floats]:
    """Score every pick with every cell.

    All picks are embedded and scored together, without STACFP and without a selection rule.
    ``topk`` is the cosine, like ``keyscore:S``; ``uniform`` gives all picks the same score. With
    guide ``"importance"`` the importance of a pick stands in for the cosine in ``keyscore``.

    Args:
        cells: Cells that `require_ranking` accepts.
        picks: ``(n_steps,)`` frame indices.
        bench: Open video.
        caption: Text of the video; None lets the captioner describe `CAPTION_FRAMES` even picks.
        seed: Seed of random scores.

    Returns:
        ``(n_steps,)`` scores in [0, 1], by the key of the cell.
    """
    found: dict[str, Floats] = {}
    config = bench.setup.config
    # Each is made once, when a cell first needs it.
    frames = cache(lambda: _embed(picks, bench))
    text = cache(lambda: _embed_text(picks, bench, caption))
    importance = cache(lambda: _importance(picks, bench))
    for cell in cells:
        if cell.name == "random":
            found[cell.key] = np.random.default_rng(list(seed)).random(len(picks))
        elif cell.name == "uniform":
            found[cell.key] = np.ones(len(picks))
        elif cell.name == _READS_CAPTIONS:
            found[cell.key] = stretched(importance().scores.double().numpy())
        else:
            settings = cell.config(config).score
            if config.guide == "importance":
                scores = score_by_importance(frames(), importance(), settings)
            else:
                scores = score(frames(), text(), settings)
            ranked = scores.semantic if cell.name == "topk" else scores.total
            found[cell.key] = stretched(ranked.double().cpu().numpy())
    return found


def stretched(scores: Floats) -> Floats:
    """Scores stretched to [0, 1], as the knapsack needs them; constant scores become 1.

    Ours: the published methods end in a sigmoid. Stretching changes no rank. With constant scores
    the knapsack takes as many shots as fit.
    """
    low, high = scores.min(), scores.max()
    if low == high:
        return np.ones_like(scores)
    between: Floats = (scores - low) / (high - low)
    return between


def _importance(picks: Ints, bench: Bench) -> Importance:
    """Importance of every pick, by its caption among those of its neighbours."""
    sampler: Any = bench.setup.importance_sampler
    side = sampler.config.llmvs.short_side
    texts = [
        text
        for start in range(0, len(picks), _READ_AT_ONCE)
        for text in sampler.describer(_read(bench, picks[start : start + _READ_AT_ONCE], side))
    ]
    captions = FrameCaptions(
        tuple(texts),
        torch.from_numpy(picks),
        bench.source.pts_seconds(picks.tolist()),
        sampler.describer.model,
    )
    importance: Importance = sampler.scorer.score(captions)
    return importance


def _embed(picks: Ints, bench: Bench) -> Embeddings:
    """Embed the picks a few at a time, so that memory does not grow with the video."""
    parts = [
        bench.encoder.encode_frames(
            _read(bench, picks[start : start + _READ_AT_ONCE], bench.encoder.short_side)
        )
        for start in range(0, len(picks), _READ_AT_ONCE)
    ]
    return Embeddings(
        torch.cat([part.vectors for part in parts]),
        torch.cat([part.indices for part in parts]),
        torch.cat([part.pts_seconds for part in parts]),
        bench.encoder.name,
    )


def _embed_text(picks: Ints, bench: Bench, caption: str | None) -> TextEmbedding:
    text = caption if caption is not None else _make_caption(picks, bench).text
    return bench.encoder.encode_text(text)


def _read(bench: Bench, picks: Ints, short_side: int) -> Frames:
    """Read exactly the annotated frames; thumbnails may show a neighbour of a frame."""
    height, width = bench.source.height, bench.source.width
    scale = min(1.0, short_side / min(height, width))
    return bench.source.read(picks.tolist(), size=(round(height * scale), round(width * scale)))


def _make_caption(picks: Ints, bench: Bench) -> Caption:
    if bench.captioner is None:
        raise InputError("there is no text to score the frames with; give a --captioner")
    even = uniform_indices(bench.source.pts_seconds(picks.tolist()), CAPTION_FRAMES)
    return bench.captioner.caption(_read(bench, picks[even.numpy()], bench.encoder.short_side))
