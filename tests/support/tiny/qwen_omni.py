"""The thinkers of Qwen2.5-Omni and Qwen3-Omni: the position ids hold the time."""

from collections.abc import Sequence
from typing import Any

from tests.support.tiny import read_back
from tests.support.tiny.family import Family, Inputs, hf
from tests.support.tiny.shared_parts import CLIP_MEAN, CLIP_STD, chat_template, language_config
from tests.support.tiny.tokenizer import byte_tokenizer

PER_SECOND = 25
NAMED = {
    "image_token": "<|IMAGE|>",
    "audio_token": "<|AUDIO|>",
    "video_token": "<|VIDEO|>",
    "vision_bos_token": "<|vision_bos|>",
    "vision_eos_token": "<|vision_eos|>",
    "audio_bos_token": "<|audio_bos|>",
    "audio_eos_token": "<|audio_eos|>",
}
SIZE = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 64}
VISION = {
    "depth": 2,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_heads": 2,
    "out_hidden_size": 64,
    "patch_size": 14,
}
AUDIO = {
    "d_model": 32,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "num_mel_bins": 8,
    "output_dim": 64,
    "max_source_positions": 64,
}


def _processor(name: str = "Qwen2_5OmniProcessor") -> Any:
    return hf(name)(
        image_processor=hf("Qwen2VLImageProcessor")(size=SIZE),
        video_processor=hf("Qwen2VLVideoProcessor")(size=SIZE),
        feature_extractor=hf("WhisperFeatureExtractor")(feature_size=8),
        tokenizer=byte_tokenizer((), named=NAMED, class_before_5="Qwen2TokenizerFast"),
        chat_template=chat_template(
            image="<|vision_bos|><|IMAGE|><|vision_eos|>",
            video="<|vision_bos|><|VIDEO|><|vision_eos|>",
        ),
    )


def _model(processor: Any) -> Any:
    tokenizer = processor.tokenizer
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in NAMED.items()}
    config = hf("Qwen2_5OmniThinkerConfig")(
        text_config=language_config(tokenizer, mrope_section=(2, 3, 3)),
        vision_config={**VISION, "fullatt_block_indexes": [1], "window_size": 56},
        audio_config={**AUDIO},
        position_id_per_seconds=PER_SECOND,
        image_token_index=ids["image_token"],
        audio_token_index=ids["audio_token"],
        video_token_index=ids["video_token"],
        vision_start_token_id=ids["vision_bos_token"],
        vision_end_token_id=ids["vision_eos_token"],
        audio_start_token_id=ids["audio_bos_token"],
        audio_end_token_id=ids["audio_eos_token"],
        user_token_id=tokenizer.convert_tokens_to_ids("u"),
    )
    return hf("Qwen2_5OmniThinkerForConditionalGeneration")(config)


def _read_back(inputs: Inputs) -> list[int]:
    return read_back.from_patches(inputs, mean=CLIP_MEAN, std=CLIP_STD, frames_per_patch=2)


def _read_times(
    inputs: Inputs, processor: Any, model: Any, *, per_second: int = PER_SECOND
) -> list[float]:
    """Temporal positions of the visual tokens, from each video's first, in seconds."""
    heard = inputs.get("feature_attention_mask")
    positions, _ = model.get_rope_index(
        inputs["input_ids"],
        video_grid_thw=inputs["video_grid_thw"],
        attention_mask=inputs["attention_mask"],
        second_per_grids=inputs["video_second_per_grid"],
        audio_seqlens=heard.sum(-1) if heard is not None else None,
    )
    return read_back.seconds_of_positions(positions[0], inputs, model.config, per_second=per_second)


def _expected(seconds: Sequence[float]) -> list[float]:
    starts = read_back.mean_of_pairs(seconds)
    return [int((start - starts[0]) * PER_SECOND + 1e-6) / PER_SECOND for start in starts]


QWEN2_5_OMNI = Family(
    name="qwen2_5_omni",
    classes=("Qwen2_5OmniThinkerForConditionalGeneration", "Qwen2VLVideoProcessor"),
    frames_per_patch=2,
    processor=_processor,
    model=_model,
    read_back=_read_back,
    read_times=_read_times,
    expected_times=_expected,
)


PER_SECOND_3 = 13
MOE = {"moe_intermediate_size": 32, "num_experts": 4, "num_experts_per_tok": 2}


def _model_3(processor: Any) -> Any:
    tokenizer = processor.tokenizer
    ids = {name: tokenizer.convert_tokens_to_ids(token) for name, token in NAMED.items()}
    config = hf("Qwen3OmniMoeThinkerConfig")(
        text_config=language_config(tokenizer, mrope_section=(4, 2, 2), head_dim=16, **MOE),
        vision_config={**VISION, "num_position_embeddings": 64, "deepstack_visual_indexes": [0]},
        audio_config={**AUDIO, "downsample_hidden_size": 8},
        position_id_per_seconds=PER_SECOND_3,
        image_token_id=ids["image_token"],
        audio_token_id=ids["audio_token"],
        video_token_id=ids["video_token"],
        vision_start_token_id=ids["vision_bos_token"],
        vision_end_token_id=ids["vision_eos_token"],
        audio_start_token_id=ids["audio_bos_token"],
        audio_end_token_id=ids["audio_eos_token"],
        user_token_id=tokenizer.convert_tokens_to_ids("u"),
    )
    return hf("Qwen3OmniMoeThinkerForConditionalGeneration")(config)


def _read_milliseconds(inputs: Inputs, processor: Any, model: Any) -> list[float]:
    """As for Qwen2.5-Omni; positions of Qwen3-Omni are not cut, so what float32 keeps is read."""
    times = _read_times(inputs, processor, model, per_second=PER_SECOND_3)
    return [round(time, 3) for time in times]


def _expected_milliseconds(seconds: Sequence[float]) -> list[float]:
    starts = read_back.mean_of_pairs(seconds)
    return [round(start - starts[0], 3) for start in starts]


QWEN3_OMNI = Family(
    name="qwen3_omni_moe",
    classes=("Qwen3OmniMoeThinkerForConditionalGeneration", "Qwen2VLVideoProcessor"),
    frames_per_patch=2,
    processor=lambda: _processor("Qwen3OmniMoeProcessor"),
    model=_model_3,
    read_back=_read_back,
    read_times=_read_milliseconds,
    expected_times=_expected_milliseconds,
)
