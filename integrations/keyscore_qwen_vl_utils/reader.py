"""A reader of qwen-vl-utils that gives chosen frames and their true times."""

from functools import partial
from typing import Any

from torch import Tensor

from keyscore_plugin import VideoSource
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import BACKEND, Fold, choose, require
from keyscore_qwen_vl_utils.request import HOST, request_of, samplers_of

# (n, 3, h, w) uint8 pixels, metadata, mean frames per second of what was chosen.
Read = tuple[Tensor, dict[str, Any], float]


class ChosenRate(float):
    """Mean frames per second of chosen frames, with their times, for hosts that pass on only it.

    Attributes:
        patch_seconds: ``(n_patches,)`` seconds of the temporal patches, from the first frame.
    """

    patch_seconds: Tensor


FRAMES_PER_PATCH = 2  # FRAME_FACTOR of qwen-vl-utils: two frames make one visual token
_METADATA = ("fps", "frames_indices", "total_num_frames")


def read(element: dict[str, Any]) -> Read:
    """Choose and read the frames of an element's video.

    Args:
        element: Element of a message, with the keys that `keyscore_qwen_vl_utils.install` lists.

    Returns:
        The three values that the readers of qwen-vl-utils return. ``frames_indices / fps`` of the
        metadata are seconds from the video's first frame. ``total_num_frames`` counts the frames of
        the interval that was asked for, as the stock readers do: transformers computes the mean
        frame rate from it.

    Raises:
        VideoError: The video cannot be read.
        InputError: The element asks for something that cannot be done.
    """
    module = require("qwen_vl_utils.vision_process", extra="qwen-vl-utils")
    chosen = choose(
        request_of(element),
        host=HOST,
        samplers=samplers_of(element),
        fold=Fold(FRAMES_PER_PATCH, spacing_seconds=1 / module.FPS),
        budget=partial(_budget, module, element),
    )
    metadata = {name: chosen.metadata[name] for name in _METADATA} | {"video_backend": BACKEND}
    rate = ChosenRate(len(chosen.indices) / chosen.metadata["duration"])
    rate.patch_seconds = chosen.patch_seconds
    return chosen.pixels, metadata, rate


def _budget(module: Any, element: dict[str, Any], video: VideoSource) -> int:
    """Frames that the model may get, by the rule of qwen-vl-utils.

    The stock rule refuses to give more frames than the video has, but a sampler then gives all of
    them; a single frame is shown twice, to fill a visual token.

    Raises:
        InputError: The rule refuses what the element asks for.
    """
    try:
        asked = module.ceil_by_factor(element.get("nframes", 1), FRAMES_PER_PATCH)
        budget: int = module.smart_nframes(
            element,
            total_frames=max(video.n_frames, asked),
            video_fps=float(video.average_fps),
        )
    except (ArithmeticError, AssertionError, TypeError, ValueError) as error:
        raise InputError(
            f"qwen-vl-utils refuses the number of frames of {shown(element['video'])}: {error}; "
            "give nframes, or fps with min_frames and max_frames"
        ) from error
    return budget
