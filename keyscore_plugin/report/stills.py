"""The frames that the picture shows, and the strips in which it shows them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from keyscore_plugin.report import style
from keyscore_plugin.report.text import chosen_scores, format_time
from keyscore_plugin.types import ScoredFrame, Selection
from keyscore_plugin.types.spacing import uniform_indices
from keyscore_plugin.video.source import VideoSource
from keyscore_plugin.video.trim import TrimmedVideo

if TYPE_CHECKING:
    from matplotlib.axes import Axes

N_UNIFORM = 8  # one row of the picture; the usual budget of a Video-LLM
MAX_CHOSEN = 64  # more would be too small; they are thinned evenly, and the picture says so

_LONG_SIDE_PIXELS = 480  # the largest still is 2.2 inches wide, at 200 dots per inch


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One frame as the picture shows it.

    Attributes:
        pixels: ``(h, w, 3)`` uint8 RGB.
        pts_seconds: Time in seconds from the video's first frame.
        score: Score it was ranked by; None if the sampler ranks no frames.
        cluster: STACFP cluster; None if unknown.
    """

    pixels: Tensor
    pts_seconds: float
    score: float | None
    cluster: int | None


def load_stills(selection: Selection, source: VideoSource) -> tuple[list[Still], list[Still]]:
    """Read the frames to show.

    Args:
        selection: Selection to show.
        source: Video of the selection, open.

    Returns:
        At most `MAX_CHOSEN` chosen frames, and at most `N_UNIFORM` evenly in time; in time order.

    Raises:
        VideoError: A frame cannot be decoded.
    """
    chosen, uniform = _chosen(selection), _uniform(selection, source)
    stills = _read([*chosen, *uniform], source)
    return stills[: len(chosen)], stills[len(chosen) :]


def chosen_stills(selection: Selection, source: VideoSource) -> list[Still]:
    """Read the chosen frames, at most `MAX_CHOSEN` of them, in time order."""
    return _read(_chosen(selection), source)


def _read(wanted: Sequence[ScoredFrame], source: VideoSource) -> list[Still]:
    """Read frames, scaled down to the size at which the picture shows them."""
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
    """Return the chosen frames with their scores, thinned evenly to `MAX_CHOSEN`."""
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
    """Return the frames at mid-bins; among the scored frames, if frames were scored."""
    scored = [frame for frame in selection.curves if frame.total is not None]
    if not scored:
        part = TrimmedVideo.between(source, selection.start_seconds, selection.end_seconds)
        pts_seconds = part.pts_seconds()
        rows = uniform_indices(pts_seconds, N_UNIFORM).tolist()
        return [ScoredFrame(part.first + row, float(pts_seconds[row])) for row in rows]
    times = torch.tensor([frame.pts_seconds for frame in scored], dtype=torch.float64)
    return [scored[row] for row in uniform_indices(times, N_UNIFORM).tolist()]


_ROW_OF = 8  # frames in a row, as long as that gives at most `_MAX_ROWS`
_MAX_ROWS = 4
_LEAST_COLUMNS = 4  # so that one frame alone does not fill the page
_GAP_INCHES = 0.08
_MAX_HEIGHT_INCHES = 1.5  # portrait video


@dataclass(frozen=True, slots=True)
class StripLayout:
    """Sizes of a strip of equal frames, in inches.

    Attributes:
        n_columns: Number of frames in a full row.
        n_rows: Number of rows.
        slot_width: Distance from one frame's left edge to the next one's.
        width: Width of a frame.
        height: Height of a frame.
        label_height: Height of the label under a frame.
    """

    n_columns: int
    n_rows: int
    slot_width: float
    width: float
    height: float
    label_height: float

    @property
    def total_height(self) -> float:
        """Height of all rows with their labels."""
        return self.n_rows * (self.height + self.label_height)

    @property
    def is_dense(self) -> bool:
        """Whether there is only room for small labels with the time."""
        return self.n_columns > _ROW_OF

    def left(self, n: int, n_stills: int) -> float:
        """Return the left edge of frame ``n`` in the strip; a single row of few is centred."""
        n_missing = self.n_columns - n_stills if self.n_rows == 1 else 0
        in_slot = (self.slot_width - _GAP_INCHES - self.width) / 2
        return (n_missing / 2 + n % self.n_columns) * self.slot_width + in_slot

    def top(self, n: int) -> float:
        """Return the distance of frame ``n`` from the top of the strip."""
        return n // self.n_columns * (self.height + self.label_height)


def lay_out(n_stills: int, *, strip_width: float, aspect: float) -> StripLayout:
    """Fit ``n_stills`` frames of ``aspect`` (width / height) into rows.

    Example:
        >>> [(s.n_rows, s.n_columns) for n in (1, 8, 9, 64)
        ...  for s in [lay_out(n, strip_width=9.0, aspect=16 / 9)]]
        [(1, 4), (1, 8), (2, 8), (4, 16)]
    """
    n_columns = max(_LEAST_COLUMNS, min(n_stills, _ROW_OF), ceil(n_stills / _MAX_ROWS))
    slot_width = (strip_width + _GAP_INCHES) / n_columns
    height = min((slot_width - _GAP_INCHES) / aspect, _MAX_HEIGHT_INCHES)
    return StripLayout(
        n_columns=n_columns,
        n_rows=ceil(n_stills / n_columns),
        slot_width=slot_width,
        width=height * aspect,
        height=height,
        label_height=0.22 if n_columns <= _ROW_OF else 0.17,
    )


def draw_still(axes: "Axes", still: Still, *, colour: str, is_dense: bool) -> None:
    """Draw a frame with an edge of ``colour``, its time below, and its score if there is room."""
    axes.imshow(still.pixels.numpy(), aspect="auto", interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(0.8 if is_dense else 1.2)
    label = format_time(still.pts_seconds, decimals=1)
    if still.score is not None and not is_dense:
        label += f"   {still.score:.2f}"
    axes.set_xlabel(
        label, fontsize=style.TINY if is_dense else style.SMALL, color=style.INK, labelpad=2.5
    )
