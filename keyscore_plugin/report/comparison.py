"""The picture that compares several samplers on one video at the same budget."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from keyscore_plugin.report import panels, style
from keyscore_plugin.report.figure import limits
from keyscore_plugin.report.sheet import CONTENT_INCHES, Sheet, Title
from keyscore_plugin.report.stills import Still, draw_still, lay_out
from keyscore_plugin.types import Selection
from keyscore_plugin.video.samples.joined import Needle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_HEADING, _TIMELINE, _GAP, _AXIS = 0.28, 0.12, 0.1, 0.3


def draw_comparison(
    rows: Sequence[tuple[Selection, Sequence[Still]]], *, sought: Needle | None
) -> "Figure":
    """Draw a strip of frames and a line of times for each sampler.

    Args:
        rows: Selections of one video, with times from its first frame, and their frames.
        sought: Clip that the text describes, if it is known; it is marked, and frames outside of it
            get a grey edge.
    """
    selections = [selection for selection, _ in rows]
    # A sampler that needs no text does not record it, so another selection gives the title.
    titled = next((s for s in selections if s.caption or s.question), selections[0])
    height, width, _ = rows[0][1][0].pixels.shape
    aspect = width / height
    strips = [lay_out(len(stills), strip_width=CONTENT_INCHES, aspect=aspect) for _, stills in rows]
    title = Title.of(titled)
    sheet = Sheet(
        title.height
        + sum(_HEADING + strip.total_height + _TIMELINE + _GAP for strip in strips)
        + _AXIS
    )
    title.draw(sheet)
    for (selection, stills), strip in zip(rows, strips, strict=True):
        sheet.text(((_heading(selection, sought), style.INK),), size=style.BODY, height=_HEADING)
        for n, still in enumerate(stills):
            axes = sheet.axes_at(
                strip.left(n, len(stills)), strip.top(n), width=strip.width, height=strip.height
            )
            is_right = sought is None or sought.n_inside([still.pts_seconds])
            colour = style.CHOSEN if is_right else style.RULE
            draw_still(axes, still, colour=colour, is_dense=strip.is_dense)
        sheet.skip(strip.total_height)
        axes = sheet.axes(_TIMELINE)
        _draw_times(axes, selection, sought)
        start, end = limits(selection)
        panels.draw_time_axis(axes, start, end, labels=selection is selections[-1])
        sheet.skip(_GAP)
    return sheet.figure


def _heading(selection: Selection, sought: Needle | None) -> str:
    hits = ""
    if sought is not None:
        hits = f", {sought.n_inside(selection.pts_seconds)} of them in the clip asked for"
    return f"{selection.sampler}: {len(selection)} frames{hits}"


def _draw_times(axes: "Axes", selection: Selection, sought: Needle | None) -> None:
    for start, end in sought.spans if sought else ():
        axes.axvspan(start, end, color=style.CHOSEN, alpha=0.18, linewidth=0)
    panels.draw_timeline(axes, selection)
