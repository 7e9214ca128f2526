"""Caption, choose, answer: one call."""

import inspect
from collections.abc import Sequence
from typing import Any

from keyscore_plugin import Sampler
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import ClipMode, Pair, TextGuide, left_padding
from keyscore_plugin.types import Join, SubtitleInput
from keyscore_transformers.enable import add_model, enable
from keyscore_transformers.enabled import EnabledProcessor, stock_copy

_TYPE_IDS = "mm_token_type_ids"


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
    join: Join = "all",
    subtitles: SubtitleInput = None,
    with_texts: bool = False,
    clip_mode: ClipMode | None = None,
    pair: Pair = "duplicate",
    **generation_kwargs: Any,
) -> str | list[str]:
    """Answer about videos from the frames that matter.

    If you give no caption, the model first describes STACFP's candidates in one sentence, KeyScore
    chooses by that sentence, and the model answers from the chosen frames alone. A processor that
    is not enabled yet is enabled here with the defaults, which refuse URLs. To use another encoder,
    captioner, decoder, device or config, call `enable` before.

    Args:
        model: Video-LLM of transformers.
        processor: Processor of the model. Afterwards ``processor.last_selections`` holds the
            selection of each video.
        messages: Conversation, or a list of conversations.
        sampler: Name of a sampler, or a sampler.
        num_frames: Number of keyframes of each video, 8 by default.
        threshold: Least score of a keyframe, instead of a number.
        token_budget: Number of uniform frames whose visual tokens the keyframes may cost, instead
            of a number of keyframes.
        guide: Text that scores: the ``"caption"``, the ``"question"`` (the user's text in the
            video's message, unless ``question`` is given), or ``"both"``. By default the first
            that exists: the caption given, the question given, a generated caption, the user's
            text.
        caption: Sentence about the video, or a list with one for each video.
        question: Question to choose by, or a list with one for each video.
        join: Join of several texts of one video, see `keyscore_plugin.Sampler`.
        subtitles: Subtitles that score, too, see `keyscore_plugin.Sampler`.
        with_texts: Whether what is said within a second of the chosen frames is written before the
            video, each line after its time.
        clip_mode: Places where ``clips`` and ``kframes`` take their frames: ``"focused"`` on the
            clips, ``"hybrid"`` with some outside, or ``"auto"``.
        pair: Filling of a visual token of two frames: ``"duplicate"``, ``"neighbor"``, ``"pack"``
            or ``"plain"``.
        generation_kwargs: Keywords for ``model.generate``, such as ``max_new_tokens``.

    Returns:
        The answer; for a list of conversations a list of answers.

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
        join=join,
        subtitles=subtitles,
        with_texts=with_texts,
        clip_mode=clip_mode,
        pair=pair,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        **_options(model, processor, batched=batched),
    ).to(model.device, dtype=model.dtype)
    inputs.pop("video_metadata", None)  # some versions leave it in; models refuse it
    output = model.generate(**inputs, **generation_kwargs)
    tokens = getattr(output, "sequences", output)[:, inputs["input_ids"].shape[1] :]
    answers: list[str] = processor.batch_decode(tokens, skip_special_tokens=True)
    return answers if batched else answers[0]


def _options(model: Any, processor: Any, *, batched: bool) -> dict[str, Any]:
    """Options of the processor that a model needs, in the form that this version takes them."""
    options: dict[str, Any] = left_padding(processor) if batched else {}
    reads_type_ids = _TYPE_IDS in inspect.signature(model.forward).parameters
    if reads_type_ids and _TYPE_IDS in getattr(processor, "model_input_names", ()):
        options[f"return_{_TYPE_IDS}"] = True  # not every processor gives them by default
    parameters = inspect.signature(stock_copy(processor).apply_chat_template).parameters
    return {"processor_kwargs": options} if "processor_kwargs" in parameters else options
