"""A byte-level tokenizer without merges: one token a byte, and the special tokens of a family."""

from collections.abc import Mapping, Sequence
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from tests.support.tiny.family import hf, installed_before

VOCABULARY = (
    320  # 256 bytes and room for the special tokens; the size of every tiny model's vocabulary
)
START = "<|im_start|>"
END = "<|im_end|>"
PAD = "<|endoftext|>"


def byte_tokenizer(
    special: Sequence[str],
    *,
    named: Mapping[str, str] | None = None,
    class_before_5: str = "PreTrainedTokenizerFast",
) -> PreTrainedTokenizerFast:
    """A tokenizer that needs no file and encodes any text exactly.

    Args:
        special: The family's special tokens, without start, end and padding.
        named: Special tokens that the family's processor asks the tokenizer for by attribute.
        class_before_5: The class of tokenizer that the processor of transformers 4 insists on.
    """
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={c: i for i, c in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    every = [PAD, START, END, *special, *(named or {}).values()]
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in every])
    if tokenizer.get_vocab_size() > VOCABULARY:
        raise ValueError(f"{tokenizer.get_vocab_size()} tokens do not fit into {VOCABULARY}")
    keywords: dict[str, Any] = {"extra_special_tokens": dict(named)} if named else {}
    name = class_before_5 if installed_before("5") else "PreTrainedTokenizerFast"
    made: PreTrainedTokenizerFast = hf(name)(
        tokenizer_object=tokenizer,
        eos_token=END,
        pad_token=PAD,
        padding_side="left",
        model_max_length=8192,
        model_input_names=["input_ids", "attention_mask"],
        **keywords,
    )
    return made
