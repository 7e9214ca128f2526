"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL."""

from collections.abc import Sequence
from typing import Any

from tests.support.tiny import read_back
from tests.support.tiny.family import Family, Inputs, hf
from tests.support.tiny.shared_parts import (
    CLIP_MEAN,
    CLIP_STD,
    HALF,
    chat_template,
    language_config,
)
from tests.support.tiny.tokenizer import byte_tokenizer

SPECIAL = (
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)
TEMPLATE = chat_template(
    image="<|vision_start|><|image_pad|><|vision_end|>",
    video="<|vision_start|><|video_pad|><|vision_end|>",
)


def token_ids(tokenizer: Any) -> dict[str, int]:
    """Ids of the special tokens, as the configs name them."""
    ids: dict[str, int] = {
        f"{name}_token_id": tokenizer.convert_tokens_to_ids(f"<|{token}|>")
        for name, token in {
            "image": "image_pad",
            "video": "video_pad",
            "vision_start": "vision_start",
            "vision_end": "vision_end",
        }.items()
    }
    return ids


def _pixels(smallest: int, largest: int) -> dict[str, int]:
    return {"shortest_edge": smallest, "longest_edge": largest}


def _processor(name: str) -> Any:
    size = _pixels(28 * 28, 28 * 28 * 64)
    return hf(name)(
        image_processor=hf("Qwen2VLImageProcessor")(size=size),
        tokenizer=byte_tokenizer(SPECIAL, class_before_5="Qwen2TokenizerFast"),
        video_processor=hf("Qwen2VLVideoProcessor")(size=size),
        chat_template=TEMPLATE,
    )


def _processor_3() -> Any:
    size = _pixels(32 * 32, 32 * 32 * 64)
    # Qwen3-VL counts the pixels of the whole clip, not of one frame.
    clip = _pixels(32 * 32, 32 * 32 * 4096)
    halves = {"image_mean": list(HALF), "image_std": list(HALF)}
    return hf("Qwen3VLProcessor")(
        image_processor=hf("Qwen2VLImageProcessor")(size=size, patch_size=16, **halves),
        tokenizer=byte_tokenizer(SPECIAL, class_before_5="Qwen2TokenizerFast"),
        video_processor=hf("Qwen3VLVideoProcessor")(size=clip),
        chat_template=TEMPLATE,
    )


def _model_2(processor: Any) -> Any:
    config = hf("Qwen2VLConfig")(
        text_config=language_config(processor.tokenizer, mrope_section=(2, 3, 3)),
        vision_config={
            "depth": 2,
            "embed_dim": 32,
            "hidden_size": 64,
            "mlp_ratio": 2,
            "num_heads": 2,
            "patch_size": 14,
        },
        **token_ids(processor.tokenizer),
    )
    return hf("Qwen2VLForConditionalGeneration")(config)


def _model_2_5(processor: Any) -> Any:
    config = hf("Qwen2_5_VLConfig")(
        text_config=language_config(processor.tokenizer, mrope_section=(2, 3, 3)),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "patch_size": 14,
            "tokens_per_second": 2,
            "fullatt_block_indexes": [1],
            "window_size": 56,
        },
        **token_ids(processor.tokenizer),
    )
    return hf("Qwen2_5_VLForConditionalGeneration")(config)


def _model_3(processor: Any) -> Any:
    config = hf("Qwen3VLConfig")(
        text_config=language_config(processor.tokenizer, mrope_section=(4, 2, 2), head_dim=16),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "patch_size": 16,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0],
        },
        **token_ids(processor.tokenizer),
    )
    return hf("Qwen3VLForConditionalGeneration")(config)


def _read_back(inputs: Inputs) -> list[int]:
    return read_back.from_patches(inputs, mean=CLIP_MEAN, std=CLIP_STD, frames_per_patch=2)


def _read_back_3(inputs: Inputs) -> list[int]:
    return read_back.from_patches(inputs, mean=HALF, std=HALF, frames_per_patch=2)


def _position_times(inputs: Inputs, processor: Any, model: Any) -> list[float]:
    """Temporal positions of the visual tokens, from each video's first, in seconds."""
    rows = {
        name: inputs[name]
        for name in ("video_grid_thw", "second_per_grid_ts", "attention_mask", "mm_token_type_ids")
        if name in inputs
    }
    positions, _ = model.model.get_rope_index(inputs["input_ids"], **rows)  # (3, batch, length)
    per_second = model.config.vision_config.tokens_per_second
    return read_back.seconds_of_positions(positions[0], inputs, model.config, per_second=per_second)


def _expected_positions(seconds: Sequence[float]) -> list[float]:
    """Half seconds since the first patch, cut: positions are whole numbers, two a second."""
    starts = read_back.mean_of_pairs(seconds)
    return [int((start - starts[0]) * 2 + 1e-6) / 2 for start in starts]


def _prompt_times(inputs: Inputs, processor: Any, model: Any) -> list[float]:
    return read_back.seconds_in_prompt(r"<(\d+\.\d) seconds>", inputs, processor)


def _expected_prompt(seconds: Sequence[float]) -> list[float]:
    return [float(f"{mean:.1f}") for mean in read_back.mean_of_pairs(seconds)]


QWEN2_VL = Family(
    name="qwen2_vl",
    classes=("Qwen2VLForConditionalGeneration", "Qwen2VLVideoProcessor"),
    frames_per_patch=2,
    processor=lambda: _processor("Qwen2VLProcessor"),
    model=_model_2,
    read_back=_read_back,
    read_times=None,
    expected_times=None,
)
QWEN2_5_VL = Family(
    name="qwen2_5_vl",
    classes=("Qwen2_5_VLForConditionalGeneration", "Qwen2VLVideoProcessor"),
    frames_per_patch=2,
    processor=lambda: _processor("Qwen2_5_VLProcessor"),
    model=_model_2_5,
    read_back=_read_back,
    read_times=_position_times,
    expected_times=_expected_positions,
)
QWEN3_VL = Family(
    name="qwen3_vl",
    classes=("Qwen3VLForConditionalGeneration", "Qwen3VLVideoProcessor"),
    frames_per_patch=2,
    processor=_processor_3,
    model=_model_3,
    read_back=_read_back_3,
    read_times=_prompt_times,
    expected_times=_expected_prompt,
)
