"""Captioners by name."""

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.device import resolve_device
from keyscore_plugin._runtime.hub import is_local
from keyscore_plugin._runtime.optional import load
from keyscore_plugin._runtime.weights_id import offline_identity, weights_identity
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.pretrained import load_vlm
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.registries import CAPTIONERS

_REMEDY = "use captioner='labels', which needs no download, or the folder of a Video-LLM"


def load_captioner(captioner: str | Captioner | None, *, device: str = "auto") -> Captioner | None:
    """Make a captioner ready.

    Args:
        captioner: ``"labels"``, which needs no download; the folder or the hub model id of a
            Video-LLM; or a `Captioner` or None, which are handed back as they are.
        device: ``"auto"`` (the GPU when there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        InputError: There is no such device.
        ModelError: There is no such captioner, or neither the cache nor a hub has it.
        MissingDependencyError: A package it needs is not installed.
    """
    if captioner is None:
        return None
    if not isinstance(captioner, str):
        if isinstance(captioner, type) or not isinstance(captioner, Captioner):
            raise InputError(
                "a captioner is a name ('labels', a model id ...) or a Captioner object, got "
                f"{shown(captioner)}"
            )
        return captioner
    where = resolve_device(device)
    with progress.loading(f"captioner {captioner}"):
        if captioner in CAPTIONERS:
            made: Captioner = load("captioner", captioner, CAPTIONERS)(where)
            return made
        local = is_local(captioner, kind="captioner", remedy=_REMEDY, names=CAPTIONERS)
        return load_vlm(captioner, where, local_files_only=local)


def captioner_weights(captioner: str) -> str | None:
    """What changes with the captioner's weights; None where this machine does not have them.

    Args:
        captioner: A name as `load_captioner` takes it; see `keyscore_plugin._runtime.weights_id`.
    """
    return offline_identity() if captioner in CAPTIONERS else weights_identity(captioner)
