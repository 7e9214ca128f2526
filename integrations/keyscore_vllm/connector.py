"""The media connector: a video whose URL asks for chosen frames is fetched as vLLM fetches it."""

import asyncio
import base64
from http import HTTPStatus
from pathlib import Path
from typing import Any

from vllm import envs
from vllm.exceptions import GracefulHTTPError, VLLMValidationError
from vllm.multimodal.media import MediaConnector
from vllm.multimodal.media.base import MediaIO

from keyscore_plugin.hosts import Chosen, Fold
from keyscore_serving import FrameRequest, VideoSources
from keyscore_serving.refusals import refusals
from keyscore_serving.request import is_request_url, split_url
from keyscore_serving.service import FrameService, frame_service
from keyscore_vllm.items import VideoItem, item_of

# Frames in one temporal patch, by the class of the model's video processor.
_FRAMES_PER_PATCH = {
    "Glm46VVideoProcessor": 2,
    "Glm4vVideoProcessor": 2,
    "Qwen2VLVideoProcessor": 2,
    "Qwen3VLVideoProcessor": 2,
}


class FetchedVideo(MediaIO):
    """Takes what vLLM has fetched and allowed, undecoded: bytes, or the path of a local file."""

    def load_bytes(self, data: bytes) -> bytes:
        """The bytes of a video at a URL."""
        return data

    def load_base64(self, media_type: str, data: str) -> bytes:
        """The bytes of a ``data:`` URL.

        Raises:
            InputError: The URL holds a list of pictures.
            ValueError: The data are not base64.
        """
        VideoSources().require(f"data:{media_type},")
        return base64.b64decode(data, validate=True)

    def load_file(self, filepath: Path) -> Path:
        """The path of a file in the allowed folder."""
        return filepath


class KeyScoreConnector(MediaConnector):
    """vLLM's media connector, which chooses the frames of videos with ``keyscore:`` URLs.

    All other URLs, and all other media, take vLLM's own path. Its checks of paths, domains and
    sizes hold for the video in a ``keyscore:`` URL too. The item that it returns is a plain array
    with metadata, so that vLLM's cache is keyed by the frames that are shown.
    """

    def fetch_video(
        self, video_url: str, *, video_processor: str | None = None, **more: Any
    ) -> Any:
        """Load a video for an offline ``LLM``; `fetch_video_async` is the server's.

        Args:
            video_url: Address of the video, or a ``keyscore:`` URL.
            video_processor: Class of the model's video processor.
            more: Arguments of vLLM's own loader, which has more or fewer in other versions.
        """
        if not is_request_url(video_url):
            return super().fetch_video(video_url, video_processor=video_processor, **more)
        with refusals(_refusal):
            service = frame_service()
            request, video = _asked(video_url, service)
            fetched = self.load_from_url(
                video, FetchedVideo(), fetch_timeout=envs.VLLM_VIDEO_FETCH_TIMEOUT
            )
            return self._item(service.frames(fetched, request, _fold(video_processor)))

    async def fetch_video_async(
        self, video_url: str, *, video_processor: str | None = None, **more: Any
    ) -> Any:
        """Load a video for a server; frames are chosen in a thread.

        Args:
            video_url: Address of the video, or a ``keyscore:`` URL.
            video_processor: Class of the model's video processor.
            more: Arguments of vLLM's own loader, which has more or fewer in other versions.
        """
        if not is_request_url(video_url):
            return await super().fetch_video_async(
                video_url, video_processor=video_processor, **more
            )
        with refusals(_refusal):
            service = await asyncio.to_thread(frame_service)
            request, video = _asked(video_url, service)
            fetched = await self.load_from_url_async(
                video, FetchedVideo(), fetch_timeout=envs.VLLM_VIDEO_FETCH_TIMEOUT
            )
            fold = _fold(video_processor)
            return await service.in_thread(
                lambda: self._item(service.frames(fetched, request, fold))
            )

    def _item(self, chosen: Chosen) -> VideoItem:
        """The frames, counted against what one request may decode (from vLLM 0.33 on).

        vLLM's count may wait for other media of the request, so this is not for the event loop.
        """
        item = item_of(chosen)
        budget = getattr(self, "decoded_budget", None)
        if budget is not None:
            budget.charge(item[0].nbytes)
        return item


def _asked(url: str, service: FrameService) -> tuple[FrameRequest, str]:
    """The request in a ``keyscore:`` URL, and the address of its video."""
    keys, video = split_url(url) or ({}, url)
    return FrameRequest.of(keys, service.limits), video


def _fold(video_processor: str | None) -> Fold:
    return Fold(frames_per_patch=_FRAMES_PER_PATCH.get(video_processor or "", 1))


def _refusal(text: str, status: HTTPStatus) -> Exception:
    """The error that vLLM answers with a status and one line."""
    made: Exception
    if status == HTTPStatus.BAD_REQUEST:
        made = VLLMValidationError(text)
    else:
        made = GracefulHTTPError(text, status)
    return made
