"""Encoders by name."""

import torch

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.device import resolve_device
from keyscore_plugin._runtime.hub import is_local
from keyscore_plugin._runtime.weights_id import offline_identity, weights_identity
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.encoders.conse.encoder import ConseEncoder
from keyscore_plugin.encoders.hf import HFEncoder
from keyscore_plugin.encoders.open_clip import LAYOUT, PREFIX, OpenClipEncoder, require_open_clip
from keyscore_plugin.errors import InputError, shown

# Ours: the smallest SigLIP 2 (arXiv 2502.14786): ahead of CLIP and SigLIP of its size on image-text
# retrieval, Apache-2.0, and the only one of its family that a CPU can run over a grid of frames.
AUTO_ENCODER = "google/siglip2-base-patch16-224"

_REMEDY = "use encoder='conse', which needs no download, or the folder of a model"


def load_encoder(encoder: str | Encoder, *, device: str = "auto") -> Encoder:
    """Make an encoder ready.

    Args:
        encoder: ``"conse"``; ``"auto"``, which is `AUTO_ENCODER`; a folder or a hub model id, of
            OpenCLIP after ``"open_clip:"`` (``"open_clip:timm/PE-Core-bigG-14-448"``), else of
            transformers; or an `Encoder`, which is handed back as it is.
        device: ``"auto"`` (the GPU when there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        InputError: There is no such device.
        ModelError: There is no such encoder, or neither the cache nor a hub has it.
        MissingDependencyError: A package it needs is not installed.
    """
    if not isinstance(encoder, str):
        if isinstance(encoder, type) or not isinstance(encoder, Encoder):
            raise InputError(
                "an encoder is a name ('conse', a model id ...) or an Encoder object, got "
                f"{shown(encoder)}"
            )
        return encoder
    where = resolve_device(device)
    name = named_encoder(encoder)
    with progress.loading(f"encoder {name}"):
        if name == "conse":
            return ConseEncoder(where)
        if name.startswith(PREFIX):
            return _load_open_clip(name.removeprefix(PREFIX), where)
        local = is_local(name, kind="encoder", remedy=_REMEDY, names=("auto", "conse"))
        return HFEncoder(name, where, local_files_only=local)


def _load_open_clip(model: str, device: torch.device) -> OpenClipEncoder:
    require_open_clip()  # before a hub is asked for what nothing could load
    local = is_local(model, kind="OpenCLIP encoder", remedy=_REMEDY, layout=LAYOUT)
    return OpenClipEncoder(model, device, local_files_only=local)


def named_encoder(encoder: str) -> str:
    """The name with ``"auto"`` resolved, as `Selection.encoder` records it."""
    return AUTO_ENCODER if encoder == "auto" else encoder


def encoder_weights(encoder: str) -> str | None:
    """What changes with the encoder's weights; None where this machine does not have them.

    Args:
        encoder: A name as `load_encoder` takes it; see `keyscore_plugin._runtime.weights_id`.
    """
    name = named_encoder(encoder)
    if name == "conse":
        return offline_identity()
    if name.startswith(PREFIX):
        return weights_identity(name.removeprefix(PREFIX), config=LAYOUT.config)
    return weights_identity(name)
