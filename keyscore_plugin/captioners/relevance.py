"""Marks of captions for their relevance to a text, as expected values of a language model."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.captioners.language_model import digit_tokens, load_language_model

# Ours: K-frames lets a language model mark each scene from 1 to 5, and does not give its prompt.
PROMPT = (
    "Rate from 1 (not at all) to 5 (exactly) how well a scene of a video shows what is asked for.\n"
    "Asked for: {text}\nScene: {caption}\nAnswer with one digit."
)
MARKS = (1, 2, 3, 4, 5)
_BATCH = 16  # ours: captions at a time


class RelevanceScorer:
    """Marks captions by their relevance to a text with a causal language model.

    A mark is the expected value over the probabilities of the five digits as the next token (ours,
    as in G-Eval, arXiv 2303.16634): the most likely digit alone would be the same for most scenes.

    Args:
        model: Causal language model of transformers.
        tokenizer: Tokenizer of the model.

    Attributes:
        name: Name or path of the model.

    Raises:
        ModelError: A digit is not one token of the tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.name: str = model.name_or_path or type(model).__name__
        self._model = model
        self._tokenizer = tokenizer
        digits, lead = digit_tokens(tokenizer, model=self.name)
        self._digits = torch.tensor([digits[mark] for mark in MARKS])
        self._lead = torch.tensor(lead, dtype=torch.int64)

    def score(self, text: str, captions: Sequence[str]) -> Tensor:
        """Mark captions.

        Args:
            text: Question, or sentence that describes what is wanted.
            captions: Caption of each of ``n`` scenes.

        Returns:
            ``(n,)`` float64 marks in [1, 5], on the CPU.
        """
        prompts = [self._prompt(text, caption) for caption in captions]
        parts = [prompts[start : start + _BATCH] for start in range(0, len(prompts), _BATCH)]
        marks = torch.tensor(MARKS, dtype=torch.float64)
        return torch.cat([self._probabilities(part) @ marks for part in parts])

    def _prompt(self, text: str, caption: str) -> str:
        content = PROMPT.format(text=text, caption=caption)
        if not self._tokenizer.chat_template:
            return content if len(self._lead) else f"{content} "
        prompt: str = self._tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], tokenize=False, add_generation_prompt=True
        )
        return prompt

    def _probabilities(self, prompts: list[str]) -> Tensor:
        """``(m, 5)`` float64 probabilities of the digits, among the digits."""
        has_template = bool(self._tokenizer.chat_template)
        inputs = self._tokenizer(
            prompts,
            return_tensors="pt",
            padding=True,
            padding_side="left",
            add_special_tokens=not has_template,  # a template writes its own
        )
        lead = self._lead.expand(len(prompts), -1)
        tokens = torch.cat([inputs["input_ids"], lead], dim=1)
        mask = torch.cat([inputs["attention_mask"], torch.ones_like(lead)], dim=1)
        # Places count from the first token of each prompt, not from its padding.
        places = (mask.cumsum(1) - 1).clamp_min(0)
        device = self._model.device
        with torch.inference_mode():
            logits = self._model(
                input_ids=tokens.to(device),
                attention_mask=mask.to(device),
                position_ids=places.to(device),
            ).logits[:, -1]
        digits: Tensor = logits[:, self._digits.to(logits.device)]
        return digits.float().softmax(1).double().cpu()


def load_scorer(model: str, device: torch.device) -> RelevanceScorer:
    """Load a language model and its tokenizer with the Auto classes of transformers.

    Args:
        model: Folder or hub model id.
        device: Device on which the model runs.

    Raises:
        ModelError: Neither this machine nor the hub has the model, or it does not load.
    """
    return RelevanceScorer(*load_language_model(model, device))
