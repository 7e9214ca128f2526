"""What a vLLM server makes of a chat, read in the server: tokens, frames by number, and times.

``--middleware tests.support.vllm.reading.ReadBack`` answers a request for a rendered chat (vLLM's
``/render``) with what can be compared, in place of packed tensors. The videos have to be
`tests.support.tiny.videos.numbered_video`.
"""

import importlib
import json
from typing import Any

import torch

from keyscore_serving.middleware import App, Message, Receive, Send
from tests.support.tiny.shared_parts import CLIP_MEAN, CLIP_STD, HALF
from tests.support.tiny.videos import frame_numbers

_TIMES = ("timestamps", "second_per_grid_ts", "keyscore_patch_seconds")


class ReadBack:
    """Replaces the tensors in the answers of ``/render``."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection of ASGI."""
        if scope["type"] != "http" or not scope["path"].endswith("/render"):
            await self.app(scope, receive, send)
            return
        start: Message = {}
        body = bytearray()

        async def keep(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            body.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            text = bytes(body)
            if start["status"] == 200:
                text = json.dumps(read(json.loads(text))).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(text)),
            ]
            await send({**start, "headers": headers})
            await send({"type": "http.response.body", "body": text})

        await self.app(scope, receive, keep)


def read(rendered: dict[str, Any]) -> dict[str, Any]:
    """The ids, the keys in vLLM's cache, and what each video shows and when."""
    serde = importlib.import_module("vllm.entrypoints.scale_out.token_in_token_out.mm_serde")
    features = rendered["features"] or {}
    packed = (features.get("kwargs_data") or {}).get("video", [])
    return {
        "token_ids": rendered["token_ids"],
        "hashes": features.get("mm_hashes"),
        "videos": [_video(serde.decode_mm_kwargs_item(item)) for item in packed],
    }


def _video(item: Any) -> dict[str, Any]:
    pixels = item["pixel_values_videos"].data
    steps, height, width = item["video_grid_thw"].data.tolist()
    patches = pixels.float().reshape(steps, height * width, 3, 2, -1)
    colours = patches.mean(dim=(1, 4)).transpose(1, 2).reshape(-1, 3)
    if pixels.dtype != torch.uint8:  # otherwise the model normalises
        is_clip = patches.shape[-1] == 14 * 14
        mean, std = (CLIP_MEAN, CLIP_STD) if is_clip else (HALF, HALF)
        colours = (colours * torch.tensor(std) + torch.tensor(mean)) * 255
    times = {name: torch.as_tensor(item[name].data).tolist() for name in _TIMES if name in item}
    return {"frames": frame_numbers(colours), **times}
