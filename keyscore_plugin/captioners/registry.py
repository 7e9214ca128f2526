"""Captioners by name."""

from keyscore_plugin._device import resolve_device
from keyscore_plugin._optional import load
from keyscore_plugin.captioners.base import Captioner

CAPTIONERS = {
    "labels": "keyscore_plugin.captioners.labels:LabelsCaptioner",
}


def load_captioner(captioner: str | Captioner | None, *, device: str = "auto") -> Captioner | None:
    """Make a captioner ready.

    Args:
        captioner: ``"labels"``, which needs no download; or a `Captioner` or None, which are
            handed back as they are.
        device: ``"auto"`` (the GPU when there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        InputError: There is no such captioner, or no such device.
        MissingDependencyError: A package it needs is not installed.
    """
    if not isinstance(captioner, str):
        return captioner
    made: Captioner = load("captioner", captioner, CAPTIONERS)(resolve_device(device))
    return made
