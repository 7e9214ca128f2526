"""A video that is already decoded, with the metadata that transformers keeps of it."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.video.images import ArrayPictures, ImageVideo


class ArrayVideo(ImageVideo):
    """A `keyscore_plugin.video.source.VideoSource` over pixels in memory. Frame i is row i.

    Args:
        pixels: ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8.
        metadata: ``fps`` of the video, and ``frames_indices`` (rising) where it is not whole.

    Raises:
        InputError: It is no video, or its times cannot be known.
    """

    def __init__(self, pixels: Tensor, metadata: Mapping[str, Any] | None) -> None:
        pictures = ArrayPictures(pixels)
        if metadata is None or not metadata.get("fps"):
            raise InputError(
                f"the times of {pictures.path} are unknown; give video_metadata=[{{'fps': ..., "
                "'total_num_frames': ...}], or the path of the video"
            )
        numbers = metadata.get("frames_indices")
        if numbers is not None and len(numbers) != len(pictures):
            raise InputError(
                f"{pictures.path} has {len(numbers)} frames_indices in its video_metadata"
            )
        super().__init__(
            pictures,
            path=pictures.path,
            fps=metadata["fps"],
            frame_numbers=None if numbers is None else list(numbers),
            duration_seconds=float(metadata.get("duration") or 0),
        )
