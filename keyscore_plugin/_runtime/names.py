"""Names that somebody typed: which of those that are known was meant."""

from collections.abc import Iterable
from difflib import get_close_matches

from keyscore_plugin.errors import shown

_LEAST_PART = 3  # letters; fewer begin or end too many names


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """What to say of a name that is not known, in one clause.

    Args:
        kind: What the names stand for: ``"sampler"``, ``"setting"`` ...
        name: What was given.
        known: The names there are.

    Example:
        >>> unknown("sampler", "unifrom", ["topk", "uniform"])
        "unknown sampler 'unifrom' (did you mean 'uniform'?); the samplers are: topk, uniform"
    """
    names = sorted(known)
    return f"unknown {kind} {shown(name)}{hint(name, names)}; the {kind}s are: {', '.join(names)}"


def hint(name: object, known: Iterable[str]) -> str:
    """`` (did you mean 'uniform'?)`` if a known name is close to the one given, else nothing.

    Args:
        name: What was given.
        known: The names there are. Of ``"grid.kind"``, ``"kind"`` is a name as well.

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
