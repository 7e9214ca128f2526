"""What `swift sft --external_plugins` loads: KeyScore, and a copy of each batch that trains."""

import os
from typing import Any

import torch

from keyscore_qwen_vl_utils import install
from tests.support.tiny.family import hf

install()
trainer: Any = hf("Trainer")
stock = trainer.training_step


def training_step(self: Any, model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
    """Keep what the model is called with."""
    tensors = {name: value for name, value in inputs.items() if isinstance(value, torch.Tensor)}
    torch.save(tensors, os.environ["KEYSCORE_BATCH"])
    return stock(self, model, inputs, *args, **kwargs)


trainer.training_step = training_step
