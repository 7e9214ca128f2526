"""The film strips of the picture: rows of frames with their times and scores."""

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

from keyscore_plugin.report import style
from keyscore_plugin.report.stills import Still
from keyscore_plugin.report.text import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_ROW_OF = 8  # frames in a row while that gives few rows
_MAX_ROWS = 4
_LEAST_COLUMNS = 4  # so that one frame alone does not fill the page
_GAP_INCHES = 0.08
_MAX_HEIGHT_INCHES = 1.5  # portrait video


@dataclass(frozen=True, slots=True)
class StripLayout:
    """Sizes of a strip of equal frames, in inches.

    Attributes:
        n_columns: Frames in a full row.
        n_rows: Rows.
        slot_width: From one frame's left edge to the next one's.
        width: Of a frame.
        height: Of a frame.
        label_height: Of the line under a frame.
    """

    n_columns: int
    n_rows: int
    slot_width: float
    width: float
    height: float
    label_height: float

    @property
    def total_height(self) -> float:
        """All rows with their labels."""
        return self.n_rows * (self.height + self.label_height)

    @property
    def is_dense(self) -> bool:
        """Whether there is room for small labels with the time only."""
        return self.n_columns > _ROW_OF

    def left(self, n: int, n_stills: int) -> float:
        """Left edge of frame ``n`` from the strip's; the only row of few frames is centred."""
        n_missing = self.n_columns - n_stills if self.n_rows == 1 else 0
        in_slot = (self.slot_width - _GAP_INCHES - self.width) / 2
        return (n_missing / 2 + n % self.n_columns) * self.slot_width + in_slot

    def top(self, n: int) -> float:
        """Upper edge of frame ``n``, down from the strip's."""
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
    """One frame with an edge of ``colour``, its time below, and its score where there is room."""
    axes.imshow(still.pixels.numpy(), aspect="auto", interpolation="antialiased")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_color(colour)
        spine.set_linewidth(0.8 if is_dense else 1.2)
    label = clock(still.pts_seconds, decimals=1)
    if still.score is not None and not is_dense:
        label += f"   {still.score:.2f}"
    axes.set_xlabel(
        label, fontsize=style.TINY if is_dense else style.SMALL, color=style.INK, labelpad=2.5
    )
