"""Tiny random-weight models of every supported family, built offline from their configs.

Example:
    processor, model = build("qwen3_vl")
"""

import os
from pathlib import Path
from typing import Any

from tests.support.tiny.family import Family
from tests.support.tiny.glm4v import GLM4V, GLM46V
from tests.support.tiny.internvl import INTERNVL
from tests.support.tiny.llava import LLAVA_NEXT_VIDEO, LLAVA_ONEVISION, VIDEO_LLAVA
from tests.support.tiny.newer_frames import IN_FRAMES
from tests.support.tiny.newer_patches import IN_PATCHES
from tests.support.tiny.newer_qwen import QWEN_KIN
from tests.support.tiny.qwen import QWEN2_5_VL, QWEN2_VL, QWEN3_VL
from tests.support.tiny.qwen_omni import QWEN2_5_OMNI, QWEN3_OMNI
from tests.support.tiny.smolvlm import SMOLVLM
from tests.support.tiny.video_llama_3 import VIDEO_LLAMA_3

FAMILIES: dict[str, Family] = {
    family.name: family
    for family in (
        QWEN2_VL,
        QWEN2_5_VL,
        QWEN2_5_OMNI,
        QWEN3_VL,
        LLAVA_ONEVISION,
        LLAVA_NEXT_VIDEO,
        VIDEO_LLAVA,
        INTERNVL,
        SMOLVLM,
        VIDEO_LLAMA_3,
        GLM4V,
        GLM46V,
    )
}

# Held to fewer laws, each once: there are many, and they differ in little.
NEWER_FAMILIES: dict[str, Family] = {
    family.name: family for family in (*QWEN_KIN, *IN_PATCHES, *IN_FRAMES, QWEN3_OMNI)
}


def build(family: str) -> tuple[Any, Any]:
    """The processor and the model of a family; the same weights every time."""
    return FAMILIES[family].build()


def save(family: str, folder: str | os.PathLike[str]) -> Path:
    """Write a family to a folder that the Auto classes' `from_pretrained` read; returns it."""
    folder = Path(folder)
    processor, model = build(family)
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder
