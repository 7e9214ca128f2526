"""ms-swift: chosen frames as in qwen-vl-utils, and exact times for Qwen2.5-VL.

Example:
    # plugin.py, for: swift sft ... --external_plugins plugin.py
    from keyscore_qwen_vl_utils.swift import install

    install()
"""

from typing import Any

import torch
import transformers
from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import require
from keyscore_qwen_vl_utils import hook
from keyscore_qwen_vl_utils.reader import ChosenRate
from keyscore_transformers.positions import reads_rows
from keyscore_transformers.times import grid_intervals

_INTERVALS = "second_per_grid_ts"
_POSITIONS_PER_SECOND = 2.0  # of every published Qwen2.5-VL


class TimedTemplate:
    """The method that `install` puts before that of a template of Qwen2.5-VL."""

    def _encode(self, inputs: Any) -> dict[str, Any]:
        """Encode a row; each patch of chosen frames gets its own interval."""
        stock: Any = super()
        encoded: dict[str, Any] = stock._encode(inputs)
        rates = inputs.mm_processor_kwargs.get("fps", ())
        if any(isinstance(rate, ChosenRate) for rate in rates):
            encoded[_INTERVALS] = [
                _row(rate, interval, int(grid[0]))
                for rate, interval, grid in zip(
                    rates, encoded[_INTERVALS], encoded["video_grid_thw"], strict=True
                )
            ]
        return encoded


def install() -> None:
    """Let rows of ms-swift name frames or a sampler, see `keyscore_qwen_vl_utils.install`.

    Qwen2.5-VL gets each patch at its true time; ms-swift itself gives it one interval for a video.
    A second call does nothing.

    Raises:
        InputError: The installed transformers gives Qwen2.5-VL one interval for a whole video. The
            rows cannot be refused later: ms-swift replaces a row that raises by another one.
        MissingDependencyError: ms-swift or qwen-vl-utils is not installed.
    """
    if not reads_rows():
        raise InputError(
            f"transformers {transformers.__version__} gives Qwen2.5-VL one interval for a whole "
            "video, not one for each patch; install transformers>=5.18, or call "
            "keyscore_qwen_vl_utils.install, which gives chosen frames their mean spacing"
        )
    hook.install()
    templates: Any = require("swift.template", extra=None)
    for meta in templates.TEMPLATE_MAPPING.values():
        stock = meta.template_cls
        if getattr(stock, "version", None) == "v2_5" and not issubclass(stock, TimedTemplate):
            meta.template_cls = type(stock.__name__, (TimedTemplate, stock), {})


def _row(rate: float, interval: float, n_patches: int) -> Tensor:
    """``(n_patches,)`` intervals of a video: those of its chosen frames, or the stock one."""
    if not isinstance(rate, ChosenRate):
        return torch.full((n_patches,), interval)
    return grid_intervals(rate.patch_seconds, rate=_POSITIONS_PER_SECOND)
