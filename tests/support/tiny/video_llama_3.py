"""VideoLLaMA3: the time of every frame in the prompt, tokens that repeat are left out."""

from collections.abc import Sequence
from typing import Any

from tests.support.tiny import read_back
from tests.support.tiny.family import Family, Inputs, hf
from tests.support.tiny.shared_parts import HALF, chat_template, language_config
from tests.support.tiny.tokenizer import byte_tokenizer

SIZE = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 64}
# Pixels of the whole clip: each frame may have its share.
CLIP = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 4096}


def _processor() -> Any:
    return hf("VideoLlama3Processor")(
        image_processor=hf("VideoLlama3ImageProcessor")(size=SIZE),
        tokenizer=byte_tokenizer(("<|image_pad|>", "<|video_pad|>")),
        video_processor=hf("VideoLlama3VideoProcessor")(size=CLIP),
        chat_template=chat_template(image="<|image_pad|>", video="<|video_pad|>"),
    )


def _model(processor: Any) -> Any:
    config = hf("VideoLlama3Config")(
        text_config=language_config(processor.tokenizer, model_type="qwen2"),
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "patch_size": 14,
        },
        image_token_id=processor.image_token_id,
        video_token_id=processor.video_token_id,
    )
    return hf("VideoLlama3ForConditionalGeneration")(config)


def _read_back(inputs: Inputs) -> list[int]:
    return read_back.from_patches(inputs, mean=HALF, std=HALF, frames_per_patch=1)


def _read_times(inputs: Inputs, processor: Any, model: Any) -> list[float]:
    return read_back.seconds_in_prompt(r"Time (\d+\.\d)s:", inputs, processor)


def _expected(seconds: Sequence[float]) -> list[float]:
    return [float(f"{time:.1f}") for time in seconds]


VIDEO_LLAMA_3 = Family(
    name="video_llama_3",
    classes=("VideoLlama3ForConditionalGeneration", "VideoLlama3VideoProcessor"),
    frames_per_patch=1,
    processor=_processor,
    model=_model,
    read_back=_read_back,
    read_times=_read_times,
    expected_times=_expected,
)
