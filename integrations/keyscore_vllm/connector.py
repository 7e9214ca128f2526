"""The media connector: a video whose URL asks for chosen frames is fetched as vLLM fetches it."""

import asyncio
import base64
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from vllm import envs
from vllm.exceptions import GracefulHTTPError, VLLMValidationError
from vllm.multimodal.media import MediaConnector
from vllm.multimodal.media.base import MediaIO

from keyscore_plugin.errors import InputError, KeyScoreError, VideoError
from keyscore_plugin.hosts import Fold
from keyscore_serving import FrameRequest, VideoSources
from keyscore_serving.jobs import BusyError, LateError
from keyscore_serving.request import is_request_url, split_url
from keyscore_vllm.service import FrameService, VideoItem, frame_service

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
        with _refusals():
            service = frame_service()
            request, video = _asked(video_url, service)
            fetched = self.load_from_url(
                video, FetchedVideo(), fetch_timeout=envs.VLLM_VIDEO_FETCH_TIMEOUT
            )
            item = service.frames(fetched, request, _fold(video_processor))
        return self._charged(item)

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
        with _refusals():
            service = await asyncio.to_thread(frame_service)
            request, video = _asked(video_url, service)
            fetched = await self.load_from_url_async(
                video, FetchedVideo(), fetch_timeout=envs.VLLM_VIDEO_FETCH_TIMEOUT
            )
            item = await service.frames_in_thread(fetched, request, _fold(video_processor))
        return self._charged(item)

    def _charged(self, item: VideoItem) -> VideoItem:
        """The item, counted against what one request may decode (from vLLM 0.33 on)."""
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


@contextmanager
def _refusals() -> Iterator[None]:
    """Turns errors of ours into those that vLLM answers with their status and one line."""
    try:
        yield
    except (InputError, VideoError) as error:
        raise VLLMValidationError(f"keyscore: {error}") from error
    except KeyScoreError as error:  # a model, the memory or a package of this server
        raise _http_error(error, HTTPStatus.SERVICE_UNAVAILABLE) from error
    except BusyError as error:
        raise _http_error(error, HTTPStatus.TOO_MANY_REQUESTS) from error
    except LateError as error:
        raise _http_error(error, HTTPStatus.GATEWAY_TIMEOUT) from error


def _http_error(error: Exception, status: HTTPStatus) -> Exception:
    refusal: Exception = GracefulHTTPError(f"keyscore: {error}", status)
    return refusal
