"""What can be asked for by name, and where it is defined: ``"module:attribute"``, imported on use.

To add a sampler (encoder, captioner, decoder) here: write the class, then add its name and place to
the table below. To add one from your own package, name it in an entry-point group; your package is
then found without being imported:

    [project.entry-points."keyscore_plugin.samplers"]
    every-tenth = "my_package.samplers:EveryTenthSampler"

The groups, and what each entry is called with:

- ``keyscore_plugin.samplers``: ``(config, *, encoder, captioner, decoder, device)``, the arguments
  of `keyscore_plugin.get_sampler`; returns a `keyscore_plugin.Sampler`.
- ``keyscore_plugin.encoders``: ``(device)``, a `torch.device`; returns a `keyscore_plugin.Encoder`.
- ``keyscore_plugin.captioners``: ``(device)``; returns a `keyscore_plugin.Captioner`.
- ``keyscore_plugin.decoders``: ``(path, stream)``, a string and the number of a video stream or
  None; returns a `keyscore_plugin.VideoSource`, or raises `keyscore_plugin.VideoError`.

The metadata of the installed packages is read once per process, when a name is first looked up or
listed; the package of a name is imported when that name is asked for. A name that two packages
claim, of which one may be this package, is an error that names both: neither overrides the other.
A package that does not load breaks its own names only.

This module imports neither torch nor a sampler, so that names are known before they are loaded.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pkgutil import resolve_name
from typing import Any

from keyscore_plugin._runtime.names import unknown
from keyscore_plugin.errors import InputError, MissingDependencyError, shown

DECODERS = {
    "pyav": "keyscore_plugin.video.decoders.pyav:PyAVSource",
    "decord": "keyscore_plugin.video.decoders.decord:DecordSource",
    "torchcodec": "keyscore_plugin.video.decoders.torchcodec:TorchCodecSource",
    "torchcodec-cuda": "keyscore_plugin.video.decoders.torchcodec:TorchCodecCudaSource",
}
AUTO_DECODER = "pyav"  # ours: the one that decodes all we tried

# An encoder may also be any model id or folder, and so may a captioner.
ENCODERS = {
    "conse": "keyscore_plugin.encoders.conse.encoder:ConseEncoder",
}
# Ours: the smallest SigLIP 2 (arXiv 2502.14786): ahead of CLIP and SigLIP of its size on image-text
# retrieval, Apache-2.0, and the only one of its family that a CPU can run over a grid of frames.
AUTO_ENCODER = "google/siglip2-base-patch16-224"
OPEN_CLIP_PREFIX = "open_clip:"  # before a model id or folder of OpenCLIP

CAPTIONERS = {
    "labels": "keyscore_plugin.captioners.labels:LabelsCaptioner",
}

_PUBLISHED = "keyscore_plugin.baselines"
SAMPLERS = {
    "adaq": f"{_PUBLISHED}.adaq:AdaqSampler",
    "aks": f"{_PUBLISHED}.aks:AksSampler",
    "aks-paper": f"{_PUBLISHED}.aks:AksPaperSampler",
    "bolt": f"{_PUBLISHED}.bolt:BoltSampler",
    "clips": "keyscore_plugin.samplers.clips:ClipsSampler",
    "focus": f"{_PUBLISHED}.focus:FocusSampler",
    "gift": f"{_PUBLISHED}.gift:GiftSampler",
    "iframes": f"{_PUBLISHED}.iframes:IFramesSampler",
    "katna": f"{_PUBLISHED}.katna:KatnaSampler",
    "katna-fixed": f"{_PUBLISHED}.katna:KatnaFixedSampler",
    "keyscore": "keyscore_plugin.samplers.keyscore:KeyScoreSampler",
    "kframes": "keyscore_plugin.samplers.kframes:KFramesSampler",
    "llmvs": "keyscore_plugin.samplers.llmvs:LlmvsSampler",
    "maxinfo": f"{_PUBLISHED}.maxinfo:MaxInfoSampler",
    "mdp3": f"{_PUBLISHED}.mdp3:Mdp3Sampler",
    "qframe": f"{_PUBLISHED}.qframe:QFrameSampler",
    "random": f"{_PUBLISHED}.random_frames:RandomSampler",
    "segments": f"{_PUBLISHED}.segments:SegmentsSampler",
    "stacfp": "keyscore_plugin.samplers.stacfp:StacfpSampler",
    "topk": "keyscore_plugin.samplers.topk:TopKSampler",
    "uniform": "keyscore_plugin.samplers.uniform:UniformSampler",
    "wfs-sb": f"{_PUBLISHED}.wfs_sb:WfsSbSampler",
}

_OURS = {
    "sampler": SAMPLERS,
    "encoder": ENCODERS,
    "captioner": CAPTIONERS,
    "decoder": DECODERS,
}


def names(kind: str) -> list[str]:
    """All names of a kind, ours and those of installed packages, sorted.

    Args:
        kind: ``"sampler"``, ``"encoder"``, ``"captioner"`` or ``"decoder"``.
    """
    return sorted({*_OURS[kind], *_added(kind)})


def load(kind: str, name: str) -> Any:
    """Import what a name stands for: a class, or a function that makes an object.

    Args:
        kind: ``"sampler"``, ``"encoder"``, ``"captioner"`` or ``"decoder"``.
        name: One of `names`.

    Raises:
        InputError: The name is unknown, or two packages claim it.
        MissingDependencyError: The package that adds the name does not load.
    """
    if not isinstance(name, str) or name not in names(kind):
        raise InputError(unknown(kind, name, names(kind)))
    require_one(kind, name)
    if name in _OURS[kind]:
        return resolve_name(_OURS[kind][name])
    (entry,) = _added(kind)[name]
    try:
        return entry.load()
    except Exception as error:  # the code of a stranger may raise anything
        reason = f"{type(error).__name__}: {error}".rstrip(". :")
        raise MissingDependencyError(
            f"the {kind} {name!r} of the package {_package(entry)} does not load ({reason}); "
            f"reinstall or uninstall that package, or use another {kind}"
        ) from error


def require_one(kind: str, name: str) -> None:
    """Refuse a name that several packages claim.

    Args:
        kind: ``"sampler"``, ``"encoder"``, ``"captioner"`` or ``"decoder"``.
        name: One of `names`.

    Raises:
        InputError: Two packages claim it.
    """
    packages = [_package(entry) for entry in _added(kind).get(name, ())]
    if name in _OURS[kind] or name == "auto":
        packages.insert(0, "keyscore-plugin")
    if len(packages) > 1:
        raise InputError(
            f"the {kind} {shown(name)} is defined by {' and by '.join(packages)}; uninstall "
            f"{packages[-1]}, or ask its authors for another name"
        )


def added_by(kind: str, name: str) -> str | None:
    """The installed package that adds a name, as ``package==version``; None for the other names.

    Args:
        kind: ``"sampler"``, ``"encoder"``, ``"captioner"`` or ``"decoder"``.
        name: Any name.
    """
    entries = _added(kind).get(name)
    return _package(entries[0]) if entries else None


@cache
def _added(kind: str) -> dict[str, list[EntryPoint]]:
    """The entry points of a kind by name; several if several packages claim one."""
    added: dict[str, list[EntryPoint]] = {}
    for entry in entry_points(group=f"keyscore_plugin.{kind}s"):
        added.setdefault(entry.name, []).append(entry)
    return added


def _package(entry: EntryPoint) -> str:
    return f"{entry.dist.name}=={entry.dist.version}" if entry.dist else entry.value
