"""Load captioners by name, and identify their weights."""

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.device import resolve_device
from keyscore_plugin._runtime.hub import is_local, offline_identity, weights_identity
from keyscore_plugin.captioners.adapter import CONFIG, base_of, name_of
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.registries import CAPTIONERS, added_by, load, names

_REMEDY = "use captioner='labels', which needs no download, or the folder of a Video-LLM"


def load_captioner(
    captioner: str | Captioner | None, *, device: str = "auto", adapter: str | None = None
) -> Captioner | None:
    """Load a captioner.

    Args:
        captioner: Name ``"labels"``, which needs no download, or one that an installed package
            adds; the folder or the hub model id of a Video-LLM; the folder of a PEFT adapter that
            names its Video-LLM; or a `Captioner` or None, which are returned unchanged.
        device: Name of a device: ``"auto"`` (the GPU if there is one), ``"cpu"``, ``"cuda"``,
            ``"cuda:1"`` ...
        adapter: Folder or hub id of a PEFT adapter for the Video-LLM that ``captioner`` names, in
            place of the model that the adapter names itself; needs the extra ``peft``.

    Returns:
        The captioner, with its weights loaded on the device; None if None was given.

    Raises:
        InputError: The device does not exist, the object is not a captioner, or an adapter is
            given for something that is not the name of a Video-LLM.
        ModelError: Neither this machine nor the hub has the model, or it does not load.
        MissingDependencyError: A package that the captioner needs is not installed.
    """
    if adapter is not None and (not isinstance(captioner, str) or captioner in names("captioner")):
        raise InputError(
            f"the adapter {shown(adapter)} is for a Video-LLM, got the captioner "
            f"{shown(captioner)}; give the model id or folder of the Video-LLM as the captioner"
        )
    if captioner is None:
        return None
    if not isinstance(captioner, str):
        return _require_captioner(captioner)
    where = resolve_device(device)
    with progress.loading(f"captioner {captioner}"):
        known = names("captioner")
        if captioner in known:
            return _require_captioner(load("captioner", captioner)(where))
        from keyscore_plugin.captioners.vlm import load_vlm

        base, own = base_of(captioner)
        local = is_local(base, kind="captioner", remedy=_REMEDY, names=known)
        return load_vlm(base, where, adapter=adapter or own, local_files_only=local)


def load_frame_captioner(captioner: str | Captioner, *, device: str = "auto") -> Captioner:
    """Load a captioner that describes frames one by one, which may be a model of pictures alone.

    Args:
        captioner: As `load_captioner` takes it; or the folder or hub model id of a model that reads
            pictures and no videos, such as LLaVA-1.5, which LLMVS uses.
        device: Device, as `load_captioner` takes it.

    Returns:
        A captioner, which need not be a `FrameCaptioner`: `caption_frames` takes both.

    Raises:
        InputError: The device does not exist, or the object is not a captioner.
        ModelError: Neither this machine nor the hub has the model, or it does not load.
        MissingDependencyError: A package that the captioner needs is not installed.
    """
    known = names("captioner")
    if not isinstance(captioner, str):
        return _require_captioner(captioner)
    where = resolve_device(device)
    with progress.loading(f"captioner {captioner}"):
        if captioner in known:
            return _require_captioner(load("captioner", captioner)(where))
        from keyscore_plugin.captioners.adapter import with_adapter
        from keyscore_plugin.captioners.pictures import PictureCaptioner
        from keyscore_plugin.captioners.vlm import load_image_text_model

        base, adapter = base_of(captioner)
        local = is_local(base, kind="captioner", remedy=_REMEDY, names=known)
        network, processor = load_image_text_model(base, where, local_files_only=local)
        if adapter is not None:
            network = with_adapter(network, adapter, model=base, device=where)
        return PictureCaptioner(network, processor, name=name_of(base, adapter))


def _require_captioner(captioner: object) -> Captioner:
    """Return the object if it is a captioner."""
    if isinstance(captioner, type) or not isinstance(captioner, Captioner):
        raise InputError(
            "a captioner is a name ('labels', a model id ...) or a Captioner object, got "
            f"{shown(captioner)}"
        )
    return captioner


def named_captioner(captioner: str | None, *, adapter: str | None = None) -> str | None:
    """The name that a captioner records, as `Caption.model` and `Clips.model` hold it.

    Args:
        captioner: A name as `load_captioner` takes it, or None.
        adapter: An adapter as `load_captioner` takes it.
    """
    if captioner is None or captioner in names("captioner"):
        return captioner
    base, own = base_of(captioner)
    return name_of(base, adapter or own)


def captioner_weights(captioner: str) -> str | None:
    """Identify the weights of a captioner; the identity changes when they do.

    Args:
        captioner: Name that `load_captioner` takes.

    Returns:
        Versions of packages, a commit or a hash; None if this machine does not have the weights.
    """
    if captioner in CAPTIONERS:
        return offline_identity()
    if package := added_by("captioner", captioner):
        return package
    base, adapter = base_of(captioner)
    weights = weights_identity(base)
    if adapter is None or weights is None:
        return weights
    return f"{weights} {weights_identity(adapter, config=CONFIG)}"
