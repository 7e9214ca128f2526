"""The tiny task's functions; and a spy that keeps what the model is given, for the tests to read.

Runs inside lmms-eval, which loads this file by its path.
"""

import os
from collections.abc import Mapping
from functools import wraps
from pathlib import Path
from typing import Any

import torch
from transformers import Qwen2VLForConditionalGeneration as GenerativeModel


def doc_to_visual(doc: Mapping[str, Any]) -> list[str]:
    return [str(Path(os.environ["KEYSCORE_TINY"], name)) for name in doc["videos"]]


def doc_to_text(
    doc: Mapping[str, Any], lmms_eval_specific_kwargs: Mapping[str, str] | None = None
) -> str:
    prompts = lmms_eval_specific_kwargs or {}
    options = f"{doc['question']}\nA. {doc['option_a']}\nB. {doc['option_b']}"
    return prompts.get("pre_prompt", "") + options + prompts.get("post_prompt", "")


def process_results(doc: Mapping[str, Any], results: list[str]) -> dict[str, float]:
    return {"acc": float(results[0].strip()[:1] == doc["answer"])}


def keep_inputs(folder: Path) -> None:
    """Save the tensors of every call of `generate`, in order."""
    # Where `generate` is defined, for all models.
    mixin: Any = next(cls for cls in GenerativeModel.__mro__ if "generate" in vars(cls))
    stock = mixin.generate

    @wraps(stock)
    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        tensors = {k: v for k, v in kwargs.items() if isinstance(v, torch.Tensor)}
        torch.save(tensors, folder / f"{len(list(folder.iterdir())):03d}.pt")
        return stock(self, *args, **kwargs)

    mixin.generate = generate


# lmms-eval runs this file once for each function of the task; one spy is enough.
if "KEYSCORE_SPY" in os.environ:
    keep_inputs(Path(os.environ.pop("KEYSCORE_SPY")))
