"""Encoders by name."""

from keyscore_plugin._device import resolve_device
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.encoders.conse import ConseEncoder
from keyscore_plugin.errors import ModelError


def load_encoder(encoder: str | Encoder, *, device: str = "auto") -> Encoder:
    """Make an encoder ready.

    Args:
        encoder: ``"conse"``, or an `Encoder`, which is handed back as it is.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        InputError: There is no such device.
        ModelError: There is no such encoder.
        MissingDependencyError: A package it needs is not installed.
    """
    if not isinstance(encoder, str):
        return encoder
    where = resolve_device(device)
    if encoder == "conse":
        return ConseEncoder(where)
    raise ModelError(f"unknown encoder {encoder!r}; use encoder='conse'")
