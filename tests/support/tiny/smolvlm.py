"""SmolVLM: minutes and seconds of every frame in the prompt."""

from collections.abc import Sequence
from typing import Any

from tests.support.tiny import read_back
from tests.support.tiny.family import Family, Inputs, hf
from tests.support.tiny.shared_parts import HALF, chat_template, language_config, tower_config
from tests.support.tiny.tokenizer import byte_tokenizer

SPECIAL = (
    "<fake_token_around_image>",
    "<image>",
    "<video>",
    "<global-img>",
    "<end_of_utterance>",
)
EDGE = {"longest_edge": 56}
TOKENS_PER_FRAME = 4  # 4 x 4 patches, shuffled by a scale factor of 2


def _processor() -> Any:
    return hf("SmolVLMProcessor")(
        image_processor=hf("SmolVLMImageProcessor")(size=EDGE, max_image_size=EDGE),
        tokenizer=byte_tokenizer(SPECIAL),
        video_processor=hf("SmolVLMVideoProcessor")(
            size=EDGE, max_image_size=EDGE, num_frames=64, fps=1
        ),
        image_seq_len=TOKENS_PER_FRAME,
        chat_template=chat_template(image="<image>", video="<video>"),
    )


def _model(processor: Any) -> Any:
    config = hf("SmolVLMConfig")(
        text_config=language_config(processor.tokenizer, model_type="llama"),
        vision_config=tower_config("smolvlm_vision"),
        image_token_id=processor.image_token_id,
        pad_token_id=processor.tokenizer.pad_token_id,
        scale_factor=2,
    )
    return hf("SmolVLMForConditionalGeneration")(config)


def _read_back(inputs: Inputs) -> list[int]:
    # Shorter videos of a batch are filled up with frames that the mask leaves out.
    shown = inputs["pixel_attention_mask"].flatten(2).any(dim=2)
    return read_back.from_frames(inputs["pixel_values"][shown], mean=HALF, std=HALF)


def _read_times(inputs: Inputs, processor: Any, model: Any) -> list[float]:
    return read_back.seconds_in_prompt(r"Frame from (\d+):(\d+):", inputs, processor)


def _expected(seconds: Sequence[float]) -> list[float]:
    return [float(int(time)) for time in seconds]


SMOLVLM = Family(
    name="smolvlm",
    classes=("SmolVLMForConditionalGeneration", "SmolVLMVideoProcessor"),
    frames_per_patch=1,
    processor=_processor,
    model=_model,
    read_back=_read_back,
    read_times=_read_times,
    expected_times=_expected,
)
