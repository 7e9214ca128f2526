"""A reader of qwen-vl-utils that gives chosen frames and their true times."""

from typing import Any

from torch import Tensor

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.hosts.pairing import Fold, keyframes_for_budget, pair_frames
from keyscore_plugin.video.metadata import frame_clock
from keyscore_plugin.video.trim import TrimmedVideo
from keyscore_qwen_vl_utils.request import VideoRequest

# (n, 3, h, w) uint8 pixels, metadata, mean frames a second of what was chosen.
Read = tuple[Tensor, dict[str, Any], float]

FRAMES_PER_PATCH = 2  # FRAME_FACTOR of qwen-vl-utils: two frames make one visual token


def read(element: dict[str, Any]) -> Read:
    """Choose and read the frames of an element's video.

    Args:
        element: Of a message, with a ``sampler``; see `keyscore_qwen_vl_utils.install`.

    Returns:
        What the readers of qwen-vl-utils return. ``frames_indices / fps`` of the metadata are
        seconds from the video's first frame. ``total_num_frames`` counts the frames of the interval
        that was asked for, as theirs does: transformers computes the mean frame rate from it.

    Raises:
        VideoError: The video cannot be read.
        InputError: The element asks for something that cannot be done.
    """
    module = require("qwen_vl_utils.vision_process", extra="qwen-vl-utils")
    request = VideoRequest.from_element(element)
    with request.opened() as source:
        excerpt = TrimmedVideo.between(source, element.get("video_start"), element.get("video_end"))
        budget = _budget(module, element, excerpt)
        indices = _chosen(request, excerpt, budget=budget, spacing_seconds=1 / module.FPS)
        frames = excerpt.read(indices)
        facts = frame_clock(frames, excerpt)
    metadata = {
        "fps": facts["fps"],
        "frames_indices": facts["frames_indices"],
        "total_num_frames": facts["total_num_frames"],
        "video_backend": "keyscore",
    }
    pixels = frames.pixels.permute(0, 3, 1, 2).contiguous()
    return pixels, metadata, len(indices) / excerpt.duration_seconds


def _budget(module: Any, element: dict[str, Any], excerpt: TrimmedVideo) -> int:
    """Frames that the model may get, by the rule of qwen-vl-utils.

    It refuses to give more frames than there are, where a sampler gives all of them; one frame is
    shown twice, to fill a visual token.
    """
    asked = module.ceil_by_factor(element.get("nframes", 1), FRAMES_PER_PATCH)
    budget: int = module.smart_nframes(
        element,
        total_frames=max(excerpt.n_frames, asked),
        video_fps=float(excerpt.average_fps),
    )
    return budget


def _chosen(
    request: VideoRequest, excerpt: TrimmedVideo, *, budget: int, spacing_seconds: float
) -> list[int]:
    """Indices, in the excerpt, of the frames that the model gets.

    Args:
        request: What the element asks for.
        excerpt: The part of the video to choose from.
        budget: Frames that the model may get.
        spacing_seconds: Time between two frames that qwen-vl-utils samples by itself.
    """
    selection = request.sampler(
        excerpt,
        num_frames=keyframes_for_budget(budget, FRAMES_PER_PATCH, pair=request.pair),
        caption=request.caption,
        question=request.question,
    )
    fold = Fold(FRAMES_PER_PATCH, spacing_seconds)
    return pair_frames(selection.indices, excerpt.pts_seconds(), request.pair, fold)
