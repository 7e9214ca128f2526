"""InternVL: frames as images, numbered in the prompt, no times."""

from typing import Any

from tests.support.tiny import read_back
from tests.support.tiny.family import Family, Inputs, hf
from tests.support.tiny.shared_parts import (
    CLIP_MEAN,
    CLIP_STD,
    chat_template,
    language_config,
    tower_config,
)
from tests.support.tiny.tokenizer import byte_tokenizer

NAMED = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
SQUARE = {"height": 56, "width": 56}
TOKENS_PER_FRAME = 4  # 4 x 4 patches, downsampled by 2 in both directions


def _processor() -> Any:
    return hf("InternVLProcessor")(
        image_processor=hf("GotOcr2ImageProcessor")(size=SQUARE),
        tokenizer=byte_tokenizer((), named=NAMED),
        video_processor=hf("InternVLVideoProcessor")(size=SQUARE),
        image_seq_length=TOKENS_PER_FRAME,
        chat_template=chat_template(image="<IMG_CONTEXT>\n", video="<video>\n"),
    )


def _model(processor: Any) -> Any:
    config = hf("InternVLConfig")(
        text_config=language_config(processor.tokenizer, model_type="qwen2"),
        vision_config=tower_config("internvl_vision"),
        image_token_id=processor.image_token_id,
        image_seq_length=TOKENS_PER_FRAME,
    )
    return hf("InternVLForConditionalGeneration")(config)


def _read_back(inputs: Inputs) -> list[int]:
    return read_back.from_frames(inputs["pixel_values"], mean=CLIP_MEAN, std=CLIP_STD)


INTERNVL = Family(
    name="internvl",
    classes=("InternVLForConditionalGeneration", "InternVLVideoProcessor"),
    frames_per_patch=1,
    processor=_processor,
    model=_model,
    read_back=_read_back,
    read_times=None,
    expected_times=None,
)
