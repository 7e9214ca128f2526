"""GLM-4V and GLM-4.6V: the time of every second frame in the prompt, in seconds, in tenths."""

from collections.abc import Sequence
from typing import Any

from tests.support.tiny import read_back
from tests.support.tiny.family import Family, Inputs, hf
from tests.support.tiny.shared_parts import CLIP_MEAN, CLIP_STD, chat_template, language_config
from tests.support.tiny.tokenizer import byte_tokenizer

SPECIAL = (
    "<|image|>",
    "<|video|>",
    "<|begin_of_image|>",
    "<|end_of_image|>",
    "<|begin_of_video|>",
    "<|end_of_video|>",
)
SIZE = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 4096}


def _processor(name: str) -> Any:
    return hf(f"{name}Processor")(
        image_processor=hf(f"{name}ImageProcessor")(size=SIZE),
        tokenizer=byte_tokenizer(SPECIAL),
        video_processor=hf(f"{name}VideoProcessor")(size=SIZE),
        chat_template=chat_template(
            image="<|begin_of_image|><|image|><|end_of_image|>",
            video="<|begin_of_video|><|video|><|end_of_video|>",
        ),
    )


def _model(name: str, processor: Any) -> Any:
    tokenizer = processor.tokenizer
    ids = {
        f"{kind}_{end}_token_id": tokenizer.convert_tokens_to_ids(f"<|{word}_of_{kind}|>")
        for kind in ("image", "video")
        for end, word in (("start", "begin"), ("end", "end"))
    }
    config = hf(f"{name}Config")(
        text_config=language_config(tokenizer, mrope_section=(2, 1, 1), partial_rotary_factor=0.5),
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "image_size": 56,
            "patch_size": 14,
        },
        image_token_id=processor.image_token_id,
        video_token_id=processor.video_token_id,
        **ids,
    )
    return hf(f"{name}ForConditionalGeneration")(config)


def _read_back(inputs: Inputs) -> list[int]:
    return read_back.from_patches(inputs, mean=CLIP_MEAN, std=CLIP_STD, frames_per_patch=2)


def _read_times(inputs: Inputs, processor: Any, model: Any) -> list[float]:
    return read_back.seconds_in_prompt(r"<\|end_of_image\|>(\d+)", inputs, processor)


def _read_tenths(inputs: Inputs, processor: Any, model: Any) -> list[float]:
    return read_back.seconds_in_prompt(r"<\|end_of_image\|>(\d+\.\d) seconds", inputs, processor)


def _expected_tenths(seconds: Sequence[float]) -> list[float]:
    return [float(f"{time:.1f}") for time in seconds[::2]]


def _expected(seconds: Sequence[float]) -> list[float]:
    return [float(int(time)) for time in seconds[::2]]


GLM4V = Family(
    name="glm4v",
    classes=("Glm4vForConditionalGeneration", "Glm4vVideoProcessor"),
    frames_per_patch=2,
    processor=lambda: _processor("Glm4v"),
    model=lambda processor: _model("Glm4v", processor),
    read_back=_read_back,
    read_times=_read_times,
    expected_times=_expected,
)
GLM46V = Family(
    name="glm46v",
    classes=("Glm46VForConditionalGeneration", "Glm46VVideoProcessor"),
    frames_per_patch=2,
    processor=lambda: _processor("Glm46V"),
    model=lambda processor: _model("Glm46V", processor),
    read_back=_read_back,
    read_times=_read_tenths,
    expected_times=_expected_tenths,
)
