"""The HTML report: one file with the picture and the figures, which loads nothing else."""

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path

from keyscore_plugin.report.text import (
    chosen_captions,
    chosen_scores,
    container_clock,
    facts,
    format_time,
    from_first_frame,
    texts,
)
from keyscore_plugin.types import Clips, ScoredFrame, Selection

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1a1a1a; max-width: 64rem;
       margin: 2rem auto; padding: 0 1rem; }
img { width: 100%; height: auto; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
h1, p, pre { overflow-wrap: anywhere; white-space: pre-wrap; }
pre { font-size: .8rem; background: #f6f6f6; padding: .8rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .9rem; border-bottom: 1px solid #e2e2e2; }
tr.chosen td { background: #fbeade; }
"""


def html_page(selection: Selection, picture: bytes) -> str:
    """Return the report as one HTML document; every text in it is escaped.

    Args:
        selection: Selection to show.
        picture: Picture as SVG. It is embedded as an image, which runs no script, loads nothing,
            and stays sharp at any size.
    """
    image = base64.b64encode(picture).decode("ascii")
    name = escape(Path(selection.video).name)
    fallback = f"<p>Fallback: {escape(selection.fallback)}</p>" if selection.fallback else ""
    notes = "".join(f"<p>Note: {escape(note)}</p>" for note in selection.notes)
    about = "\n".join(
        f"<p>{escape(line)}</p>" for line in (facts(selection), container_clock(selection)) if line
    )
    shown = from_first_frame(selection)
    settings = json.dumps(selection.config, indent=2, ensure_ascii=False)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:;
 style-src 'unsafe-inline'">
<title>KeyScore: {name}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{name}</h1>
<p>{escape(texts(selection))}</p>
<img alt="Scores over time and the chosen frames" src="data:image/svg+xml;base64,{image}">
{about}
{fallback}{notes}
<h2>Chosen frames</h2>
{_chosen_table(shown)}
{_clips_table(selection.clips)}
{_candidates_table(shown)}
<h2>Settings</h2>
<pre>{escape(settings)}</pre>
</body>
</html>
"""


def _chosen_table(selection: Selection) -> str:
    rows = [
        (str(index), format_time(seconds), _figure(score), caption)
        for index, seconds, score, caption in zip(
            selection.indices,
            selection.pts_seconds,
            chosen_scores(selection),
            chosen_captions(selection),
            strict=True,
        )
    ]
    header = ("index", "time", "score", "caption")
    if not selection.frame_captions:
        return _table(header[:-1], [row[:-1] for row in rows], chosen=set())
    return _table(header, rows, chosen=set())


def _clips_table(clips: Clips | None) -> str:
    """The clips with the reasons for them."""
    if clips is None:
        return ""
    rows = [
        (format_time(start), format_time(end), str(priority), _figure(weight), reason)
        for start, end, priority, weight, reason in zip(
            clips.starts, clips.ends, clips.priorities, clips.weights, clips.reasons, strict=True
        )
    ]
    header = ("start", "end", "priority", "weight", "reason")
    return f"<h2>Clips</h2>\n{_table(header, rows, chosen=set())}"


def _candidates_table(selection: Selection) -> str:
    """Return a table of STACFP's candidates with their scores; the chosen ones are highlighted."""
    if not selection.candidates:
        return ""
    rows = [_candidate_cells(frame) for frame in selection.candidates]
    chosen = {
        row for row, frame in enumerate(selection.candidates) if frame.index in selection.indices
    }
    header = ("index", "time", "cluster", "semantic", "temporal", "drop", "total")
    return f"<h2>Candidates</h2>\n{_table(header, rows, chosen=chosen)}"


def _candidate_cells(frame: ScoredFrame) -> tuple[str, ...]:
    cluster = "" if frame.cluster is None else str(frame.cluster)
    scores = (frame.semantic, frame.temporal, frame.drop, frame.total)
    return (str(frame.index), format_time(frame.pts_seconds), cluster, *map(_figure, scores))


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], *, chosen: set[int]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "\n".join(
        ('<tr class="chosen">' if n in chosen else "<tr>")
        + "".join(f"<td>{escape(cell)}</td>" for cell in row)
        + "</tr>"
        for n, row in enumerate(rows)
    )
    return f"<table>\n<tr>{head}</tr>\n{body}\n</table>"
