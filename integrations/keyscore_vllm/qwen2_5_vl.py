"""Qwen2.5-VL with the exact time of each temporal patch.

vLLM gives Qwen2.5-VL one mean spacing per video, as transformers does. Here the processor adds one
more field, the seconds of each patch, and the model computes the temporal positions from it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from vllm.model_executor.models.qwen2_5_vl import (
    Qwen2_5_VLDummyInputsBuilder,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLMultiModalProcessor,
    Qwen2_5_VLProcessingInfo,
)
from vllm.multimodal import MULTIMODAL_REGISTRY
from vllm.multimodal.inputs import MultiModalFieldConfig

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import BACKEND

_FIELD = "keyscore_patch_seconds"
_ROUNDING = 1e-6  # a time such as 0.3 * 10 falls just short of its whole number in binary

Positions = npt.NDArray[np.int64]


class TimedQwen2_5_VLMultiModalProcessor(Qwen2_5_VLMultiModalProcessor):
    """The stock processor, with the seconds of each temporal patch as one more field.

    Raises:
        InputError: vLLM prunes tokens of videos, and then computes their positions in another way.
    """

    def __init__(self, info: Any, *args: Any, **more: Any) -> None:
        if info.ctx.get_mm_config().is_multimodal_pruning_enabled():
            raise InputError(
                "with --video-pruning-rate, Qwen2.5-VL places frames by their mean spacing, and "
                "chosen frames would get wrong times; leave it out, or leave "
                "VLLM_MEDIA_CONNECTOR=keyscore out"
            )
        super().__init__(info, *args, **more)

    def _get_mm_fields_config(
        self, hf_inputs: Any, hf_processor_mm_kwargs: Mapping[str, object]
    ) -> Mapping[str, Any]:
        fields = dict(super()._get_mm_fields_config(hf_inputs, hf_processor_mm_kwargs))
        if _FIELD in hf_inputs:
            fields[_FIELD] = MultiModalFieldConfig.batched("video", keep_on_cpu=True)
        return fields

    def _postprocess_hf_mm_data(
        self,
        mm_inputs: Mapping[str, Any],
        hf_processor_mm_kwargs: Mapping[str, object],
        processed_data: Any,
    ) -> Any:
        data = super()._postprocess_hf_mm_data(mm_inputs, hf_processor_mm_kwargs, processed_data)
        if metadata := mm_inputs.get("video_metadata"):
            grids = data["video_grid_thw"].tolist()
            spacings = data["second_per_grid_ts"]
            data[_FIELD] = [
                _patch_seconds(facts, steps, float(spacing))
                for facts, (steps, _, _), spacing in zip(metadata, grids, spacings, strict=True)
            ]
        return data


def _patch_seconds(facts: Any, n_patches: int, spacing: float) -> Tensor:
    """Seconds of each temporal patch since the first one.

    Args:
        facts: Metadata of a video.
        n_patches: Temporal patches of the video.
        spacing: Mean seconds between two patches, from which vLLM's own positions are computed.

    Returns:
        ``(n_patches,)`` float64: the frames' own times if we chose them; otherwise as in vLLM.
    """
    if facts.video_backend != BACKEND:
        return torch.arange(n_patches, dtype=torch.float64) * spacing
    times = torch.tensor(facts.frames_indices, dtype=torch.float64) / facts.fps
    starts: Tensor = times.view(n_patches, -1).mean(1)
    return starts - starts[0]


@MULTIMODAL_REGISTRY.register_processor(
    TimedQwen2_5_VLMultiModalProcessor,
    info=Qwen2_5_VLProcessingInfo,
    dummy_inputs=Qwen2_5_VLDummyInputsBuilder,
)
class TimedQwen2_5_VLForConditionalGeneration(Qwen2_5_VLForConditionalGeneration):
    """The stock model, whose temporal positions come from the seconds of each patch."""

    def get_mrope_input_positions(
        self, input_tokens: list[int], mm_features: Sequence[Any]
    ) -> tuple[Tensor, int]:
        """Positions of a prompt, by the stock rule for everything but the times.

        Args:
            input_tokens: ``(n,)`` token ids of the prompt.
            mm_features: Its images and videos.

        Returns:
            ``(3, n)`` temporal, vertical and horizontal positions; and the next position minus n.
        """
        rows: list[Positions] = []
        done = following = 0
        for offset, grid in self._grids(mm_features):
            text = np.arange(following, following + offset - done)
            rows.append(np.broadcast_to(text, (3, len(text))))
            rows.append(grid.reshape(3, -1) + following + len(text))
            done = offset + rows[-1].shape[1]
            following = int(rows[-1].max()) + 1
        text = np.arange(following, following + len(input_tokens) - done)
        rows.append(np.broadcast_to(text, (3, len(text))))
        positions = np.concatenate(rows, axis=1)
        return torch.from_numpy(positions), int(positions.max()) + 1 - len(input_tokens)

    def _grids(self, mm_features: Sequence[Any]) -> Iterator[tuple[int, Positions]]:
        """Offset in the prompt, and ``(3, t, h, w)`` positions, of each image and video."""
        vision = self.config.vision_config
        for feature in sorted(mm_features, key=lambda feature: feature.mm_position.offset):
            data = feature.data
            steps, height, width = data[f"{feature.modality}_grid_thw"].data.tolist()
            merge = vision.spatial_merge_size
            grid = np.indices((steps, height // merge, width // merge))
            if _FIELD in data:
                positions = data[_FIELD].data.numpy() * vision.tokens_per_second + _ROUNDING
                grid[0] = np.floor(positions)[:, None, None]
            yield feature.mm_position.offset, grid
