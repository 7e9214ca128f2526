"""Language models of random weights that read bytes: a Llama, and a Qwen2 that chats."""

from pathlib import Path
from typing import Any

import torch

from tests.support.tiny.family import hf
from tests.support.tiny.shared_parts import chat_template
from tests.support.tiny.tokenizer import VOCABULARY, byte_tokenizer


def language_model(family: str = "Llama", *, positions: int = 1024, chats: bool = False) -> Any:
    """A model of a family and its tokenizer of one token a byte; the same weights every time.

    Args:
        family: Beginning of the names of its classes: ``"Llama"``, ``"Qwen2"`` ...
        positions: Tokens of its context.
        chats: Whether the tokenizer has a chat template.
    """
    config = hf(f"{family}Config")(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=positions,
        initializer_range=0.5,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = hf(f"{family}ForCausalLM")(config).eval()
    tokenizer = byte_tokenizer([])
    if chats:
        tokenizer.chat_template = chat_template(image="", video="")
    return model, tokenizer


def save_llama(folder: Path, *, positions: int = 1024, chats: bool = False) -> Path:
    """Write the Llama of `language_model` to a folder that `from_pretrained` reads; returns it."""
    for part in language_model(positions=positions, chats=chats):
        part.save_pretrained(folder)
    return folder
