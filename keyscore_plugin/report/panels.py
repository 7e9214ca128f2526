"""The panels of the picture over time: clusters, clips, the scores and their sum, chosen times."""

import math
from typing import TYPE_CHECKING

from keyscore_plugin.report import style
from keyscore_plugin.report.stills import Still
from keyscore_plugin.types import Clips, ScoredFrame, Selection

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MANY_POINTS = 150  # with more points the dots would merge into a band, so only a line is drawn
_MANY_CHOSEN = 24  # with more chosen frames, full-size dots would hide each other


def draw_total(axes: "Axes", selection: Selection, uniform: list[Still]) -> None:
    """Draw the total score (eq. 1), with dots at chosen frames and circles at even ones."""
    frames = [frame for frame in scored_frames(selection) if frame.total is not None]
    times = [frame.pts_seconds for frame in frames]
    totals = [frame.total or 0.0 for frame in frames]
    scores = selection.scores or []
    floor = min([0.0, *totals, *scores])
    top = max([*totals, *scores])
    if selection.curves:
        axes.fill_between(times, totals, floor, color=style.INK, alpha=0.07, linewidth=0)
        _curve(axes, times, totals, colour=style.INK)
    else:  # read back from JSON: only candidates are known, and a line would invent values between
        axes.vlines(times, floor, totals, color=style.RULE, linewidth=1.0)
        axes.plot(times, totals, ".", color=style.INK, markersize=4)
    axes.plot(
        [still.pts_seconds for still in uniform],
        [math.nan if still.score is None else still.score for still in uniform],
        "o",
        markersize=4.5,
        markerfacecolor="white",
        markeredgecolor=style.FAINT_INK,
        markeredgewidth=0.9,
        zorder=3,
    )
    many = len(selection) > _MANY_CHOSEN
    if not many:
        axes.vlines(selection.pts_seconds, floor, scores, color=style.CHOSEN, lw=0.7, alpha=0.5)
    axes.plot(
        selection.pts_seconds,
        scores,
        "o",
        markersize=4.0 if many else 6.5,
        color=style.CHOSEN,
        markeredgecolor="white",
        markeredgewidth=0.4 if many else 0.8,
        zorder=4,
        clip_on=False,
    )
    axes.set_ylim(floor, top + 0.08 * ((top - floor) or 1.0))
    _plain(axes)


def draw_components(axes: "Axes", selection: Selection) -> None:
    """Draw S, T and D, each min-max normalised (eq. 2-4)."""
    times = [frame.pts_seconds for frame in selection.curves]
    for name, colour in style.COMPONENTS.items():
        _curve(axes, times, [getattr(frame, name) for frame in selection.curves], colour=colour)
    axes.set_ylim(-0.04, 1.06)
    _plain(axes)


def draw_texts(axes: "Axes", selection: Selection) -> None:
    """Draw the scores by each of several texts, 0 to 1."""
    frames = [frame for frame in selection.curves if frame.by_text]
    times = [frame.pts_seconds for frame in frames]
    for n, values in enumerate(zip(*(frame.by_text for frame in frames), strict=True)):
        _curve(axes, times, list(values), colour=style.cluster_colour(n))
    axes.set_ylim(-0.04, 1.06)
    _plain(axes)


def draw_clusters(axes: "Axes", selection: Selection, start: float, end: float) -> None:
    """Draw STACFP's clusters over time, with a diamond at each candidate."""
    frames = [frame for frame in selection.curves if frame.cluster is not None]
    stretches = style.runs(
        [frame.cluster or 0 for frame in frames],
        [frame.pts_seconds for frame in frames],
        start,
        end,
    )
    axes.broken_barh(
        [(left, right - left) for _, left, right in stretches],
        (0, 1),
        facecolors=[style.cluster_colour(cluster) for cluster, _, _ in stretches],
        alpha=0.55,
        linewidth=0,
    )
    for candidate in selection.candidates:
        axes.plot(
            candidate.pts_seconds,
            0.5,
            "D",
            markersize=3.6,
            color=style.cluster_colour(candidate.cluster or 0),
            markeredgecolor=style.INK,
            markeredgewidth=0.7,
            clip_on=False,
        )
    axes.set_ylim(0, 1)
    _plain(axes, has_values=False)


def draw_clips(axes: "Axes", clips: Clips) -> None:
    """The clips as bars, coloured by priority."""
    axes.broken_barh(
        [(start, end - start) for start, end in zip(clips.starts, clips.ends, strict=True)],
        (0, 1),
        facecolors=[style.priority_colour(priority) for priority in clips.priorities],
        edgecolor="white",
        linewidth=0.6,
        alpha=0.7,
    )
    axes.set_ylim(0, 1)
    _plain(axes, has_values=False)


def draw_timeline(axes: "Axes", selection: Selection) -> None:
    """Draw the chosen times, for a sampler that scores no frames."""
    axes.vlines(selection.pts_seconds, 0, 1, color=style.CHOSEN, linewidth=1.6)
    axes.set_ylim(0, 1)
    _plain(axes, has_values=False)


def draw_time_axis(axes: "Axes", start: float, end: float, *, labels: bool) -> None:
    """Draw the shared time axis; only the lowest panel has the labels."""
    ticks = style.time_ticks(start, end)
    axes.set_xlim(start, end)
    axes.set_xticks(list(ticks), labels=list(ticks.values()) if labels else [])
    # The labels are drawn above the lines that connect this axis with the frames.
    axes.set_zorder(1)
    for label in axes.get_xticklabels():
        label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.8})


def scored_frames(selection: Selection) -> tuple[ScoredFrame, ...]:
    """Return every scored frame, or the candidates if the selection has no curves."""
    return selection.curves or selection.candidates


def _curve(axes: "Axes", times: list[float], values: list[float], *, colour: str) -> None:
    few = len(times) <= _MANY_POINTS
    axes.plot(
        times,
        values,
        "-",
        color=colour,
        linewidth=1.1 if few else 0.6,
        marker="." if few else "",
        markersize=2.5,
        solid_joinstyle="round",
    )


def _plain(axes: "Axes", *, has_values: bool = True) -> None:
    """Style the axes with two thin spines and small grey ticks."""
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(style.RULE)
        axes.spines[side].set_linewidth(0.7)
    axes.tick_params(
        colors=style.FAINT_INK, labelsize=style.SMALL, length=2.5, width=0.7, color=style.RULE
    )
    axes.locator_params(axis="y", nbins=3)
    if not has_values:
        axes.spines["left"].set_visible(False)
        axes.tick_params(left=False, labelleft=False)
