"""A tiny Video-LLM of the Qwen2.5-VL architecture: its tokenizer, its processor, its weights."""

from collections.abc import Iterable
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END = "<|im_end|>"
_PAD = "<|endoftext|>"
_SPECIAL = (
    _PAD,
    "<|im_start|>",
    END,
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
_VOCABULARY = 640
# A frame of 640 x 360 becomes 2 x 1 visual tokens of 28 x 28 pixels.
_PIXELS = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 3}
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}"
    "{% if part['type'] == 'video' %}<|vision_start|><|video_pad|><|vision_end|>"
    "{% elif part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make_processor(
    texts: Iterable[str], *, vocabulary: int = _VOCABULARY, within_words: bool = True
) -> Any:
    """A processor whose byte-level tokenizer is trained on these texts; it encodes any text.

    Args:
        texts: Prompts and answers; words that occur in them become single tokens.
        vocabulary: Most tokens, at most 640, the size of the model's vocabulary.
        within_words: Whether a token ends with its word. If not, what is frequent becomes one
            token, however long.
    """
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(
        add_prefix_space=False, use_regex=within_words
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    fast: Any = PreTrainedTokenizerFast
    processor: Any = Qwen2_5_VLProcessor
    return processor(
        image_processor=Qwen2VLImageProcessor(size=_PIXELS),
        tokenizer=fast(
            tokenizer_object=tokenizer,
            eos_token=END,
            pad_token=_PAD,
            padding_side="left",
            model_max_length=8192,
            model_input_names=["input_ids", "attention_mask"],
        ),
        video_processor=Qwen2VLVideoProcessor(size=_PIXELS),
        chat_template=_TEMPLATE,
    )


def make_model(processor: Any, *, seed: int, hidden: int = 64, layers: int = 2) -> Any:
    """A model with random weights.

    Args:
        processor: Processor of `make_processor`.
        seed: Seed of the weights.
        hidden: Width of the language model; a multiple of 32.
        layers: Number of layers of the language model.
    """
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    tokenizer = processor.tokenizer
    names = {"image": "image_pad", "video": "video_pad"}
    names |= {"vision_start": "vision_start", "vision_end": "vision_end"}
    ids = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in names.items()
    }
    rope = {"rope_type": "default", "mrope_section": [2, 3, 3], "rope_theta": 1e4}
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": _VOCABULARY,
            "hidden_size": hidden,
            "intermediate_size": 2 * hidden,
            "num_hidden_layers": layers,
            "num_attention_heads": hidden // 16,
            "num_key_value_heads": hidden // 16,
            "max_position_embeddings": 8192,
            "bos_token_id": tokenizer.pad_token_id,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
            "rope_parameters": rope,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 4,
            "out_hidden_size": hidden,
            "patch_size": 14,
            "tokens_per_second": 2,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        **ids,
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network: Any = Qwen2_5_VLForConditionalGeneration
        model = network(config)
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model
