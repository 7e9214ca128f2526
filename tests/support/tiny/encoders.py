"""Tiny dual encoders with random weights, saved as a user would have them in a folder."""

import string
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, processors

from tests.support.tiny.qwen import QWEN3_VL

TEXT_TOKENS = 32  # positions of every tiny text model
# A token a letter, as a tokenizer of any class of transformers makes it from this vocabulary.
_TOKENS = ["<pad>", "<s>", "</s>", "<unk>", "▁", *string.ascii_lowercase]
_TEXT: dict[str, Any] = {
    "vocab_size": len(_TOKENS),
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": TEXT_TOKENS,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "projection_dim": 24,
}
_VISION: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "patch_size": 8,
    "projection_dim": 24,
}


def save_clip(folder: Path) -> None:
    """CLIP: 32 px, centre crop, texts between two marks and not padded."""
    _save(
        folder,
        transformers.CLIPModel(
            transformers.CLIPConfig(
                text_config=_TEXT, vision_config={**_VISION, "image_size": 32}, projection_dim=24
            )
        ),
        image_processor("CLIP")(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}),
        tiny_tokenizer("<s> $A </s>"),
    )


def save_siglip(folder: Path) -> None:
    """SigLIP: 32 px, squashed, texts padded to the full length."""
    config = transformers.SiglipConfig(
        text_config={**_TEXT, "projection_size": 32}, vision_config={**_VISION, "image_size": 32}
    )
    processor = image_processor("Siglip")(size={"height": 32, "width": 32})
    _save(folder, transformers.SiglipModel(config), processor, tiny_tokenizer("$A </s>"))


def save_siglip2(folder: Path) -> None:
    """SigLIP 2 naflex: as many 8 px patches as fit 16, in the frame's own shape."""
    config = transformers.Siglip2Config(
        text_config={**_TEXT, "projection_size": 32}, vision_config={**_VISION, "num_patches": 16}
    )
    processor = image_processor("Siglip2")(patch_size=8, max_num_patches=16)
    _save(folder, transformers.Siglip2Model(config), processor, tiny_tokenizer("$A </s>"))


SAVE = {"clip": save_clip, "siglip": save_siglip, "siglip2": save_siglip2}


def save_qwen3_vl_embedding(folder: Path) -> None:
    """Qwen3-VL-Embedding: a whole Qwen3-VL, as published; texts of up to 256 tokens."""
    processor, model = QWEN3_VL.build()
    tokenizer = processor.tokenizer
    tokenizer.model_max_length = 256
    pictures = image_processor("Qwen2VL")(**processor.image_processor.to_dict())
    _save(folder, model, pictures, tokenizer)


# A folder of it needs this name, or another one with this in it.
SAVE_QWEN = {"qwen3-vl-embedding": save_qwen3_vl_embedding}


def image_processor(family: str) -> Any:
    """The class that works on PIL pictures; until transformers 5.0 it had no separate name."""
    name = f"{family}ImageProcessor"
    return getattr(transformers, f"{name}Pil", getattr(transformers, name))


def tiny_tokenizer(template: str) -> Any:
    vocabulary = {token: row for row, token in enumerate(_TOKENS)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], unk_token="<unk>"))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Lowercase(), normalizers.Replace(" ", "▁")]
    )
    tokenizer.post_processor = processors.TemplateProcessing(
        single=template, special_tokens=[("<s>", 1), ("</s>", 2)]
    )
    fast: Any = transformers.PreTrainedTokenizerFast
    return fast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        unk_token="<unk>",
        model_max_length=TEXT_TOKENS,
        model_input_names=["input_ids"],
    )


def _save(folder: Path, model: Any, image_processor: Any, tokenizer: Any) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        for parameter in model.parameters():  # wide enough that inputs make a difference
            torch.nn.init.normal_(parameter, std=0.2)
    for part in (model, image_processor, tokenizer):
        part.save_pretrained(folder)
