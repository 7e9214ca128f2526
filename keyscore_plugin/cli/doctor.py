"""``keyscore doctor``: what is installed, what ``auto`` means, and which hosts have a hook."""

import argparse
import json
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from itertools import groupby

from keyscore_plugin._runtime.version import VERSION
from keyscore_plugin.cli.streams import own_stdout
from keyscore_plugin.hosts.replacements import KeptReplacement, kept_replacements
from keyscore_plugin.registries import AUTO_DECODER, AUTO_ENCODER

_PACKAGES = (
    "torch",
    "transformers",
    "av",
    "torchvision",
    "torchcodec",
    "decord",
    "open_clip_torch",
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        kind: ``"package"``, ``"auto"``, ``"host"`` or ``"replacement"``.
        name: Name of the package, the option or the host; or the place of a hook in a host.
        version: Version that is installed; None if it is not installed or has no version.
        text: Description of the state in one line; empty if the version says it all.
    """

    kind: str
    name: str
    version: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Host:
    """How a host comes to call KeyScore.

    Attributes:
        distribution: Name by which pip knows the host.
        hook: Way to install the hook, and to see whether it still stands.
        group: Entry-point group in which the host looks for plugins; None if code installs the
            hook, in each process or for each object.
    """

    distribution: str
    hook: str
    group: str | None = None


HOSTS = {
    "transformers": Host(
        "transformers",
        "keyscore_transformers.enable(processor) hooks one processor; its repr then begins with "
        "'KeyScore enabled'",
    ),
    "qwen-vl-utils": Host(
        "qwen-vl-utils",
        "keyscore_qwen_vl_utils.install() hooks one process; what other libraries replaced is at "
        "the end of this list, once it was noticed, and in keyscore_qwen_vl_utils.replaced()",
    ),
    "lmms-eval": Host("lmms-eval", "--model_args ...,sampler=keyscore", group="lmms_eval.models"),
    "vllm": Host(
        "vllm",
        "VLLM_MEDIA_CONNECTOR=keyscore vllm serve MODEL --middleware keyscore_vllm.Middleware",
        group="vllm.general_plugins",
    ),
    "sglang": Host(
        "sglang",
        "python -m sglang.launch_server --model-path MODEL, unless SGLANG_PLUGINS leaves "
        "keyscore out",
        group="sglang.srt.plugins",
    ),
    "ms-swift": Host(
        "ms-swift",
        "keyscore_qwen_vl_utils.swift.install() in a file of --external_plugins; ms-swift replaces "
        "the readers of qwen-vl-utils, and they are wrapped again at the next call",
    ),
    "llamafactory": Host(
        "llamafactory",
        "python -m keyscore_llamafactory trains on rows that name their frames; without it such a "
        "row is an error of a missing file",
    ),
    "daft": Host("daft", "keyscore_ray.SelectFrames in a UDF"),
    "ray": Host("ray", "keyscore_ray.SelectFrames, and keyscore batch --engine ray"),
    "trl": Host("trl", "keyscore_trl.VideoCollator makes batches of the videos that rows name"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's options to its parser."""
    parser.add_argument("--json", action="store_true", help="print one JSON array, nothing else")


def run(args: argparse.Namespace) -> int:
    """Print the findings, by kind."""
    with own_stdout() as print_result:
        found = list(findings())
        print_result(json.dumps([asdict(one) for one in found]) if args.json else _as_text(found))
    return 0


def findings() -> Iterator[Finding]:
    """Yield what is found on this machine and in this environment, by kind."""
    yield Finding("package", "keyscore-plugin", VERSION, f"Python {platform.python_version()}")
    for name in _PACKAGES:
        yield Finding("package", name, _version(name), "" if _version(name) else "not installed")
    yield _device()
    yield Finding("auto", "--decoder", None, f"auto means {AUTO_DECODER}")
    yield _encoder()
    for name, host in HOSTS.items():
        yield Finding("host", name, _version(host.distribution), _hooked(host))
    for one in kept_replacements():
        yield Finding("replacement", one.name, None, _undone(one))


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _device() -> Finding:
    import torch

    from keyscore_plugin._runtime.device import resolve_device

    names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    seen = ", ".join(names) or "no GPU"
    return Finding("auto", "--device", None, f"auto means {resolve_device('auto')}; seen: {seen}")


def _encoder() -> Finding:
    from keyscore_plugin.encoders.registry import encoder_weights

    weights = encoder_weights("auto")
    state = "is not on this machine; its first use downloads it" if weights is None else "is here"
    return Finding("auto", "--encoder", None, f"auto means {AUTO_ENCODER}, which {state}")


def _hooked(host: Host) -> str:
    if _version(host.distribution) is None:
        return "not installed"
    if host.group is None:
        return host.hook
    for entry in entry_points(group=host.group):
        if entry.value.startswith("keyscore_"):
            return f"hooked by the entry point {entry.name!r} of {host.group}: {host.hook}"
    return (
        f"not hooked: the entry point of {host.group} is missing; install keyscore-plugin with "
        "pip, in place of a path to its folder"
    )


def _undone(one: KeptReplacement) -> str:
    return (
        f"of {one.host}: {one.by} took the place of our hook, first noticed {one.first}, last "
        f"{one.last}; ours was put around it again before a video was read"
    )


def _as_text(found: Sequence[Finding]) -> str:
    lines = []
    for kind, of_kind in groupby(found, key=lambda one: one.kind):
        lines.append(kind if kind == "auto" else f"{kind}s")
        group = list(of_kind)
        width = max(len(one.name) for one in group)
        for one in group:
            words = " ".join(part for part in (one.version, one.text) if part)
            lines.append(f"  {one.name:<{width}}  {words}")
    return "\n".join(lines)
