"""ms-swift: chosen frames as in qwen-vl-utils, exact times for Qwen2.5-VL, errors that are seen.

Example:
    # plugin.py, for: swift sft ... --external_plugins plugin.py
    from keyscore_qwen_vl_utils.swift import install

    install()
"""

from collections.abc import Callable
from functools import partial, update_wrapper
from typing import Any

import torch
import transformers
from torch import Tensor

from keyscore_plugin.errors import (
    InputError,
    KeyScoreError,
    MemoryEndedError,
    VideoError,
    one_line,
    shown,
)
from keyscore_plugin.hosts import require, split_frames
from keyscore_qwen_vl_utils import hook
from keyscore_qwen_vl_utils.reader import ChosenRate
from keyscore_transformers.positions import reads_rows
from keyscore_transformers.times import grid_intervals

_FRAMES = "#frames="
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


class CheckedEncoding:
    """The method of ms-swift that encodes a row, with an error if a video was not read by us.

    ms-swift replaces a row that raises by another one. A row whose video cannot be read still is,
    and its error is logged in one line; any other error of ours ends the training, since the next
    rows most likely ask for the same.

    Args:
        stock: Method of ms-swift's base class of templates.
    """

    def __init__(self, stock: Callable[..., Any]) -> None:
        self.stock = stock
        update_wrapper(self, stock)

    def __get__(self, template: Any, owner: type[Any]) -> Callable[..., Any]:
        """The method of a template."""
        return self if template is None else partial(self, template)

    def __call__(self, template: Any, inputs: Any) -> Any:
        """Encode a row.

        Raises:
            SystemExit: Training asks for something that cannot be done.
        """
        try:
            return self._encode(template, inputs)
        except (VideoError, MemoryEndedError) as error:
            logger: Any = require("swift.utils", extra=None).get_logger()
            logger.warning_once(f"keyscore: {error}; ms-swift takes another row, unless --strict")
            raise
        except KeyScoreError as error:
            if template.is_training:
                raise SystemExit(one_line(f"keyscore: {error}")) from error
            raise

    def _encode(self, template: Any, inputs: Any) -> Any:
        asked, before = _asked(inputs), hook.n_reads()
        try:
            encoded = self.stock(template, inputs)
        except Exception as error:
            # Another reader takes the frames in an address for a part of the file's name.
            if asked and _FRAMES in str(error) and not isinstance(error, KeyScoreError):
                raise _unread(asked[0], template) from error
            raise
        if hook.n_reads() - before < len(asked):
            raise _unread(asked[0], template)
        return encoded


def install(*, exact_times: bool = True) -> None:
    """Let rows of ms-swift name frames or a sampler, see `keyscore_qwen_vl_utils.install`.

    Qwen2.5-VL gets each patch at its true time; ms-swift itself gives it one interval for a video.
    A request that cannot be met, such as an unknown sampler, ends the training with one line. A
    video that cannot be read is logged in one line, and ms-swift takes another row in its place,
    as for every error unless ``--strict true`` is given. A second call does nothing.

    Args:
        exact_times: Whether Qwen2.5-VL must get each patch at its true time. If False, it gets the
            mean spacing of the chosen frames, with any version of transformers.

    Raises:
        InputError: The installed transformers gives Qwen2.5-VL one interval for a whole video.
        MissingDependencyError: ms-swift or qwen-vl-utils is not installed.
    """
    if exact_times and not reads_rows():
        raise InputError(
            f"transformers {transformers.__version__} gives Qwen2.5-VL one interval for a whole "
            "video, not one for each patch; install transformers>=5.18, or call "
            "install(exact_times=False), which gives chosen frames their mean spacing"
        )
    hook.install()
    templates: Any = require("swift.template", extra=None)
    base = templates.Template
    if not isinstance(base._encode_truncated, CheckedEncoding):
        base._encode_truncated = CheckedEncoding(base._encode_truncated)
    for meta in templates.TEMPLATE_MAPPING.values() if exact_times else ():
        stock = meta.template_cls
        if getattr(stock, "version", None) == "v2_5" and not issubclass(stock, TimedTemplate):
            meta.template_cls = type(stock.__name__, (TimedTemplate, stock), {})


def _asked(inputs: Any) -> list[Any]:
    """The videos of a row whose frames we choose.

    Raises:
        InputError: An address ends in something that is no list of frames.
    """
    if inputs.chat_template_kwargs.get("sampler") is not None:
        return list(inputs.videos)
    return [
        video
        for video in inputs.videos
        if isinstance(video, str) and split_frames(video)[1] is not None
    ]


def _unread(video: Any, template: Any) -> InputError:
    return InputError(
        f"the frames of {shown(video)} were not chosen: the template "
        f"{template.template_meta.template_type!r} of ms-swift does not read them through "
        "qwen-vl-utils, or not with what the row says; take a template of Qwen-VL, or leave "
        "sampler and #frames= out"
    )


def _row(rate: float, interval: float, n_patches: int) -> Tensor:
    """``(n_patches,)`` intervals of a video: those of its chosen frames, or the stock one."""
    if not isinstance(rate, ChosenRate):
        return torch.full((n_patches,), interval)
    return grid_intervals(rate.patch_seconds, rate=_POSITIONS_PER_SECOND)
