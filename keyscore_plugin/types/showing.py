"""The repr of a selection: a few lines, however long its fields are."""

from collections.abc import Sequence
from reprlib import Repr
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keyscore_plugin.types.selection import Selection

_N_ENDS = 4  # numbers shown at either end of a list
_MAX_NOTES = 3


def repr_selection(selection: "Selection") -> str:
    """Lines on what was chosen, from what and by what; of scored frames only their number."""
    budget = (
        f"num_frames={selection.num_frames}"
        if selection.threshold is None
        else f"threshold={selection.threshold:g}"
    )
    text = selection.question if selection.caption is None else selection.caption.text
    lines = [
        f"video={_short(selection.video)}, duration_seconds={selection.duration_seconds:.6g}, "
        f"n_frames={selection.n_frames}",
        f"sampler={selection.sampler!r}, {budget}, encoder={_short(selection.encoder)}, "
        f"decoder={selection.decoder!r}",
        "" if text is None else f"{_text_name(selection)}={_short(text)}",
        f"indices={_ends(selection.indices, 'd')}",
        f"pts_seconds={_ends(selection.pts_seconds, '.6g')}",
        f"scores={None if selection.scores is None else _ends(selection.scores, '.3f')}",
        f"candidates=({len(selection.candidates)},), curves=({len(selection.curves)},), "
        f"n_grid={selection.n_grid}, seconds={selection.seconds.get('total', 0.0):.2f}",
        "" if selection.clips is None else f"clips={selection.clips!r}",
        "" if selection.fallback is None else f"fallback={_short(selection.fallback)}",
        *(f"note={_short(note)}" for note in selection.notes[:_MAX_NOTES]),
        f"{len(selection.notes) - _MAX_NOTES} more notes"
        if len(selection.notes) > _MAX_NOTES
        else "",
    ]
    inside = "".join(f"  {line},\n" for line in lines if line)
    return f"Selection(\n{inside})"


def _text_name(selection: "Selection") -> str:
    if selection.caption is None:
        return "question"
    return "caption" if selection.caption.origin == "given" else "generated caption"


def _short(text: str | None) -> str:
    """The text in quotes, without its middle where it is long."""
    shortener = Repr()
    shortener.maxstring = 120
    return shortener.repr(text)


def _ends(values: Sequence[float], form: str) -> str:
    """``[0, 1, 2, 3, ..., 61, 62, 63, 64] (65,)``: both ends of a long list, and its shape."""
    shown = [format(value, form) for value in values]
    if len(shown) <= 2 * _N_ENDS:
        return f"[{', '.join(shown)}]"
    ends = [*shown[:_N_ENDS], "...", *shown[-_N_ENDS:]]
    return f"[{', '.join(ends)}] ({len(shown)},)"
