"""LoRA adapters with random weights, saved as PEFT's users have them in a folder."""

import warnings
from importlib import import_module
from pathlib import Path

import torch
import transformers


def save_adapter(base: Path, folder: Path, *, targets: tuple[str, ...] = ("q_proj",)) -> Path:
    """Write an adapter of the model in ``base``; its weights change what the model answers.

    Args:
        base: Folder of a model that `tests.support.tiny.save` wrote.
        folder: Folder to write to.
        targets: Names of the layers that it adapts.

    Returns:
        The folder.
    """
    peft = import_module("peft")
    config = peft.LoraConfig(r=4, target_modules=list(targets), init_lora_weights=False)
    with warnings.catch_warnings(), torch.random.fork_rng():
        warnings.simplefilter("ignore")  # PEFT asks transformers for a name that it deprecates
        torch.manual_seed(0)
        model = transformers.AutoModelForImageTextToText.from_pretrained(base)
        adapted = peft.get_peft_model(model, config)
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                torch.nn.init.normal_(weight, std=0.5)
        adapted.save_pretrained(folder)
    return folder
