"""A tiny Video-LLM that answers every prompt with one given text, by its weights alone.

The text is one token of its tokenizer. The layers add nothing to the embeddings, so the next token
depends on the last one only: the line break that ends a prompt calls for the text, and the text for
the end of the answer, or for itself in a model that never stops.
"""

import os
from pathlib import Path
from typing import Any

import torch
from tokenizers import AddedToken

from tests.support.tiny import build

_BREAK, _TEXT, _OTHER = range(3)  # directions of the embeddings


def scripted(answer: str, *, stops: bool = True) -> tuple[Any, Any]:
    """The processor and the model of a tiny Qwen2.5-VL that answers ``answer``.

    Args:
        answer: Text of every answer; an empty one ends at once.
        stops: Whether the answer ends after the text; else the text is repeated.
    """
    processor, model = build("qwen2_5_vl")
    tokenizer = processor.tokenizer
    if answer:
        tokenizer.add_tokens([AddedToken(answer, normalized=False)])
    end = tokenizer.eos_token_id
    text = tokenizer.convert_tokens_to_ids(answer) if answer else end
    (line_break,) = tokenizer("\n")["input_ids"]
    embeddings, head = model.get_input_embeddings().weight, model.lm_head.weight
    with torch.no_grad():
        for layer in model.model.language_model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        embeddings.zero_()
        embeddings[:, _OTHER] = 1.0
        for token, direction in ((text, _TEXT), (line_break, _BREAK)):
            embeddings[token].zero_()
            embeddings[token, direction] = 1.0
        head.zero_()
        head[text, _BREAK] = 1.0
        head[end if stops else text, _TEXT] = 1.0
        head[end, _OTHER] = 1.0
    model.generation_config.eos_token_id = end
    return processor, model


def save_scripted(folder: str | os.PathLike[str], answer: str, *, stops: bool = True) -> Path:
    """Write the model of `scripted` to a folder that `from_pretrained` reads; returns it."""
    folder = Path(folder)
    for part in scripted(answer, stops=stops):
        part.save_pretrained(folder)
    return folder
