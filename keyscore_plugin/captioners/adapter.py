"""PEFT adapters of a Video-LLM: what a trained selector of clips usually is."""

import json
import warnings
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub import try_to_load_from_cache
from huggingface_hub.errors import HFValidationError
from safetensors import SafetensorError

from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin._runtime.hub import Layout, first_line, is_local
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import ModelError, shown

CONFIG = "adapter_config.json"
_LAYOUT = Layout(config=CONFIG, weights=("adapter_model.safetensors", "adapter_model.bin"))
_REMEDY = "give the folder or hub id of a PEFT adapter"


def base_of(name: str) -> tuple[str, str | None]:
    """The model of a name, and the adapter if the name is that of an adapter on this machine.

    Args:
        name: Folder or hub id of a model, or of an adapter.

    Returns:
        The name of the model and of the adapter; ``(name, None)`` for a model.

    Raises:
        ModelError: The adapter does not say which model it is for.
    """
    file = _config_file(name)
    if file is None:
        return name, None
    try:
        base = json.loads(file.read_text()).get("base_model_name_or_path")
    except (OSError, ValueError, AttributeError) as error:
        raise ModelError(
            f"cannot read the {CONFIG} of {shown(name)}: {first_line(error)}; {_REMEDY}"
        ) from error
    if not isinstance(base, str) or not base:
        raise ModelError(
            f"the adapter {shown(name)} names no model; give the model as the captioner, and this "
            "as its adapter"
        )
    return base, name


def name_of(base: str, adapter: str | None) -> str:
    """The name of a model with an adapter, as `Caption.model` and `Clips.model` record it."""
    return base if adapter is None else f"{base} + {adapter}"


def _config_file(name: str) -> Path | None:
    """The description of an adapter in a folder, or in the local cache of the hub."""
    if is_folder(name):
        file = Path(name) / CONFIG
        return file if file.is_file() else None
    try:
        cached = try_to_load_from_cache(name, CONFIG)
    except HFValidationError:
        return None
    return Path(cached) if isinstance(cached, str) else None


def with_adapter(network: Any, adapter: str, *, model: str, device: torch.device) -> Any:
    """Put an adapter on a model.

    Args:
        network: Model of transformers.
        adapter: Folder or hub id of the adapter.
        model: Name of the model, for errors.
        device: Device of the model.

    Returns:
        A `PeftModel`, which generates as the model does.

    Raises:
        ModelError: The adapter does not load, or is one of another model.
        MissingDependencyError: PEFT is not installed.
    """
    peft = require("peft", extra="peft")
    where = {"local_files_only": is_local(adapter, kind="adapter", remedy=_REMEDY, layout=_LAYOUT)}
    try:
        # PEFT itself only warns of weights for which the model has no place, and of missing ones.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adapted = peft.PeftModel.from_pretrained(
                network, adapter, torch_device=str(device), **where
            ).eval()
        given = set(peft.load_peft_weights(adapter, device="cpu", **where))
        wanted = set(peft.get_peft_model_state_dict(adapted))
    except (OSError, ValueError, RuntimeError, KeyError, UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"cannot load the adapter {shown(adapter)} onto {shown(model)}: {first_line(error)}; "
            "give an adapter that was trained on this model"
        ) from error
    trained_on = (adapted.active_peft_config.auto_mapping or {}).get("base_model_class")
    if given != wanted or trained_on not in (None, type(network).__name__):
        raise ModelError(
            f"the adapter {shown(adapter)} is of another model than {shown(model)}, a "
            f"{type(network).__name__}: {len(given & wanted)} of its {len(given)} weights have a "
            f"place there{f', and it is for a {trained_on}' if trained_on else ''}; give the model "
            "that it was trained on"
        )
    return adapted
