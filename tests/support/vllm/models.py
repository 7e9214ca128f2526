"""The tiny Qwen models with heads of 64 dimensions, which vLLM's attention on CPUs asks for."""

from pathlib import Path
from typing import Any

import torch

from tests.support.tiny.family import Family, hf
from tests.support.tiny.qwen import QWEN2_5_VL, QWEN3_VL, token_ids
from tests.support.tiny.shared_parts import language_config

_WIDTH = 256
_TOWER = {
    "depth": 2,
    "hidden_size": 128,
    "intermediate_size": 128,
    "num_heads": 2,
    "out_hidden_size": _WIDTH,
}
_TOWERS: dict[str, tuple[Family, dict[str, Any]]] = {
    "Qwen2_5_VL": (
        QWEN2_5_VL,
        {"patch_size": 14, "tokens_per_second": 2, "fullatt_block_indexes": [1], "window_size": 56},
    ),
    "Qwen3VL": (
        QWEN3_VL,
        {"patch_size": 16, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
    ),
}


def save(name: str, folder: Path) -> Path:
    """Write a model and its processor to a folder; returns the folder.

    Args:
        name: ``"Qwen2_5_VL"`` or ``"Qwen3VL"``, the start of the classes' names.
        folder: Where to.
    """
    family, tower = _TOWERS[name]
    processor = family.processor()
    text = language_config(
        processor.tokenizer,
        mrope_section=(16, 8, 8),
        hidden_size=_WIDTH,
        intermediate_size=_WIDTH,
        head_dim=64,
        max_position_embeddings=32768,
    )
    config = hf(f"{name}Config")(
        text_config=text, vision_config=_TOWER | tower, **token_ids(processor.tokenizer)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = hf(f"{name}ForConditionalGeneration")(config).eval()
    model.generation_config.eos_token_id = None
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
