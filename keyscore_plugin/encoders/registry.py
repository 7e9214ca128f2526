"""Encoders by name, and where their files are: a folder, the hub's cache, the hub."""

import urllib.error
import urllib.request
from pathlib import Path

from huggingface_hub import constants, get_token, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from keyscore_plugin._device import resolve_device
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.encoders.conse import ConseEncoder
from keyscore_plugin.encoders.hf import HFEncoder
from keyscore_plugin.errors import ModelError

# Ours: the smallest SigLIP 2 (arXiv 2502.14786): ahead of CLIP and SigLIP of its size on image-text
# retrieval, Apache-2.0, and the only one of its family that a CPU can run over a grid of frames.
AUTO_ENCODER = "google/siglip2-base-patch16-224"

_HUB_TIMEOUT_SECONDS = 5  # ours: a hub that is there answers within one


def load_encoder(encoder: str | Encoder, *, device: str = "auto") -> Encoder:
    """Make an encoder ready.

    Args:
        encoder: ``"conse"``; ``"auto"``, which is `AUTO_ENCODER`; a folder; a hub model id; or an
            `Encoder`, which is handed back as it is.
        device: ``"auto"`` (the GPU when there is one), ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        InputError: There is no such device.
        ModelError: There is no such encoder, or neither the cache nor a hub has it.
        MissingDependencyError: A package it needs is not installed.
    """
    if not isinstance(encoder, str):
        return encoder
    where = resolve_device(device)
    if encoder == "conse":
        return ConseEncoder(where)
    name = AUTO_ENCODER if encoder == "auto" else encoder
    is_folder = name != "" and Path(name).is_dir()
    local = is_folder or _is_cached(name)
    if not local:
        _require_on_hub(name)
    return HFEncoder(name, where, local_files_only=local)


def _is_cached(model: str) -> bool:
    """Whether the hub's local cache holds the model's config and weights.

    Raises:
        ModelError: The name can be no model id.
    """

    def has(file: str) -> bool:
        return isinstance(try_to_load_from_cache(model, file), str)

    try:
        return has("config.json") and any(
            has(file)
            for file in (constants.SAFETENSORS_SINGLE_FILE, "model.safetensors.index.json")
        )
    except HFValidationError as error:
        raise _unknown(model, "it is neither a folder nor a model id") from error


def _require_on_hub(model: str) -> None:
    """Ask the hub for the model once, so that an absent one costs seconds and not minutes.

    Raises:
        ModelError: The hub does not answer, does not know the model, or must not be asked.
    """
    if constants.HF_HUB_OFFLINE:
        raise _unknown(model, "it is not in the local cache and HF_HUB_OFFLINE is set")
    address = f"{constants.ENDPOINT}/{model}/resolve/main/config.json"
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, headers=headers, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_HUB_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        raise _unknown(
            model, f"{constants.ENDPOINT} has no such model that is public ({error.code})"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise _unknown(
            model, f"it is not in the local cache and no hub answers ({reason})"
        ) from error


def _unknown(model: str, reason: str) -> ModelError:
    return ModelError(
        f"no encoder {model!r}: {reason}; "
        "use encoder='conse', which needs no download, or the folder of a model"
    )
