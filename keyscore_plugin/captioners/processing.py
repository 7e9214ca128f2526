"""Calling a Video-LLM of transformers: what differs between processors, and generation."""

import inspect
import re
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

_IGNORED = -100  # label of a token that the loss of transformers leaves out


class GenerativeModel(Protocol):
    """The part of a `PreTrainedModel` of transformers that a `VlmCaptioner` uses."""

    device: torch.device
    dtype: torch.dtype
    name_or_path: str

    def generate(self, **inputs: Any) -> Tensor:
        """Return ``(batch, length)`` token ids; each row begins with the prompt."""


def takes_times(processor: Any) -> bool:
    """Whether a processor's call takes the times of frames (``video_metadata``).

    Video-LLaVA's did not before transformers 5.4; the model reads no times.
    """
    parameters = inspect.signature(processor.__call__).parameters.values()
    return any(p.name == "video_metadata" or p.kind is p.VAR_KEYWORD for p in parameters)


def left_padding(processor: Any) -> dict[str, Any]:
    """Return the keywords that pad prompts on the left, as generation needs it."""
    side = {} if processor.tokenizer.padding_side == "left" else {"padding_side": "left"}
    return {"padding": True, **side}


def frames_per_token(processor: Any) -> int:
    """Return the number of frames that the model folds into one visual token."""
    return getattr(processor.video_processor, "temporal_patch_size", None) or 1


def call_processor(
    processor: Any,
    prompts: list[str],
    videos: list[list[Tensor]],
    metadata: list[dict[str, Any]],
) -> Any:
    """Call a processor with frames that are already chosen.

    Args:
        processor: Processor of a Video-LLM.
        prompts: Prompt of each conversation, with a placeholder for each video.
        videos: ``(n, 3, h, w)`` uint8 frames of each video of each prompt, in the order of the
            placeholders.
        metadata: Metadata of each video of all prompts, as `keyscore_plugin.video.metadata` makes
            it.

    Returns:
        The inputs of the model, as a `BatchFeature` of tensors on the CPU.
    """
    times = {"video_metadata": metadata, "do_sample_frames": False}
    inputs = processor(
        text=prompts,
        videos=videos,
        **(times if takes_times(processor) else {}),
        **(left_padding(processor) if len(prompts) > 1 else {}),
        return_tensors="pt",
    )
    inputs.pop("video_metadata", None)  # some versions leave it in; models refuse it
    return inputs


def generate_texts(
    model: GenerativeModel, processor: Any, inputs: Any, *, max_new_tokens: int
) -> tuple[list[str], int]:
    """Let a model answer prompts, by greedy decoding.

    Args:
        model: Model of transformers with `generate`.
        processor: Processor of the model.
        inputs: Inputs as `call_processor` returns them; they go to the model's device and dtype.
        max_new_tokens: Most tokens of an answer.

    Returns:
        The answer to each prompt, and the number of tokens read and written, without padding.
    """
    inputs = inputs.to(model.device, dtype=model.dtype)
    with torch.inference_mode():
        tokens = model.generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
    n_prompt = inputs["input_ids"].shape[1] if "input_ids" in inputs else 0
    answers = tokens[:, n_prompt:]
    texts: list[str] = processor.batch_decode(answers, skip_special_tokens=True)
    n_written = (answers != processor.tokenizer.pad_token_id).sum()
    # A model that describes pictures unasked, such as BLIP, reads no tokens.
    n_read = inputs["attention_mask"].sum() if "attention_mask" in inputs else 0
    return texts, int(n_read + n_written)


def append_completions(inputs: Any, tokenizer: Any, completions: Sequence[str]) -> None:
    """Add the tokens of the completions after the prompts, and their labels.

    Prompt and completion are tokenized apart, as in generation: tokenized together, the last
    characters of the one and the first of the other may become a single token.

    Args:
        inputs: Inputs of the model for the prompts, padded on the left; they are changed. They get
            ``labels``, which are -100 except on the completions.
        tokenizer: Tokenizer of the model.
        completions: Answer to each prompt. The token that ends an answer is added.
    """
    rows = [
        [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]
        for text in completions
    ]
    length = max(map(len, rows))
    shape = inputs["input_ids"].shape

    def padded(value: int | None, fill: int) -> torch.Tensor:
        """``(batch, length)`` ids of the completions, or ``value`` for each, then ``fill``."""
        filled = [
            [*(row if value is None else [value] * len(row)), *[fill] * (length - len(row))]
            for row in rows
        ]
        return torch.tensor(filled, dtype=torch.int64)

    labels = padded(None, _IGNORED)
    added = {
        "input_ids": padded(None, tokenizer.pad_token_id),
        "attention_mask": padded(1, 0),
    }
    for name, tensor in list(inputs.items()):
        if isinstance(tensor, torch.Tensor) and tensor.shape == shape:
            # Every other value a token has is its kind, and 0 is text.
            tail = added.get(name, torch.zeros_like(labels)).to(tensor.dtype)
            inputs[name] = torch.cat([tensor, tail], dim=1)
    inputs["labels"] = torch.cat([torch.full(shape, _IGNORED), labels], dim=1)


def first_sentence(text: str) -> str:
    """Return the first sentence of the first line that is not blank.

    Example:
        >>> first_sentence("  A dog runs. It barks.")
        'A dog runs.'
    """
    lines = text.strip().splitlines()
    return re.split(r"(?<=[.!?])\s", lines[0].strip(), maxsplit=1)[0] if lines else ""
