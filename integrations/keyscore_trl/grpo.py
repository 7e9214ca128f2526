"""GRPO on videos: TRL's trainer generates with the video, but computes the loss without it."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.errors import ModelError
from keyscore_plugin.hosts import require
from keyscore_trl.prompts import Chat, Prompts
from keyscore_trl.resuming import WholeCheckpoints

trl: Any = require("trl", extra="train")

# Inputs of the Qwen family for videos: patches of all videos in a row, then a row for each video.
_PATCHES = "pixel_values_videos"
_GRID = "video_grid_thw"
_SECONDS = "second_per_grid_ts"
_VIDEO_KIND = 2  # in mm_token_type_ids


class VideoGRPOTrainer(WholeCheckpoints, trl.GRPOTrainer):
    """GRPO for a Video-LLM that sees its videos in generation and in the loss.

    `trl.GRPOTrainer` 1.16 gives the videos of a prompt to `generate`, and computes the
    log-probabilities of policy and reference without them: loss, gradient and KL look normal, and
    the policy learns nothing about the videos. This trainer gives them to all three. Prompts may
    hold several videos each. It overrides four private methods of TRL, so it needs ``trl==1.16.*``.

    Two settings matter: ``generation_kwargs={"suppress_tokens": [video_token_id, image_token_id]}``
    keeps the policy from sampling placeholders without a video, and with ``beta > 0`` and without
    PEFT the model has to be loaded from a folder, from which TRL loads the reference.

    Args:
        args_of_trl: Positional arguments of `trl.GRPOTrainer`.
        prompts: Function that builds the inputs of the model from the ``prompt`` of a row.
        keywords: Keyword arguments of `trl.GRPOTrainer`.
    """

    def __init__(self, *args_of_trl: Any, prompts: Prompts, **keywords: Any) -> None:
        self._prompts = prompts
        self._rows: list[dict[str, Any]] | None = None
        super().__init__(*args_of_trl, **keywords)

    def _tokenize_prompts(
        self, prompts: list[Chat]
    ) -> tuple[list[list[int]], None, dict[str, Any]]:
        """Token ids of the prompts, no images, and what generation needs of the videos."""
        batch = self._prompts(prompts)
        mask = batch["attention_mask"].bool()
        ids = [row[kept].tolist() for row, kept in zip(batch["input_ids"], mask, strict=True)]
        self._rows = rows_of_prompts(batch, self.model.config)
        fields: dict[str, Any] = {**joined(self._rows)}
        kinds = [[_VIDEO_KIND * (i == self._video_token_id) for i in row] for row in ids]
        if "mm_token_type_ids" in batch:
            fields["mm_token_type_ids"] = kinds
        return ids, None, fields

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        """Completions and rewards; the videos are a column that is shuffled and split as others."""
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        output["video_rows"] = self._rows
        return output

    def _compute_loss(self, model: Any, inputs: Any) -> Tensor:
        """The loss of the rows in ``inputs``, with their videos."""
        self._rows = inputs["video_rows"]
        loss: Tensor = super()._compute_loss(model, inputs)
        return loss

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, *args: Any, **keywords: Any
    ) -> Any:
        """Log-probabilities of the completions, given the videos of the rows at hand."""
        if self._rows is None or len(self._rows) != len(input_ids):
            raise ModelError(
                f"the log-probabilities of {len(input_ids)} rows were asked for, with the videos "
                f"of {len(self._rows or ())}; install trl==1.16.*"
            )
        seeing = _WithVideos(model, self._rows, self._video_token_id)
        return super()._get_per_token_logps_and_entropies(seeing, input_ids, *args, **keywords)

    @property
    def _video_token_id(self) -> int:
        token: int = self.model.config.video_token_id
        return token


class _WithVideos:
    """A model that adds the videos of the rows it is called with, in order, chunk by chunk."""

    def __init__(self, model: Any, rows: Sequence[Mapping[str, Any]], video_token_id: int) -> None:
        self._model = model
        self._rows = rows
        self._video_token_id = video_token_id
        self._at = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def __call__(self, *, input_ids: Tensor, **keywords: Any) -> Any:
        rows = self._rows[self._at : self._at + len(input_ids)]
        self._at += len(input_ids)
        videos = {name: value.to(input_ids.device) for name, value in joined(rows).items()}
        kinds = (input_ids == self._video_token_id).long() * _VIDEO_KIND
        return self._model(input_ids=input_ids, **keywords | videos | {"mm_token_type_ids": kinds})


def rows_of_prompts(batch: Mapping[str, Any], config: Any) -> list[dict[str, Any]]:
    """The videos of each prompt of a batch, apart.

    Args:
        batch: Inputs as the processor returns them.
        config: Configuration of the model.

    Returns:
        For each prompt its rows of the inputs that hold videos.

    Raises:
        ModelError: The processor is not of the Qwen family, which gives a grid for each video.
    """
    if _GRID not in batch or _PATCHES not in batch:
        raise ModelError(
            f"the inputs of the prompts hold {sorted(batch)}, and no {_GRID}; give prompts with a "
            "video each and a model of the Qwen family (Qwen2-VL, Qwen2.5-VL, Qwen3-VL)"
        )
    grid = torch.as_tensor(batch[_GRID])
    n_patches = grid.prod(-1)
    n_tokens = n_patches // config.vision_config.spatial_merge_size**2
    per_prompt = (batch["input_ids"] == config.video_token_id).sum(-1)
    # A video belongs to the prompt in which the tokens of all videos before it end.
    ends = per_prompt.cumsum(0)
    owners = torch.searchsorted(ends, n_tokens.cumsum(0))
    if not torch.equal(torch.bincount(owners, n_tokens.double(), len(ends)).long(), per_prompt):
        raise ModelError("the placeholders of the prompts do not match their videos; check prompts")
    counts = torch.bincount(owners, minlength=len(ends)).tolist()
    n_per_prompt = torch.bincount(owners, n_patches.double(), len(ends)).long().tolist()
    columns = {
        _PATCHES: torch.split(torch.as_tensor(batch[_PATCHES]), n_per_prompt),
        _GRID: torch.split(grid, counts),
    }
    if _SECONDS in batch:
        columns[_SECONDS] = torch.split(torch.as_tensor(batch[_SECONDS]), counts)
    return [
        dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)
    ]


def joined(rows: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The videos of several prompts as one batch; the inverse of `rows_of_prompts`."""
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}
