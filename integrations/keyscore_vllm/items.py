"""Chosen frames as vLLM takes a video."""

from typing import Any

import numpy as np
import numpy.typing as npt

from keyscore_plugin.hosts import BACKEND, Chosen

VideoItem = tuple[npt.NDArray[np.uint8], dict[str, Any]]


def item_of(chosen: Chosen) -> VideoItem:
    """``(n, h, w, 3)`` uint8 RGB, and the metadata that vLLM's own loaders give."""
    assert chosen.frames is not None
    metadata = {**chosen.metadata, "video_backend": BACKEND, "do_sample_frames": False}
    return chosen.frames.pixels.contiguous().numpy(), metadata
