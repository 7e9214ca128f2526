"""Write a selection as text for people."""

from collections.abc import Sequence
from dataclasses import replace

from keyscore_plugin.types import STAGES, ScoredFrame, Selection


def format_time(seconds: float, *, decimals: int = 3) -> str:
    """Write a time as m:ss.mmm, or h:mm:ss.mmm from an hour on.

    Args:
        seconds: Time in seconds; it may be negative.
        decimals: Number of digits after the seconds.

    Example:
        >>> format_time(5.12), format_time(-0.02), format_time(3725.5)
        ('0:05.120', '-0:00.020', '1:02:05.500')
        >>> format_time(59.96, decimals=0)
        '1:00'
    """
    units = round(abs(seconds) * 10**decimals)
    minutes, rest = divmod(units, 60 * 10**decimals)
    hours, minutes = divmod(minutes, 60)
    sign = "-" if seconds < 0 and units else ""
    start = f"{hours}:{minutes:02d}" if hours else f"{minutes}"
    width = decimals + 3 if decimals else 2
    return f"{sign}{start}:{rest / 10**decimals:0{width}.{decimals}f}"


def from_first_frame(selection: Selection) -> Selection:
    """Return the selection with times from the video's first frame, as players show them."""
    start = selection.start_pts_seconds

    def moved(frames: Sequence[ScoredFrame]) -> tuple[ScoredFrame, ...]:
        return tuple(replace(frame, pts_seconds=frame.pts_seconds - start) for frame in frames)

    return replace(
        selection,
        start_pts_seconds=0.0,
        pts_seconds=[seconds - start for seconds in selection.pts_seconds],
        candidates=moved(selection.candidates),
        curves=moved(selection.curves),
    )


def container_clock(selection: Selection) -> str:
    """Say how times from the first frame relate to the container's; empty if they are the same."""
    if not selection.start_pts_seconds:
        return ""
    return (
        "times count from the first frame, which is at "
        f"{selection.start_pts_seconds:.3f} s of the container's clock"
    )


def chosen_scores(selection: Selection) -> Sequence[float | None]:
    """Return the score of each chosen frame; None for each if the sampler scores no frames."""
    return [None] * len(selection) if selection.scores is None else selection.scores


def chosen_captions(selection: Selection) -> Sequence[str]:
    """Return the caption of each chosen frame; empty texts if the sampler reads no captions."""
    return selection.frame_captions or [""] * len(selection)


def table(selection: Selection) -> str:
    """List the chosen frames, one per line: index, time, score, text and caption if there are."""
    selection = from_first_frame(selection)
    places, captions = selection.chosen_for, chosen_captions(selection)
    lines = [f"{'index':>8}  {'time':>12}  {'score':>6}" + ("  text" if places else "")]
    lines += [
        f"{index:>8}  {format_time(seconds):>12}  {'-' if score is None else f'{score:.3f}':>6}"
        + (f"  {places[row] + 1:>4}" if places else "")
        + (f"  {captions[row]}" if captions[row] else "")
        for row, (index, seconds, score) in enumerate(
            zip(selection.indices, selection.pts_seconds, chosen_scores(selection), strict=True)
        )
    ]
    return "\n".join(lines)


def times(selection: Selection) -> str:
    """List the chosen times, from the first frame, in one line."""
    seconds = from_first_frame(selection).pts_seconds
    return " ".join(format_time(second, decimals=1) for second in seconds)


def facts(selection: Selection) -> str:
    """Write one line: number of frames, sampler, encoder, decoder, frames looked at, seconds."""
    counted = "" if selection.n_frames_counted else "about "
    parts = [
        f"{len(selection)} of {counted}{selection.n_frames} frames",
        _part(selection),
        f"sampler {selection.sampler}",
        f"encoder {selection.encoder}" if selection.encoder else "",
        f"decoder {selection.decoder}",
        _looked_at(selection),
        stages(selection),
    ]
    return ", ".join(part for part in parts if part)


def _part(selection: Selection) -> str:
    """Name the part of the video that was chosen from; empty if it was the whole video."""
    if selection.start_seconds is None and selection.end_seconds is None:
        return ""
    end = "the end" if selection.end_seconds is None else format_time(selection.end_seconds)
    return f"from {format_time(selection.start_seconds or 0.0)} to {end}"


def _looked_at(selection: Selection) -> str:
    """Say how many frames were looked at, and how many of them by the refined grid."""
    if not selection.n_grid:
        return ""
    closer = selection.looked_at.n_closer if selection.looked_at else 0
    return f"{selection.n_grid} looked at" + (f", {closer} of them closer" if closer else "")


def texts(selection: Selection) -> str:
    """List the texts that scored the frames, with their origin; empty if there are none."""
    if selection.texts:
        lines = [
            f'{number:>2} {text.role} ({text.origin}): "{text.text}"'
            for number, text in enumerate(selection.texts, start=1)
        ]
        return "\n".join([f"{len(selection.texts)} texts, joined by {selection.join}:", *lines])
    parts = []
    if selection.caption is not None:
        by = f" by {selection.caption.model}" if selection.caption.model else ""
        parts.append(f'caption ({selection.caption.origin}{by}): "{selection.caption.text}"')
    if selection.question is not None:
        parts.append(f'question: "{selection.question}"')
    return "\n".join(parts)


def clips_table(selection: Selection) -> str:
    """The clips, one a line: start, end, priority, weight, reason; empty if there are none."""
    clips = selection.clips
    if clips is None:
        return ""
    by = f" by {clips.model}" if clips.model else ""
    rows = zip(
        clips.starts, clips.ends, clips.priorities, clips.weights, clips.reasons, strict=True
    )
    lines = [
        f"{format_time(start):>12} - {format_time(end):<10}  priority {priority}  "
        f"weight {weight:.3g}  {reason}".rstrip()
        for start, end, priority, weight, reason in rows
    ]
    return "\n".join([f"clips ({clips.origin}{by}):", *lines])


def stages(selection: Selection) -> str:
    """Write ``1.23 s (decode 0.30, encode 0.91)``; stages under 5 ms are left out."""
    spent = [
        f"{stage} {selection.seconds[stage]:.2f}"
        for stage in STAGES
        if selection.seconds.get(stage, 0.0) >= 0.005
    ]
    return f"{selection.seconds['total']:.2f} s" + (f" ({', '.join(spent)})" if spent else "")


def summary(selection: Selection) -> str:
    """Write what ``keyscore select`` prints: the texts, the clips, the table, the facts."""
    parts = (
        texts(selection),
        clips_table(selection),
        table(selection),
        facts(selection),
        container_clock(selection),
    )
    return "\n".join(part for part in parts if part)
