"""What wraps SGLang's functions: a video that consists of the chosen frames, and their times."""

import asyncio
from collections.abc import Sequence
from copy import copy
from http import HTTPStatus
from typing import Any

import numpy as np
import torch
from fastapi import HTTPException
from sglang.srt.utils.common import CLIENT_MEDIA_EXCEPTIONS, _normalize_video_input
from sglang.srt.utils.video_decoder import VideoDecoderWrapper
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.hosts import Chosen, Fold
from keyscore_serving import FrameRequest, split_url
from keyscore_serving.refusals import refusals
from keyscore_serving.request import is_request_url
from keyscore_serving.service import FrameService, frame_service
from keyscore_sglang.times import retimed

_FOLD = Fold(frames_per_patch=2)  # of every Qwen-VL
# Qwen2-VL reads no times, Qwen2.5-VL gets its positions here, and the others get the metadata.
_FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen3_vl_moe", "qwen3_5", "qwen3_5_moe")
_OTHER_FAMILY = (
    "keyscore: SGLang samples the videos of this model in code that keyscore does not reach; it "
    f"reaches {', '.join(_FAMILIES)}: leave 'sampler' out, or send the frames as images, by "
    "keyscore_openai.frames or keyscore proxy"
)
_OWN_SAMPLING = ("fps", "min_frames", "max_frames")


class ChosenVideo(VideoDecoderWrapper):
    """A video that consists of the chosen frames.

    Args:
        chosen: Frames with their times.
    """

    def __init__(self, chosen: Chosen) -> None:
        assert chosen.frames is not None
        self.chosen = chosen
        self._pixels = chosen.frames.pixels

    def __len__(self) -> int:
        return len(self._pixels)

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
        """``(n, h, w, 3)`` uint8 RGB of these rows."""
        return self._pixels[indices]

    @override
    def get_frames_at(self, indices: list[int]) -> Any:
        """The same as an array of NumPy."""
        return self.get_frames_as_tensor(indices).numpy()

    @property
    def source_bytes(self) -> bytes | None:
        """The video's file, from which SGLang takes the sound: None, as only frames are held."""
        return None


async def process_video_request(
    original: Any, self: Any, image_data: Any, input_text: Any, request_obj: Any, **more: Any
) -> Any:
    """Around ``process_mm_data_async`` of Qwen: chosen frames take the place of the videos.

    Qwen2.5-VL gets each patch at its own time: SGLang 0.5.23 itself places the patches of every
    video 1/12 s apart.

    Raises:
        ValueError: The request cannot be met, or a video cannot be read. SGLang answers 400.
        HTTPException: Too many videos wait, the time is over, or the server lacks what it needs.
    """
    videos = request_obj.video_data or []
    if not any(map(_is_asked, videos)):
        return await original(self, image_data, input_text, request_obj, **more)
    if self.model_type not in _FAMILIES:
        raise ValueError(_OTHER_FAMILY)
    with refusals(_refusal):
        service = await asyncio.to_thread(frame_service)
        shown = [await _shown(video, service) for video in videos]
    request = copy(request_obj)
    request.video_data = shown
    made = await original(self, image_data, input_text, request, **more)
    if self.model_type == "qwen2_5_vl":
        _retime(made, shown, self)
    return made


def load_video(original: Any, video_file: Any, *args: Any, **more: Any) -> Any:
    """Around ``load_video``: frames that were chosen are not loaded again.

    Raises:
        ValueError: Frames are asked for, and no hook of ours processes the videos of this model.
    """
    if isinstance(video_file, ChosenVideo):
        return video_file
    if _is_asked(video_file):
        raise ValueError(_OTHER_FAMILY)
    return original(video_file, *args, **more)


async def preprocess_video(
    original: Any, video: Any, *args: Any, video_config: Any = None, **more: Any
) -> Any:
    """Around ``preprocess_video`` of Qwen: all chosen frames, with their true times."""
    config = video_config or {}
    if not isinstance(video, ChosenVideo):
        return await original(video, *args, video_config=config, **more)
    config = {key: value for key, value in config.items() if key not in _OWN_SAMPLING}
    config["nframes"] = len(video)
    pixels, metadata = await original(video, *args, video_config=config, **more)
    facts = video.chosen.metadata
    return pixels, {**metadata, **facts, "frames_indices": np.array(facts["frames_indices"])}


def _is_asked(video: Any) -> bool:
    """Whether a client asks for chosen frames of a video, as SGLang holds it."""
    return is_request_url(getattr(video, "url", video))


async def _shown(video: Any, service: FrameService) -> Any:
    """The chosen frames of a video; the video itself if the client asks for none."""
    url = getattr(video, "url", video)
    split = split_url(url) if isinstance(url, str) else None
    if split is None:
        return video
    keys, address = split
    request = FrameRequest.of(keys, service.limits)
    return ChosenVideo(
        await service.in_thread(lambda: service.frames(_fetched(address), request, _FOLD))
    )


def _fetched(address: str) -> str | bytes:
    """Path or contents of a video; SGLang fetches, and its limits hold.

    Raises:
        ValueError: It cannot be fetched.
    """
    try:
        fetched: str | bytes = _normalize_video_input(address)
    except CLIENT_MEDIA_EXCEPTIONS as error:
        raise ValueError(f"keyscore: the video cannot be fetched: {error}") from error
    return fetched


def _refusal(text: str, status: HTTPStatus) -> Exception:
    """The error that SGLang answers with a status and one line."""
    if status == HTTPStatus.BAD_REQUEST:
        return ValueError(text)
    made: Exception = HTTPException(status, text)
    return made


def _retime(made: Any, videos: Sequence[Any], processor: Any) -> None:
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
        [_patch_seconds(video) for video in videos],
        tokens_per_second=vision.tokens_per_second,
    )
    made.mrope_position_delta = made.mrope_position_delta + moved


def _patch_seconds(video: Any) -> Tensor | None:
    """Times of a chosen video's patches; None for another video."""
    return video.chosen.patch_seconds if isinstance(video, ChosenVideo) else None
