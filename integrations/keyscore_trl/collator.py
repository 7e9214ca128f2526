"""Training batches of videos for ``SFTTrainer``."""

from collections.abc import Mapping, Sequence
from typing import Any

from keyscore_trl.prompts import Prompts


class VideoCollator:
    """Collator that gives a trainer videos, their true times, and labels of the answers only.

    TRL's own collator fails on videos in ``prompt``, or labels all tokens of ``messages``. This one
    builds batches by the same `Prompts` as reinforcement learning and inference. For full training
    and with ``peft_config=``::

        SFTTrainer(
            model=model,
            processing_class=processor,
            train_dataset=dataset,
            data_collator=VideoCollator(VideoPrompts(processor, UniformReader(num_frames=8))),
            args=SFTConfig(
                remove_unused_columns=False,
                max_length=None,
                dataset_kwargs={"skip_prepare_dataset": True},
            ),
        )

    Args:
        prompts: Function that builds the inputs of the model.
    """

    def __init__(self, prompts: Prompts) -> None:
        self._prompts = prompts

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> Any:
        """Make one batch.

        Args:
            rows: Rows of the data set: ``prompt``, the messages before the answer, whose content
                blocks name videos, and ``completion``, the answer as text.

        Returns:
            Inputs of the model. ``labels`` is -100 except on the answers and the token that ends
            them.
        """
        return self._prompts(
            [row["prompt"] for row in rows], completions=[row["completion"] for row in rows]
        )
