"""What wraps SGLang's functions: a video that consists of the chosen frames, and their times."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sglang.srt.utils.common import _normalize_video_input
from sglang.srt.utils.video_decoder import VideoDecoderWrapper
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.hosts import Chosen
from keyscore_sglang.service import asked_of, frame_service
from keyscore_sglang.times import retimed

# Qwen2-VL reads no times, Qwen2.5-VL gets its positions here, and the others get the metadata.
_FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
_OTHER_FAMILY = (
    "keyscore: SGLang samples the videos of this model in code that keyscore does not reach; it "
    f"reaches {', '.join(_FAMILIES)}: leave 'sampler' out, or send the frames as images, by "
    "keyscore_openai.frames or keyscore proxy"
)
_OWN_SAMPLING = ("fps", "min_frames", "max_frames")


@dataclass(frozen=True, slots=True)
class _Request:
    """A request that is processed.

    Attributes:
        family: Type of the model.
        videos: What was chosen of each video so far; None for a stock one.
    """

    family: str
    videos: list[Chosen | None] = field(default_factory=list)


_REQUEST: ContextVar[_Request | None] = ContextVar("keyscore_request", default=None)


class ChosenVideo(VideoDecoderWrapper):
    """A video that consists of the chosen frames.

    Args:
        chosen: Frames with their times.

    Attributes:
        is_wanted_whole: Whether its reader takes all frames. Another one would sample among them,
            and is refused.
    """

    def __init__(self, chosen: Chosen) -> None:
        self.chosen = chosen
        self.is_wanted_whole = False

    def __len__(self) -> int:
        return len(self.chosen.indices)

    def __del__(self) -> None:
        """Close nothing: the frames are in memory."""

    @override
    def __getitem__(self, row: int) -> Any:
        return self.get_frames_at([row])[0]

    @property
    def avg_fps(self) -> float:
        """Frames per second of the clock that counts the frames."""
        fps: float = self.chosen.metadata["fps"]
        return fps

    @override
    def get_frames_as_tensor(self, indices: list[int]) -> Tensor:
        """``(n, h, w, 3)`` uint8 RGB of these rows.

        Raises:
            ValueError: The model is of a family that samples frames itself.
        """
        if not self.is_wanted_whole:
            raise ValueError(_OTHER_FAMILY)
        assert self.chosen.frames is not None
        return self.chosen.frames.pixels[indices]

    @override
    def get_frames_at(self, indices: list[int]) -> Any:
        """The same as an array of NumPy."""
        return self.get_frames_as_tensor(indices).numpy()

    @property
    def source_bytes(self) -> bytes | None:
        """The video's file, from which SGLang takes the sound; there is none."""
        return None


def load_video(original: Any, video_file: Any, *args: Any, **more: Any) -> Any:
    """Around ``load_video``: a ``keyscore:`` URL gives the chosen frames.

    Raises:
        ValueError: The request cannot be met, or the video cannot be read.
    """
    asked = asked_of(getattr(video_file, "url", video_file))
    if asked is None:
        return original(video_file, *args, **more)
    keys, video = asked
    source = _normalize_video_input(video)  # SGLang fetches: its limits hold
    return ChosenVideo(frame_service().frames(source, keys))


async def preprocess_video(
    original: Any, video: Any, *args: Any, video_config: Any = None, **more: Any
) -> Any:
    """Around ``preprocess_video`` of Qwen: all chosen frames, with their true times.

    Raises:
        ValueError: The model is of another family.
    """
    chosen = video.chosen if isinstance(video, ChosenVideo) else None
    request = _REQUEST.get()
    if request is not None:
        request.videos.append(chosen)
    if chosen is None:
        return await original(video, *args, video_config=video_config or {}, **more)
    if request is None or request.family not in _FAMILIES:
        raise ValueError(_OTHER_FAMILY)
    video.is_wanted_whole = True
    config = {key: value for key, value in (video_config or {}).items() if key not in _OWN_SAMPLING}
    config["nframes"] = len(video)
    pixels, metadata = await original(video, *args, video_config=config, **more)
    indices = np.array(chosen.metadata["frames_indices"])
    return pixels, {**metadata, **chosen.metadata, "frames_indices": indices}


async def process_video_request(original: Any, self: Any, *args: Any, **more: Any) -> Any:
    """Around ``process_mm_data_async`` of Qwen: Qwen2.5-VL gets each patch at its own time.

    SGLang 0.5.23 itself places the patches of every video 1/12 s apart.
    """
    request = _Request(self.model_type)
    token = _REQUEST.set(request)
    try:
        made = await original(self, *args, **more)
    finally:
        _REQUEST.reset(token)
    if any(request.videos) and self.model_type == "qwen2_5_vl":
        _retime(made, request, self)
    return made


def _retime(made: Any, request: _Request, processor: Any) -> None:
    """Move the patches of chosen videos to their times."""
    vision = processor.hf_config.vision_config
    grids = [
        (int(steps), int(height) * int(width) // vision.spatial_merge_size**2)
        for item in made.mm_items
        if item.is_video()
        for steps, height, width in item.model_specific_data["video_grid_thw"].tolist()
    ]
    ids = torch.tensor(list(made.input_ids))
    made.mrope_positions, moved = retimed(
        made.mrope_positions,
        (ids == processor.mm_tokens.video_token_id).nonzero()[:, 0],
        grids,
        [None if video is None else video.patch_seconds for video in request.videos],
        tokens_per_second=vision.tokens_per_second,
    )
    made.mrope_position_delta = made.mrope_position_delta + moved
