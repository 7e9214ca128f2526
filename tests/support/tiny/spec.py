"""What the newer families differ in: names, sizes, and where a prompt holds a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from torch import Tensor

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

Settings = Mapping[str, Any]
CLIP = (CLIP_MEAN, CLIP_STD)
HALVES = (HALF, HALF)
WHOLE_CLIP = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 4096}
ONE_FRAME = {"shortest_edge": 28 * 28, "longest_edge": 28 * 28 * 64}
QWEN_TOKENS = ("<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
QWEN_IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
QWEN_VIDEO = "<|vision_start|><|video_pad|><|vision_end|>"
QWEN_IDS = {
    "image_token_id": "<|image_pad|>",
    "video_token_id": "<|video_pad|>",
    "vision_start_token_id": "<|vision_start|>",
    "vision_end_token_id": "<|vision_end|>",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """What a family's tiny processor and model are made of.

    Attributes:
        name: Folder of the family in transformers.
        processor: Class of the processor.
        config: Class of the model's config.
        model: Class of the model.
        parts: Class and settings of each part of the processor but the tokenizer.
        tokens: Special tokens.
        named: Special tokens that the processor asks the tokenizer for by attribute.
        image: What the chat template writes for an image.
        video: What the chat template writes for a video.
        ids: Tokens by the names that the config gives their ids.
        text: Settings of the language model.
        vision: Settings of the image encoder.
        more: Other settings of the config.
        options: Other arguments of the processor.
        since: Release of transformers from which on the family can be done.
    """

    name: str
    processor: str
    config: str
    model: str
    parts: Mapping[str, tuple[str, Settings]]
    tokens: Sequence[str] = QWEN_TOKENS
    named: Mapping[str, str] = field(default_factory=dict)
    image: str = QWEN_IMAGE
    video: str = QWEN_VIDEO
    ids: Mapping[str, str] = field(default_factory=lambda: QWEN_IDS)
    text: Settings = field(default_factory=dict)
    vision: Settings = field(default_factory=dict)
    more: Settings = field(default_factory=dict)
    options: Settings = field(default_factory=dict)
    since: str = "0"

    def make_processor(self) -> Any:
        """The processor, without weights or files."""
        parts = {name: hf(kind)(**settings) for name, (kind, settings) in self.parts.items()}
        return hf(self.processor)(
            tokenizer=byte_tokenizer(self.tokens, named=self.named),
            chat_template=chat_template(image=self.image, video=self.video),
            **parts,
            **self.options,
        )

    def make_model(self, processor: Any) -> Any:
        """The model, with random weights."""
        tokenizer = processor.tokenizer
        config = hf(self.config)(
            text_config=self._language(tokenizer),
            vision_config=dict(self.vision),
            **{name: tokenizer.convert_tokens_to_ids(token) for name, token in self.ids.items()},
            **self.more,
        )
        return hf(self.model)(config)

    def _language(self, tokenizer: Any) -> dict[str, Any]:
        rotary = ("mrope_section", "partial_rotary_factor")
        own = {name: value for name, value in self.text.items() if name in rotary}
        rest = {name: value for name, value in self.text.items() if name not in rotary}
        return {**language_config(tokenizer, **own), **rest}

    def family(
        self,
        frames_per_patch: int,
        read: Callable[[Inputs], list[int]],
        pattern: str | None = None,
        expected: Callable[[Sequence[float]], list[float]] | None = None,
    ) -> Family:
        """The family; without a pattern its prompt holds no times."""

        def read_times(inputs: Inputs, processor: Any, model: Any) -> list[float]:
            return read_back.seconds_in_prompt(pattern or "", inputs, processor)

        return Family(
            name=self.name,
            classes=(self.processor, self.model),
            frames_per_patch=frames_per_patch,
            processor=self.make_processor,
            model=self.make_model,
            read_back=read,
            read_times=None if pattern is None else read_times,
            expected_times=expected,
            since=self.since,
        )


def patches(statistics: tuple[Any, Any], frames_per_patch: int) -> Callable[[Inputs], list[int]]:
    """Reads frames that lie in patches of several frames."""
    mean, std = statistics
    return partial(read_back.from_patches, mean=mean, std=std, frames_per_patch=frames_per_patch)


def frames_of_patches(
    arrange: Callable[[Tensor, int, int], Tensor],
) -> Callable[[Inputs], list[int]]:
    """Reads frames from patches that another order fills.

    Args:
        arrange: Function of the patches of one video, its steps and the patches of a step, that
            gives ``(n_frames, 3)`` mean colours.
    """

    def read(inputs: Inputs) -> list[int]:
        colours: list[Tensor] = []
        start = 0
        for steps, height, width in inputs["video_grid_thw"].tolist():
            end = start + steps * height * width
            pixels = inputs["pixel_values_videos"][start:end]
            colours += list(arrange(pixels, steps, height * width))
            start = end
        return read_back.from_colours(colours)

    return read


def tenths_of_means(frames_per_patch: int) -> Callable[[Sequence[float]], list[float]]:
    """The mean time of each patch, in tenths of a second."""

    def expected(seconds: Sequence[float]) -> list[float]:
        n = frames_per_patch
        starts = range(0, len(seconds), n)
        return [float(f"{(seconds[i] + seconds[i + n - 1]) / 2:.1f}") for i in starts]

    return expected


def tenths_of_first(frames_per_patch: int) -> Callable[[Sequence[float]], list[float]]:
    """The time of each patch's first frame, in tenths of a second."""
    return lambda seconds: [float(f"{time:.1f}") for time in seconds[::frames_per_patch]]


def whole_seconds(seconds: Sequence[float]) -> list[float]:
    """The time of each frame, cut to whole seconds."""
    return [float(int(time)) for time in seconds]
