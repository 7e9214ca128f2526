"""Resuming a run of transformers' ``Trainer`` with the weights of its checkpoint."""

from pathlib import Path
from typing import Any


class WholeCheckpoints:
    """Trainer that loads a checkpoint of full weights as `from_pretrained` does.

    The ``Trainer`` of transformers 5.23 loads the file as it is. Weights of Qwen2-VL, Qwen2.5-VL
    and others have other names on disk than in memory, so a resumed run would go on from the
    weights it once began with, and only a warning says so. Adapters are not affected.
    """

    model: Any

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Load the weights of a checkpoint into the model."""
        if Path(resume_from_checkpoint, "adapter_config.json").is_file():
            stock: Any = super()
            stock._load_from_checkpoint(resume_from_checkpoint, model)
            return
        target = self.model if model is None else model
        saved = type(target).from_pretrained(resume_from_checkpoint, dtype=target.dtype)
        target.load_state_dict(saved.state_dict())
