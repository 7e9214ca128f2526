"""KeyScore without a text: the importance of a frame stands in for its cosine with the text.

Ours. Where a call has no text, ``keyscore`` lets a captioner describe the video, and scores with
that sentence; here each frame is scored by what its own caption says of it (LLMVS).
"""

from dataclasses import replace

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.algorithm.scoring import score_by_importance
from keyscore_plugin.samplers.choice import Choice, scored_choice
from keyscore_plugin.samplers.encoding import encode_rows, rows_worth_encoding
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.samplers.importance import BLOCK_FRAMES, ImportanceScorer, describer_of
from keyscore_plugin.samplers.query import Query
from keyscore_plugin.samplers.refine import Refined, coarse_grid
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.types import Candidates, Embeddings, FrameCaptions, GridInfo, Importance


def choose_by_importance(run: Run, scorer: ImportanceScorer) -> Choice:
    """Choose as ``keyscore`` does, with the importance of each frame in place of eq. 2.

    Every frame of the grid is captioned. The candidates of STACFP, and more frames of the clusters
    whose candidates are important, are embedded for eq. 3.

    Args:
        run: The call. Its texts score nothing.
        scorer: Scores frames by their captions.

    Raises:
        InputError: The captioner wrote no caption for any frame.
        ModelError: There is no captioner.
    """
    coarse = coarse_grid(run)
    config = run.as_encoded(coarse.grid)
    config = replace(config, short_side=max(config.short_side, run.config.llmvs.short_side))
    grid, histograms = run.look_with_histograms(config)
    candidates = run.propose(grid, histograms)
    captions = _captions(run, grid)
    with stage("score"):
        importance = scorer.score(captions)
    n_encoded = min(len(grid), max(coarse.encode.max_encoded, run.request.at_least))
    rows, frames = _encode(run, grid, candidates, importance, n_encoded=n_encoded)
    with stage("score"):
        of_frames = Importance(
            importance.scores[rows], frames.indices, frames.pts_seconds, importance.model
        )
        scores = score_by_importance(frames, of_frames, run.config.score)
    with stage("select"):
        chosen, places = run.select_and_rank(scores, frames.pts_seconds, run.config.select)
    looked = Refined(
        frames, rows, GridInfo(config.kind, len(grid)), scorer.notes(captions, importance)
    )
    choice = scored_choice(
        run,
        Query(),
        looked,
        candidates,
        indices=frames.indices[chosen],
        pts_seconds=frames.pts_seconds[chosen],
        scores=scores.total.cpu()[chosen],
        rows=chosen,
        by_text=None,
        cluster=candidates.labels[rows.to(candidates.labels.device)],
        semantic=scores.semantic,
        temporal=scores.temporal,
        drop=scores.drop,
        total=scores.total,
    )
    return replace(
        choice,
        rank=places,
        captioner=captions.model,
        frame_captions=tuple(captions.texts[row] for row in rows[chosen].tolist()),
    )


def _encode(
    run: Run,
    grid: ThumbnailStore,
    candidates: Candidates,
    importance: Importance,
    *,
    n_encoded: int,
) -> tuple[Tensor, Embeddings]:
    """Embed the candidates, and more frames of the clusters whose candidates are important.

    Returns:
        ``(n,)`` rising rows of the grid that were embedded, and their embeddings.
    """
    with stage("encode"):
        first = candidates.rows.cpu()
        more = rows_worth_encoding(
            candidates,
            importance.scores[first].float(),
            n_more=n_encoded - len(candidates),
            needed=run.rows_in_reach(grid),
        )
        rows = torch.cat([first, more]).sort().values
        return rows, encode_rows(grid, rows, run.encoder).to(run.tensor_device)


def _captions(run: Run, grid: ThumbnailStore) -> FrameCaptions:
    """Describe every frame of a grid that is kept."""
    with stage("caption"):
        describe = describer_of(run)
        blocks = torch.split(torch.arange(len(grid)), BLOCK_FRAMES)
        texts = [text for rows in blocks for text in describe(grid[rows])]
    return FrameCaptions(tuple(texts), grid.indices, grid.pts_seconds, describe.model)
