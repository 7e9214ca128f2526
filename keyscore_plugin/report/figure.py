"""The picture of a selection, from top to bottom: even frames, clusters, clips, scores, frames."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from keyscore_plugin.report import panels, style
from keyscore_plugin.report.sheet import CONTENT_INCHES, Sheet, Title, wrapped
from keyscore_plugin.report.stills import Still, StripLayout, draw_still, lay_out
from keyscore_plugin.report.text import facts, format_time
from keyscore_plugin.types import Clips, QueryText, Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Inches.
_HEADING, _FACTS_LINE, _FACTS_MARGIN = 0.26, 0.15, 0.055
_TOTAL, _COMPONENTS, _CLUSTERS, _CLIPS, _TIMELINE = 1.35, 0.85, 0.15, 0.15, 0.15
_PANEL_GAP, _AXIS, _CONNECTORS, _NO_CONNECTORS = 0.08, 0.26, 0.30, 0.08

_HEADING_CHARACTERS, _MAX_NAMED = 100, 6  # of one line: characters, and texts in it
_MAX_CAPTIONS = 16  # more would make the page longer than its picture; the .html report has all
_MAX_CONNECTED = 16  # lines from the time axis to the frames; more would hide each other
# Parts of a heading, each with its colour.
_Heading = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class _Panel:
    """One panel over time.

    Attributes:
        heading: Heading of the panel.
        height: Height in inches.
        draw: Function that draws the panel into axes.
    """

    heading: _Heading
    height: float
    draw: Callable[["Axes"], None]


def draw(selection: Selection, chosen: list[Still], uniform: list[Still]) -> "Figure":
    """Draw a selection.

    Args:
        selection: Selection to draw, with its curves if it has them, and times from the first
            frame.
        chosen: Chosen frames, or an even part of them.
        uniform: Frames evenly in time to compare with; they are not drawn for a uniform selection.
    """
    height, width, _ = chosen[0].pixels.shape
    strip = lay_out(len(chosen), strip_width=CONTENT_INCHES, aspect=width / height)
    even = lay_out(len(uniform), strip_width=CONTENT_INCHES, aspect=width / height)
    start, end = limits(selection)
    title = Title.of(selection)
    said = wrapped(f"{Path(selection.video).name}: {facts(selection)}", size=style.SMALL)
    captions = _caption_lines(selection)
    stack = _panels(selection, uniform, start, end)
    shows_uniform = selection.sampler != "uniform"
    is_connected = strip.n_rows == 1 and len(chosen) <= _MAX_CONNECTED
    sheet = Sheet(
        title.height
        + (2 * _FACTS_MARGIN + len(said) * _FACTS_LINE)
        + shows_uniform * (_HEADING + even.total_height)
        + sum(_HEADING + panel.height + _PANEL_GAP for panel in stack)
        + _AXIS
        + (_CONNECTORS if is_connected else _NO_CONNECTORS)
        + _HEADING * (not is_connected)
        + strip.total_height
        + len(captions) * _FACTS_LINE
    )
    title.draw(sheet)
    _draw_facts(sheet, said)
    if shows_uniform:
        mark = "" if uniform[0].score is None else "\u25cb "  # as on the curve of the total
        heading = f"{mark}{len(uniform)} frames evenly in time"
        sheet.text(((heading, style.INK),), size=style.BODY, height=_HEADING)
        _draw_strip(sheet, even, uniform, colour=style.FAINT_INK)
    for n, panel in enumerate(stack):
        sheet.skip(_PANEL_GAP)
        sheet.text(panel.heading, size=style.BODY, height=_HEADING)
        axes = sheet.axes(panel.height)
        panel.draw(axes)
        panels.draw_time_axis(axes, start, end, labels=n == len(stack) - 1)
    if is_connected:
        _draw_connectors(sheet, strip, chosen, start, end)
    else:
        sheet.skip(_AXIS + _NO_CONNECTORS)
        sheet.text(_chosen_heading(selection, chosen), size=style.BODY, height=_HEADING)
    _draw_strip(sheet, strip, chosen, colour=style.CHOSEN)
    for line in captions:
        sheet.text(((line, style.INK),), size=style.SMALL, height=_FACTS_LINE)
    return sheet.figure


def _caption_lines(selection: Selection) -> list[str]:
    """The captions of the chosen frames after their times, as lines that fit the page."""
    times = map(format_time, selection.pts_seconds[:_MAX_CAPTIONS])
    captions = zip(times, selection.frame_captions, strict=False)
    return [
        line
        for time, caption in captions
        for line in wrapped(f"{time}  {caption}", size=style.SMALL)
    ]


def limits(selection: Selection) -> tuple[float, float]:
    """Return the start and end of the panels: the part chosen from, in seconds from frame 0."""
    # The first frame of a part may begin before the part does.
    start = min([selection.start_seconds or 0.0, *selection.pts_seconds])
    return start, min(selection.end_seconds or math.inf, selection.duration_seconds)


def _draw_facts(sheet: Sheet, lines: list[str]) -> None:
    sheet.skip(_FACTS_MARGIN)
    for line in lines:
        sheet.text(((line, style.FAINT_INK),), size=style.SMALL, height=_FACTS_LINE)
    sheet.skip(_FACTS_MARGIN)


def _panels(selection: Selection, uniform: list[Still], start: float, end: float) -> list[_Panel]:
    """Return the panels that have data, in the order of the pipeline: clusters, scores, total."""
    frames = panels.scored_frames(selection)
    stack = []
    if any(frame.cluster is not None for frame in frames):
        clusters = "clusters and \u25c7 candidates" if selection.curves else "\u25c7 candidates"
        stack.append(
            _Panel(
                ((f"{clusters} of STACFP", style.INK),),
                _CLUSTERS,
                lambda axes: panels.draw_clusters(axes, selection, start, end),
            )
        )
    if selection.clips is not None:
        clips = selection.clips
        stack.append(
            _Panel(_clips_heading(clips), _CLIPS, lambda axes: panels.draw_clips(axes, clips))
        )
    if selection.curves and all(frame.drop is not None for frame in frames):
        names = tuple((f"{n[0].upper()} {n}", c) for n, c in style.COMPONENTS.items())
        stack.append(
            _Panel(names, _COMPONENTS, lambda axes: panels.draw_components(axes, selection))
        )
    if selection.curves and selection.texts:
        stack.append(
            _Panel(
                _texts_heading(selection.texts),
                _COMPONENTS,
                lambda axes: panels.draw_texts(axes, selection),
            )
        )
    if any(frame.total is not None for frame in frames):
        name = "importance" if selection.frame_captions else "score"
        name = name if frames[0].drop is None else "KeyScore"
        stack.append(
            _Panel(
                ((f"{name},", style.INK), ("\u25cf chosen", style.CHOSEN)),
                _TOTAL,
                lambda axes: panels.draw_total(axes, selection, uniform),
            )
        )
    else:
        stack.append(
            _Panel(
                (("chosen times", style.CHOSEN),),
                _TIMELINE,
                lambda axes: panels.draw_timeline(axes, selection),
            )
        )
    return stack


def _clips_heading(clips: Clips) -> _Heading:
    priorities = tuple(
        (f"\u25a0 priority {priority}", style.priority_colour(priority))
        for priority in sorted(set(clips.priorities))
    )
    return ((f"clips, {clips.origin}:", style.INK), *priorities)


def _texts_heading(texts: Sequence[QueryText]) -> _Heading:
    """The numbers and the beginnings of the texts, each in the colour of its curve."""
    room = _HEADING_CHARACTERS // min(len(texts), _MAX_NAMED)
    named = [shorten(text.text, room, placeholder=" \u2026") for text in texts[:_MAX_NAMED]]
    return tuple((f"{n + 1} {text}", style.cluster_colour(n)) for n, text in enumerate(named))


def _chosen_heading(selection: Selection, chosen: list[Still]) -> _Heading:
    shown = "" if len(chosen) == len(selection) else f", {len(chosen)} of them shown"
    return ((f"{len(selection)} chosen frames{shown}", style.CHOSEN),)


def _draw_connectors(
    sheet: Sheet, strip: StripLayout, chosen: list[Still], start: float, end: float
) -> None:
    """Draw a line from each chosen time on the axis, past the tick labels, down to its frame."""
    axes = sheet.axes(_AXIS + _CONNECTORS)
    axes.set_axis_off()
    axes.set_xlim(0, CONTENT_INCHES)
    axes.set_ylim(0, _AXIS + _CONNECTORS)
    for n, still in enumerate(chosen):
        centre = strip.left(n, len(chosen)) + strip.width / 2
        at = (still.pts_seconds - start) / (end - start) * CONTENT_INCHES
        axes.plot(
            [at, at, centre],
            [_AXIS + _CONNECTORS, _CONNECTORS, 0],
            color=style.CHOSEN,
            linewidth=0.7,
            alpha=0.5,
            solid_joinstyle="round",
        )


def _draw_strip(sheet: Sheet, strip: StripLayout, stills: list[Still], *, colour: str) -> None:
    for n, still in enumerate(stills):
        axes = sheet.axes_at(
            strip.left(n, len(stills)), strip.top(n), width=strip.width, height=strip.height
        )
        draw_still(axes, still, colour=colour, is_dense=strip.is_dense)
    sheet.skip(strip.total_height)
