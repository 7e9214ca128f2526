"""The frames that the picture shows: the chosen ones, and even ones to compare with."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin.report.text import chosen_scores
from keyscore_plugin.types import ScoredFrame, Selection
from keyscore_plugin.video.grid import uniform_indices
from keyscore_plugin.video.source import VideoSource
from keyscore_plugin.video.trim import TrimmedVideo

N_UNIFORM = 8  # one row of the picture; the usual budget of a Video-LLM
MAX_CHOSEN = 64  # what stays readable; more are thinned evenly, and the picture says so

_LONG_SIDE_PIXELS = 480  # the largest still is 2.2 inches wide, at 200 dots an inch


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One frame as the picture shows it.

    Attributes:
        pixels: ``(h, w, 3)`` uint8 RGB.
        pts_seconds: Its time, from the video's first frame.
        score: What it was ranked by, if anything ranked it.
        cluster: Its STACFP cluster, if known.
    """

    pixels: Tensor
    pts_seconds: float
    score: float | None
    cluster: int | None


def load_stills(selection: Selection, source: VideoSource) -> tuple[list[Still], list[Still]]:
    """Read the frames to show.

    Args:
        selection: What was chosen.
        source: Its video.

    Returns:
        At most `MAX_CHOSEN` chosen frames, and at most `N_UNIFORM` even ones; in time order.
    """
    chosen, uniform = _chosen(selection), _uniform(selection, source)
    stills = _read([*chosen, *uniform], source)
    return stills[: len(chosen)], stills[len(chosen) :]


def chosen_stills(selection: Selection, source: VideoSource) -> list[Still]:
    """Read the chosen frames, at most `MAX_CHOSEN` of them, in time order."""
    return _read(_chosen(selection), source)


def _read(wanted: Sequence[ScoredFrame], source: VideoSource) -> list[Still]:
    """Read frames no larger than the picture shows them."""
    scale = min(1.0, _LONG_SIDE_PIXELS / max(source.width, source.height))
    size = max(1, round(source.height * scale)), max(1, round(source.width * scale))
    indices = [frame.index for frame in wanted]
    frames = source.read(indices, size=size).since(source.start_pts_seconds)
    return [
        Still(pixels, seconds, frame.total, frame.cluster)
        for pixels, seconds, frame in zip(
            frames.pixels, frames.pts_seconds.tolist(), wanted, strict=True
        )
    ]


def _chosen(selection: Selection) -> list[ScoredFrame]:
    """The chosen frames with the score they were ranked by, thinned evenly to `MAX_CHOSEN`."""
    clusters = {frame.index: frame.cluster for frame in (*selection.candidates, *selection.curves)}
    frames = [
        ScoredFrame(index, seconds, cluster=clusters.get(index), total=score)
        for index, seconds, score in zip(
            selection.indices, selection.pts_seconds, chosen_scores(selection), strict=True
        )
    ]
    rows = torch.linspace(0, len(frames) - 1, min(len(frames), MAX_CHOSEN))
    return [frames[row] for row in rows.round().int().tolist()]


def _uniform(selection: Selection, source: VideoSource) -> list[ScoredFrame]:
    """Frames at mid-bins; where frames were scored, the scored ones nearest to that."""
    scored = [frame for frame in selection.curves if frame.total is not None]
    if not scored:
        part = TrimmedVideo.between(source, selection.start_seconds, selection.end_seconds)
        pts_seconds = part.pts_seconds()
        rows = uniform_indices(pts_seconds, N_UNIFORM).tolist()
        return [ScoredFrame(part.first + row, float(pts_seconds[row])) for row in rows]
    times = torch.tensor([frame.pts_seconds for frame in scored], dtype=torch.float64)
    return [scored[row] for row in uniform_indices(times, N_UNIFORM).tolist()]
