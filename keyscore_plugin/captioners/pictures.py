"""One sentence about each frame, by any model of transformers that reads a picture (LLMVS)."""

from typing import Any

import torch

from keyscore_plugin.captioners.processing import (
    GenerativeModel,
    first_sentence,
    generate_texts,
    left_padding,
)
from keyscore_plugin.errors import ModelError
from keyscore_plugin.types import Caption, Frames

PICTURE_PROMPT = "Provide a detailed one-sentence description."  # LLMVS, section 3.1
_MAX_NEW_TOKENS = 77  # LLMVS, section 3.1
_AT_ONCE = 8  # ours: frames of one generation; LLaVA-1.5 spends 576 tokens on a frame


class PictureCaptioner:
    """Describes frames one by one; for models that read pictures and no videos.

    Args:
        model: Model of transformers with `generate`.
        processor: Processor of the model, as loaded.
        name: Name that `FrameCaptions.model` records; None takes the model's own.

    Attributes:
        name: Name or path of the model.
    """

    def __init__(self, model: GenerativeModel, processor: Any, *, name: str | None = None) -> None:
        self.name = name or model.name_or_path or type(model).__name__
        self._model = model
        self._processor = processor

    def caption(self, frames: Frames) -> Caption:
        """Describe one frame.

        Args:
            frames: Exactly one frame.

        Raises:
            ModelError: There are several frames, or the model wrote nothing.
        """
        if len(frames) != 1:
            raise ModelError(
                f"{self.name} describes pictures one by one, and {len(frames)} frames were given "
                "for one caption; use it with sampler='llmvs', or give a Video-LLM"
            )
        (text,) = self.caption_each(frames)
        if not text:
            raise ModelError(f"{self.name} wrote no caption; give a caption, or another captioner")
        return Caption(text, origin="generated", model=self.name)

    def caption_each(self, frames: Frames) -> list[str]:
        """Describe each frame in one sentence, by `describe_pictures`."""
        return describe_pictures(self._model, self._processor, frames)


def describe_pictures(model: GenerativeModel, processor: Any, frames: Frames) -> list[str]:
    """Describe each frame in one sentence, by greedy decoding in batches.

    A model with a chat template is asked with `PICTURE_PROMPT`; one without, such as BLIP, writes a
    caption unasked.

    Args:
        model: Model of transformers with `generate`.
        processor: Processor of the model.
        frames: ``n`` frames, which the model sees as separate pictures.

    Returns:
        The first sentence of each of the ``n`` answers; ``""`` where the model wrote nothing.
    """
    pixels = frames.pixels.to("cpu").permute(0, 3, 1, 2)  # processors work on the CPU
    texts: list[str] = []
    for some in torch.split(pixels, _AT_ONCE):
        pictures = [[picture] for picture in some]
        asked: dict[str, Any] = {}
        if getattr(processor, "chat_template", None):
            prompt = _prompt(processor)
            asked = {"text": [prompt] * len(pictures), **left_padding(processor)}
        inputs = processor(images=pictures, return_tensors="pt", **asked)
        answers, _ = generate_texts(model, processor, inputs, max_new_tokens=_MAX_NEW_TOKENS)
        texts += [first_sentence(answer) for answer in answers]
    return texts


def _prompt(processor: Any) -> str:
    content = [{"type": "image"}, {"type": "text", "text": PICTURE_PROMPT}]
    message = {"role": "user", "content": content}
    prompt: str = processor.apply_chat_template([message], add_generation_prompt=True)
    return prompt
