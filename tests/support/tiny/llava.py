"""LLaVA-OneVision, LLaVA-NeXT-Video and Video-LLaVA: frames as images, no times."""

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

SPECIAL = ("<image>", "<video>")
TEMPLATE = chat_template(image="<image>\n", video="<video>\n")
SQUARE = {"height": 56, "width": 56}
SHORT = {"shortest_edge": 56}
GRID = [[56, 112], [112, 56]]


def _ids(processor: Any) -> dict[str, int]:
    convert = processor.tokenizer.convert_tokens_to_ids
    return {"image_token_index": convert("<image>"), "video_token_index": convert("<video>")}


def _processor_onevision() -> Any:
    return hf("LlavaOnevisionProcessor")(
        image_processor=hf("LlavaOnevisionImageProcessor")(size=SQUARE, image_grid_pinpoints=GRID),
        tokenizer=byte_tokenizer(SPECIAL),
        video_processor=hf("LlavaOnevisionVideoProcessor")(size=SQUARE),
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=TEMPLATE,
    )


def _model_onevision(processor: Any) -> Any:
    config = hf("LlavaOnevisionConfig")(
        text_config=language_config(processor.tokenizer, model_type="qwen2"),
        vision_config=tower_config("siglip_vision_model", vision_use_head=False),
        image_grid_pinpoints=GRID,
        **_ids(processor),
    )
    return hf("LlavaOnevisionForConditionalGeneration")(config)


def _processor_next_video() -> Any:
    return hf("LlavaNextVideoProcessor")(
        image_processor=hf("LlavaNextImageProcessor")(
            size=SHORT, crop_size=SQUARE, image_grid_pinpoints=GRID
        ),
        tokenizer=byte_tokenizer(SPECIAL, class_before_5="LlamaTokenizerFast"),
        video_processor=hf("LlavaNextVideoVideoProcessor")(size=SHORT, crop_size=SQUARE),
        patch_size=14,
        num_additional_image_tokens=1,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
    )


def _model_next_video(processor: Any) -> Any:
    config = hf("LlavaNextVideoConfig")(
        text_config=language_config(processor.tokenizer, model_type="llama"),
        vision_config=tower_config("clip_vision_model"),
        image_grid_pinpoints=GRID,
        **_ids(processor),
    )
    return hf("LlavaNextVideoForConditionalGeneration")(config)


def _processor_video_llava() -> Any:
    return hf("VideoLlavaProcessor")(
        image_processor=hf("VideoLlavaImageProcessor")(size=SHORT, crop_size=SQUARE),
        tokenizer=byte_tokenizer(SPECIAL),
        video_processor=hf("VideoLlavaVideoProcessor")(size=SHORT, crop_size=SQUARE),
        patch_size=14,
        chat_template=TEMPLATE,
    )


def _model_video_llava(processor: Any) -> Any:
    config = hf("VideoLlavaConfig")(
        text_config=language_config(processor.tokenizer, model_type="llama"),
        vision_config=tower_config("clip_vision_model"),
        **_ids(processor),
    )
    return hf("VideoLlavaForConditionalGeneration")(config)


def _read_back(inputs: Inputs) -> list[int]:
    return read_back.from_frames(inputs["pixel_values_videos"], mean=CLIP_MEAN, std=CLIP_STD)


LLAVA_ONEVISION = Family(
    name="llava_onevision",
    classes=("LlavaOnevisionForConditionalGeneration", "LlavaOnevisionVideoProcessor"),
    frames_per_patch=1,
    processor=_processor_onevision,
    model=_model_onevision,
    read_back=_read_back,
    read_times=None,
    expected_times=None,
)
LLAVA_NEXT_VIDEO = Family(
    name="llava_next_video",
    classes=("LlavaNextVideoForConditionalGeneration", "LlavaNextVideoVideoProcessor"),
    frames_per_patch=1,
    processor=_processor_next_video,
    model=_model_next_video,
    read_back=_read_back,
    read_times=None,
    expected_times=None,
)
VIDEO_LLAVA = Family(
    name="video_llava",
    classes=("VideoLlavaForConditionalGeneration", "VideoLlavaVideoProcessor"),
    frames_per_patch=1,
    processor=_processor_video_llava,
    model=_model_video_llava,
    read_back=_read_back,
    read_times=None,
    expected_times=None,
)
