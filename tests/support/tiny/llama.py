"""A language model of random weights that reads bytes."""

from pathlib import Path

import torch

from tests.support.tiny.tokenizer import VOCABULARY, byte_tokenizer


def save_llama(folder: Path) -> Path:
    """Write a Llama of random weights and its tokenizer of one token a byte."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=1024,
        initializer_range=0.5,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    byte_tokenizer([]).save_pretrained(folder)
    return folder
