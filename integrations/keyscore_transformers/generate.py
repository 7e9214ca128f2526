"""Caption, choose, answer: one call."""

import inspect
from collections.abc import Sequence
from typing import Any

from keyscore_plugin.captioners.vlm import left_padding
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.pairing import Pair
from keyscore_plugin.samplers.base import Sampler
from keyscore_transformers.enable import add_model, enable
from keyscore_transformers.enabled import EnabledProcessor, stock_copy
from keyscore_transformers.request import TextGuide


def generate(
    model: Any,
    processor: Any,
    messages: Sequence[Any],
    *,
    sampler: str | Sampler = "keyscore",
    num_frames: int | None = None,
    threshold: float | None = None,
    token_budget: int | None = None,
    guide: TextGuide | None = None,
    caption: str | Sequence[str] | None = None,
    question: str | Sequence[str] | None = None,
    pair: Pair = "duplicate",
    **generation_kwargs: Any,
) -> str | list[str]:
    """Answer about videos from the frames that matter.

    Where no caption is given, the model itself first describes STACFP's candidates in one
    sentence; KeyScore chooses by it; the answer comes from the chosen frames alone. A processor
    that is not enabled yet is enabled here, with the defaults, which refuse URLs; for another
    encoder, captioner, decoder, device or config call `enable` before.

    Args:
        model: A Video-LLM of transformers.
        processor: Its processor. ``processor.last_selections`` tells afterwards what was chosen.
        messages: A conversation, or a list of them.
        sampler: A name or an object.
        num_frames: Keyframes of each video; 8 by default.
        threshold: Instead of a budget, the least score of a keyframe.
        token_budget: Instead of a budget, as many visual tokens as this many uniform frames.
        guide: The text that chooses: a ``"caption"``, the ``"question"`` (the user's text in the
            video's message, unless ``question`` is given), or ``"both"``. By default the
            question if one is given without a caption, else the caption.
        caption: A sentence about the video, or one a video.
        question: A question to choose by, or one a video.
        pair: See `keyscore_plugin.hosts.pairing.pair_frames`.
        generation_kwargs: For ``model.generate``, such as ``max_new_tokens``.

    Returns:
        The answer, or one a conversation.

    Raises:
        VideoError: A video cannot be read.
        InputError: An argument cannot be used.
        ModelError: The model wrote no caption.
    """
    if not messages:
        raise InputError("messages is empty; give a conversation, or a list of them")
    if not isinstance(processor, EnabledProcessor):
        enable(processor)
    add_model(processor, model)
    batched = isinstance(messages[0], (list, tuple))
    inputs = processor.apply_chat_template(
        messages if batched else [messages],
        sampler=sampler,
        num_frames=num_frames,
        threshold=threshold,
        token_budget=token_budget,
        guide=guide,
        caption=caption,
        question=question,
        pair=pair,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        **(_padding(processor) if batched else {}),
    ).to(model.device, dtype=model.dtype)
    inputs.pop("video_metadata", None)  # some versions leave it in; models refuse it
    output = model.generate(**inputs, **generation_kwargs)
    tokens = getattr(output, "sequences", output)[:, inputs["input_ids"].shape[1] :]
    answers: list[str] = processor.batch_decode(tokens, skip_special_tokens=True)
    return answers if batched else answers[0]


def _padding(processor: Any) -> dict[str, Any]:
    """Padding before the prompts, in the way that this version of transformers wants to be told."""
    padding = left_padding(processor)
    parameters = inspect.signature(stock_copy(processor).apply_chat_template).parameters
    return {"processor_kwargs": padding} if "processor_kwargs" in parameters else padding
