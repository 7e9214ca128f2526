"""The scenes of a video, cut where its colours change, and their relevance to a text.

Ours; K-frames cuts by the histogram difference of neighbouring frames and gives neither the colour
space nor the threshold. Here everything is relative to the video: a fixed threshold finds too many
cuts in a moving picture and too few in a dark one.
"""

import bisect
import math
from itertools import pairwise

import torch
from torch import Tensor

from keyscore_plugin.algorithm.numeric import require_finite
from keyscore_plugin.config import ClipsConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Clips

# Ours: the usual change is the median of as many frames on either side, 2 s of the default grid.
_NEIGHBOURS = 4
# Ours: changes below this are noise of the picture. Half of the neighbours on the grid of
# evals/needle are nearer to each other; the weakest of its 90 cuts is .53.
_STILL = 0.05
# Ours: a border of STACFP's clusters is further evidence. Of 935 neighbours within a clip of
# evals/needle, 2 are in different clusters; at all 90 cuts the cluster changes.
_WITH_CLUSTER = 0.5
# Ours: the relevance from which a scene has priority 1, and 2. Other limits moved no 2 s of
# evals/clips by more than .05.
_FIRST, _SECOND = 2 / 3, 1 / 3
_LEAST_MARK, _MOST_MARK = 1.0, 5.0  # of a language model, K-frames section 3
_BEST_SHARE = 3  # ours: a scene is as good as the best third of its frames
_COSINE_NOISE = 1e-6


def segments(
    histograms: Tensor,
    pts_seconds: Tensor,
    *,
    end_seconds: float,
    start_seconds: float = 0.0,
    clusters: Tensor | None = None,
    at_keyframes: bool = False,
    config: ClipsConfig | None = None,
) -> Clips:
    """Cut a video into scenes.

    Two neighbouring frames of the grid are a border if the Hellinger distance of their histograms
    is `ClipsConfig.contrast` times the median of the distances around it; half as much is enough
    where STACFP's cluster changes. The strongest borders come first; one that would make a scene
    shorter than `ClipsConfig.min_seconds` is left out. Scenes longer than `ClipsConfig.max_seconds`
    are divided evenly.

    Args:
        histograms: ``(n_grid, n_bins)`` histograms whose rows sum to 1, in time order.
        pts_seconds: ``(n_grid,)`` times of the grid, in seconds from the video's first frame.
        end_seconds: End of the video, or of the part of it that frames are chosen from.
        start_seconds: Start of that part.
        clusters: ``(n_grid,)`` cluster of each frame (`Candidates.labels`), or None.
        at_keyframes: Whether the grid is the codec's keyframes. A codec puts one at a cut, so the
            border is at the later frame; between frames of an even grid it is half-way.
        config: Settings; None keeps the defaults.

    Returns:
        The scenes, which together are the video, of weight 1 and priority 1.

    Raises:
        InputError: There is no frame, or the arguments differ in length.
    """
    config = config or ClipsConfig()
    if len(histograms) == 0 or len(histograms) != len(pts_seconds):
        raise InputError(
            f"segments needs a histogram and a time for each frame, and at least one frame; got "
            f"{len(histograms)} histograms and {len(pts_seconds)} times"
        )
    times = pts_seconds.double().cpu()
    changes = _hellinger(histograms).cpu().double()
    needed = torch.full_like(changes, config.contrast)
    if clusters is not None:
        needed[clusters.cpu().diff() != 0] *= _WITH_CLUSTER
    is_border = changes >= needed * _usual(changes)
    moments = times[1:] if at_keyframes else (times[1:] + times[:-1]) / 2
    edges = [start_seconds, end_seconds]
    for row in changes.masked_fill(~is_border, -1).sort(descending=True, stable=True).indices:
        if not is_border[row]:
            break
        moment = float(moments[row])
        place = bisect.bisect(edges, moment)
        around = edges[max(place - 1, 0) : place + 1]
        if start_seconds < moment < end_seconds and all(
            abs(moment - edge) >= config.min_seconds for edge in around
        ):
            edges.insert(place, moment)
    edges = _divided(edges, config.max_seconds)
    n = len(edges) - 1
    return Clips(
        starts=tuple(edges[:-1]),
        ends=tuple(edges[1:]),
        weights=(1.0,) * n,
        priorities=(1,) * n,
        reasons=("",) * n,
        origin="segments",
    )


def score_segments(
    scenes: Clips,
    scores: Tensor,
    pts_seconds: Tensor,
    *,
    model: str,
    marks: Tensor | None = None,
    marks_share: float = 0.5,
) -> Clips:
    """Keep the scenes that a text is about, by their place among the scenes of the video.

    A scene scores as much as the best third of its frames. Its relevance is 1 at the best scene and
    0 at the median, or half-way between the worst and the best if that is lower: in a video that is
    mostly about the text, the median is, too. All of this is ours: K-frames' limits of priority 1
    and 2, 4.9 and 4.3 of 5, are for a language model's marks (section 3), and cosines of different
    texts and encoders have no common scale. evals/clips/README.md has other limits and weights.

    Args:
        scenes: ``m`` scenes, as `segments` returns them; their reasons are kept.
        scores: ``(n,)`` score of each frame with the text, of any scale.
        pts_seconds: ``(n,)`` times of the frames, rising, on the clock of the scenes.
        model: Name of the encoder.
        marks: ``(m,)`` marks of the scenes by a language model, in [1, 5], to mix in; or None.
        marks_share: Share of the marks in the relevance.

    Returns:
        The scenes with a relevance of at least 1/3, which is their weight, of priority 1 from 2/3
        on, else 2. No clip if all scenes score alike.

    Raises:
        InputError: There is no frame, lengths differ, or a score is not finite.
    """
    seen = scene_scores(scenes, scores, pts_seconds)
    relevance = scene_relevance(seen, marks=marks, marks_share=marks_share)
    return relevant_scenes(scenes, relevance, model=model)


def scene_scores(scenes: Clips, scores: Tensor, pts_seconds: Tensor) -> Tensor:
    """Score scenes by the best third of their frames.

    Args:
        scenes: ``m`` scenes that follow one another, as `segments` returns them.
        scores: ``(n,)`` score of each frame with the text, of any scale.
        pts_seconds: ``(n,)`` times of the frames, rising, on the clock of the scenes.

    Returns:
        ``(m,)`` float64 mean of the best third of each scene's frames, on the CPU. A scene without
        a frame has the score of the nearest one.

    Raises:
        InputError: There is no frame, lengths differ, or a score is not finite.
    """
    if len(scores) == 0 or len(scores) != len(pts_seconds):
        raise InputError(
            f"score_segments needs a score and a time for each frame, and at least one frame; got "
            f"{len(scores)} scores and {len(pts_seconds)} times"
        )
    require_finite(scores, "scores")
    values = scores.double().cpu()
    return torch.stack([_mark(values, *rows) for rows in frames_of_scenes(scenes, pts_seconds)])


def frames_of_scenes(scenes: Clips, pts_seconds: Tensor) -> list[tuple[int, int]]:
    """The first frame of each scene and the one after its last; equal if it has none.

    Args:
        scenes: ``m`` scenes that follow one another, as `segments` returns them.
        pts_seconds: ``(n,)`` times of the frames, rising, on the clock of the scenes.
    """
    starts = torch.tensor([*scenes.starts, math.inf], dtype=torch.float64)
    return list(pairwise(torch.searchsorted(pts_seconds.double().cpu(), starts).tolist()))


def scene_relevance(seen: Tensor, *, marks: Tensor | None = None, marks_share: float) -> Tensor:
    """Relevance of scenes relative to the video: 1 at the best scene, 0 at the usual one.

    Args:
        seen: ``(m,)`` scores of the scenes by an encoder, of any scale.
        marks: ``(m,)`` marks by a language model, in [1, 5], to mix in; or None. They count on
            their own scale: of a model that marks all scenes alike, stretched differences would be
            noise that hides what the encoder saw (evals/clips/README.md).
        marks_share: Share of the marks in the relevance.

    Returns:
        ``(m,)`` relevance, negative below the usual scene; 0 for all if all are alike.

    Raises:
        InputError: A mark is not finite.
    """
    relevance = _relevance(seen)
    if marks is None:
        return relevance
    require_finite(marks, "marks")
    read = (marks.double().cpu() - _LEAST_MARK) / (_MOST_MARK - _LEAST_MARK)
    return _relevance((1 - marks_share) * relevance + marks_share * read)


def relevant_scenes(scenes: Clips, relevance: Tensor, *, model: str) -> Clips:
    """Keep the scenes that have a priority by `priorities_of`, with their relevance as weight."""
    weights, priorities = relevance.tolist(), priorities_of(relevance)
    kept = [scene for scene, priority in enumerate(priorities) if priority is not None]
    return Clips(
        starts=tuple(scenes.starts[scene] for scene in kept),
        ends=tuple(scenes.ends[scene] for scene in kept),
        weights=tuple(weights[scene] for scene in kept),
        priorities=tuple(priority for priority in priorities if priority is not None),
        reasons=tuple(scenes.reasons[scene] for scene in kept),
        origin="scored",
        model=model,
    )


def priorities_of(relevance: Tensor) -> tuple[int | None, ...]:
    """Priority of each of ``(m,)`` relevances: 1 from 2/3 on, 2 from 1/3 on, else None."""
    return tuple(
        1 if value >= _FIRST else 2 if value >= _SECOND else None for value in relevance.tolist()
    )


def _relevance(marks: Tensor) -> Tensor:
    """``(m,)`` place of each mark between the usual one, 0, and the best, 1; 0 if all are alike."""
    best = marks.max()
    usual = torch.minimum(marks.quantile(0.5), (marks.min() + best) / 2)
    if best - usual <= _COSINE_NOISE:
        return torch.zeros_like(marks)
    return (marks - usual) / (best - usual)


def _mark(values: Tensor, first: int, stop: int) -> Tensor:
    """Mean of the best third of the scores in ``[first, stop)``; if there are none, the nearest."""
    if first == stop:
        return values[min(first, len(values) - 1)]
    n_best = math.ceil((stop - first) / _BEST_SHARE)
    return values[first:stop].topk(n_best).values.mean()


def _hellinger(histograms: Tensor) -> Tensor:
    """``(n - 1,)`` distance of each row and the next, from 0 (equal) to 1 (no common colour)."""
    return (histograms.sqrt().diff(dim=0).square().sum(1) / 2).sqrt()


def _usual(changes: Tensor) -> Tensor:
    """``(n,)`` median of the changes around each one, without itself."""
    if not len(changes):
        return changes
    edge = changes.new_full((_NEIGHBOURS,), math.nan)
    windows = torch.cat([edge, changes, edge]).unfold(0, 2 * _NEIGHBOURS + 1, 1)
    around = torch.cat([windows[:, :_NEIGHBOURS], windows[:, _NEIGHBOURS + 1 :]], dim=1)
    return around.nanmedian(dim=1).values.nan_to_num(0.0).clamp_min(_STILL)


def _divided(edges: list[float], most: float) -> list[float]:
    """The edges, with more of them evenly in every stretch that is longer than ``most``."""
    divided = edges[:1]
    for start, end in pairwise(edges):
        parts = math.ceil((end - start) / most - 1e-9)
        divided += [start + (end - start) * part / parts for part in range(1, parts)] + [end]
    return divided
