"""Captioners by name."""

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.errors import InputError


def load_captioner(captioner: str | Captioner, *, device: str = "auto") -> Captioner:
    """Make a captioner ready.

    Args:
        captioner: A `Captioner`, which is handed back as it is.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        InputError: There is no such captioner.
    """
    if not isinstance(captioner, str):
        return captioner
    raise InputError(f"unknown captioner {captioner!r} on {device}; use a Captioner object")
