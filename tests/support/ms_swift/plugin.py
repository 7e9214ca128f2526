"""What `swift sft --external_plugins` loads: KeyScore, and a copy of each batch that trains."""

import os
from importlib import import_module
from typing import Any

import torch

from keyscore_qwen_vl_utils.swift import install
from tests.support.ms_swift.encode import FAMILY
from tests.support.tiny import FAMILIES
from tests.support.tiny.family import hf

install()
# ms-swift knows the ids of Qwen's own tokenizer only.
templates: Any = import_module("swift.template.templates.qwen")
tokenizer = FAMILIES[FAMILY].processor().tokenizer
templates.Qwen2VLTemplate.video_token_id = tokenizer.convert_tokens_to_ids("<|video_pad|>")
trainer: Any = hf("Trainer")
stock = trainer.training_step


def training_step(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Keep what the model is called with."""
    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    torch.save(tensors, os.environ["KEYSCORE_BATCH"])
    return stock(self, model, inputs, *args, **kwargs)


trainer.training_step = training_step
