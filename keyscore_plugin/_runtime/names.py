"""Suggestions for a name that was mistyped."""

from collections.abc import Iterable
from difflib import get_close_matches

from keyscore_plugin.errors import shown

_LEAST_PART = 3  # letters; a shorter part would match too many names


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Describe a name that is not known, with a suggestion and all known names.

    Args:
        kind: Kind of thing that is named: ``"sampler"``, ``"setting"`` ...
        name: Value that was given.
        known: Known names.

    Example:
        >>> unknown("sampler", "unifrom", ["topk", "uniform"])
        "unknown sampler 'unifrom' (did you mean 'uniform'?); the samplers are: topk, uniform"
    """
    names = sorted(known)
    return f"unknown {kind} {shown(name)}{hint(name, names)}; the {kind}s are: {', '.join(names)}"


def hint(name: object, known: Iterable[str]) -> str:
    """Return `` (did you mean 'uniform'?)`` if a known name is close, else an empty text.

    Args:
        name: Value that was given.
        known: Known names. ``"grid.kind"`` is also found by ``"kind"``.

    Example:
        >>> hint("Keyscor", ["keyscore", "topk"]), hint("magic", ["keyscore", "topk"])
        (" (did you mean 'keyscore'?)", '')
        >>> hint("--num", ["--num-frames"]), hint("fps", ["grid.kind", "grid.sample_fps"])
        (" (did you mean '--num-frames'?)", " (did you mean 'grid.sample_fps'?)")
    """
    if not isinstance(name, str):
        return ""
    typed = name.lower()
    names = {}
    for whole in known:
        names[whole.rpartition(".")[2].lower()] = whole
        names[whole.lower()] = whole
    is_part = len(typed) >= _LEAST_PART
    close = [word for word in names if is_part and word.startswith(typed)]
    close += get_close_matches(typed, names, n=1)
    close += [word for word in names if is_part and word.endswith(typed)]
    return f" (did you mean {names[close[0]]!r}?)" if close else ""
