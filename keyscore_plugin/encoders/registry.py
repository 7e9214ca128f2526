"""Load encoders by name, and identify their weights."""

from contextlib import suppress
from weakref import WeakKeyDictionary

import torch

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.device import resolve_device
from keyscore_plugin._runtime.hub import OPEN_CLIP, is_local, offline_identity, weights_identity
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.registries import AUTO_ENCODER, OPEN_CLIP_PREFIX, added_by, load, names

# The weights of the encoders that were loaded here by name, as they were then.
_WEIGHTS: "WeakKeyDictionary[Encoder, str]" = WeakKeyDictionary()

_REMEDY = "use encoder='conse', which needs no download, or the folder of a model"


def load_encoder(encoder: str | Encoder, *, device: str = "auto") -> Encoder:
    """Load an encoder.

    Args:
        encoder: Name ``"conse"``, or one that an installed package adds; ``"auto"``, which is
            SigLIP 2; a folder or a hub model id, of transformers or, after ``"open_clip:"``, of
            OpenCLIP (``"open_clip:timm/PE-Core-bigG-14-448"``); or an `Encoder`, which is returned
            unchanged. A model with ``Qwen3-VL-Embedding`` in its name is loaded as one.
        device: Name of a device: ``"auto"`` (the GPU if there is one), ``"cpu"``, ``"cuda"``,
            ``"cuda:1"`` ...

    Returns:
        The encoder, with its weights loaded on the device.

    Raises:
        InputError: The device does not exist, or the object is not an encoder.
        ModelError: Neither this machine nor the hub has the model, or it does not load.
        MissingDependencyError: A package that the encoder needs is not installed.
    """
    if not isinstance(encoder, str):
        return _require_encoder(encoder)
    loaded = _loaded(named_encoder(encoder), resolve_device(device))
    weights = encoder_weights(encoder)
    if weights is not None:
        with suppress(TypeError):  # an encoder of another package that no dict can hold
            _WEIGHTS[loaded] = weights
    return loaded


def weights_of(encoder: Encoder) -> str | None:
    """Identify the weights of an encoder that `load_encoder` loaded by its name.

    Returns:
        What `encoder_weights` gave when it was loaded; None for an encoder that was made elsewhere.
    """
    try:
        return _WEIGHTS.get(encoder)
    except TypeError:
        return None


def _loaded(name: str, where: torch.device) -> Encoder:
    """Load an encoder by its name on a device."""
    with progress.loading(f"encoder {name}"):
        known = names("encoder")
        if name in known:
            return _require_encoder(load("encoder", name)(where))
        if name.startswith(OPEN_CLIP_PREFIX):
            from keyscore_plugin.encoders.open_clip import OpenClipEncoder, require_open_clip

            model = name.removeprefix(OPEN_CLIP_PREFIX)
            require_open_clip()  # before a hub is asked for what nothing could load
            local = is_local(model, kind="OpenCLIP encoder", remedy=_REMEDY, layout=OPEN_CLIP)
            return OpenClipEncoder(model, where, local_files_only=local)
        from keyscore_plugin.encoders.hf import HFEncoder
        from keyscore_plugin.encoders.qwen3_vl import QWEN3_VL_EMBEDDING, Qwen3VLEncoder

        local = is_local(name, kind="encoder", remedy=_REMEDY, names=("auto", *known))
        if QWEN3_VL_EMBEDDING in name.lower():
            return Qwen3VLEncoder(name, where, local_files_only=local)
        return HFEncoder(name, where, local_files_only=local)


def _require_encoder(encoder: object) -> Encoder:
    """Return the object if it is an encoder."""
    if isinstance(encoder, type) or not isinstance(encoder, Encoder):
        raise InputError(
            "an encoder is a name ('conse', a model id ...) or an Encoder object, got "
            f"{shown(encoder)}"
        )
    return encoder


def named_encoder(encoder: str) -> str:
    """Return the name with ``"auto"`` resolved, as `Selection.encoder` records it."""
    return AUTO_ENCODER if encoder == "auto" else encoder


def encoder_weights(encoder: str) -> str | None:
    """Identify the weights of an encoder; the identity changes when they do.

    Args:
        encoder: Name that `load_encoder` takes.

    Returns:
        Versions of packages, a commit or a hash; None if this machine does not have the weights.
    """
    name = named_encoder(encoder)
    if name == "conse":
        return offline_identity()
    if name.startswith(OPEN_CLIP_PREFIX):
        return weights_identity(name.removeprefix(OPEN_CLIP_PREFIX), config=OPEN_CLIP.config)
    return added_by("encoder", name) or weights_identity(name)
