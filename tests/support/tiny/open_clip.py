"""Tiny OpenCLIP models with random weights, saved by OpenCLIP as it publishes them."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from keyscore_plugin._runtime.hub import OPEN_CLIP
from keyscore_plugin._runtime.optional import require
from tests.support.tiny.encoders import TEXT_TOKENS, tiny_tokenizer

_TEXT = {"context_length": TEXT_TOKENS, "width": 32, "heads": 2, "layers": 2}
_VISION = {"image_size": 32, "patch_size": 8, "width": 32, "head_width": 16, "layers": 2}
_SHARP = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28], "interpolation": "bicubic"}
# What OpenCLIP publishes PE-Core with.
PE_PICTURES = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bilinear"}


def save_clip(folder: Path) -> None:
    """CLIP: 32 px, the middle of the picture; texts by OpenCLIP's own tokenizer."""
    config = {
        "embed_dim": 24,
        "vision_cfg": _VISION,
        "text_cfg": {**_TEXT, "vocab_size": 49408},
    }
    _save(folder, config, {**_SHARP, "resize_mode": "shortest"})


def save_pe(folder: Path) -> None:
    """PE-Core-bigG-14-448 but for its sizes: two layers of timm's smallest PE at 64 px."""
    tower = folder / "tower"
    tower.mkdir()
    described = {
        "architecture": "vit_pe_core_tiny_patch16_384",
        "model_args": {"img_size": 64, "depth": 2, "embed_dim": 96},
        "pretrained_cfg": {"input_size": [3, 64, 64]},
    }
    (tower / "config.json").write_text(json.dumps(described))
    config = open_clip().get_model_config("PE-Core-bigG-14-448")
    config["embed_dim"] = 24
    config["text_cfg"].update(_TEXT)
    config["vision_cfg"].update(timm_model_name=f"local-dir:{tower}", image_size=64)
    _save(folder, config, {**PE_PICTURES, "resize_mode": "squash"})


def save_siglip(folder: Path) -> None:
    """SigLIP: texts by a tokenizer of transformers in the folder of the weights."""
    config = {
        "embed_dim": 32,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": _VISION,
        "text_cfg": {
            **_TEXT,
            "vocab_size": 32,
            "hf_tokenizer_name": "some-lab/some-tokenizer",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "no_causal_mask": True,
            "pool_type": "last",
        },
    }
    tiny_tokenizer("$A </s>").save_pretrained(folder)
    _save(folder, config, {**PE_PICTURES, "resize_mode": "longest", "fill_color": 0})


SAVE_OPEN_CLIP = {"clip": save_clip, "pe": save_pe, "siglip": save_siglip}


def open_clip() -> Any:
    """The package."""
    return require("open_clip", extra="open-clip")


def _save(folder: Path, config: dict[str, Any], preprocess: dict[str, Any]) -> None:
    written = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / OPEN_CLIP.config).write_text(json.dumps(written))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = open_clip().create_model(f"local-dir:{folder}", load_weights=False)
        for parameter in model.parameters():  # wide enough that inputs make a difference
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.2)
    (weights,) = OPEN_CLIP.weights
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / weights)
