"""The middleware of a server: it reads ``"sampler"`` in chat requests."""

import os

from keyscore_plugin.errors import InputError
from keyscore_serving import FrameRequestMiddleware
from keyscore_serving.middleware import App
from keyscore_serving.service import frame_service
from keyscore_vllm import CONNECTOR


class Middleware(FrameRequestMiddleware):
    """What ``--middleware keyscore_vllm.Middleware`` adds to a server.

    The settings come from the environment (`keyscore_serving.ServerSettings`). The encoder is
    loaded before the server takes its first request, so that a wrong name ends the start.

    Args:
        app: The server's application.

    Raises:
        InputError: ``VLLM_MEDIA_CONNECTOR`` is not ``keyscore``, or a setting cannot be used.
        ModelError: The encoder cannot be loaded.
    """

    def __init__(self, app: App) -> None:
        if os.environ.get("VLLM_MEDIA_CONNECTOR") != CONNECTOR:
            raise InputError(
                "keyscore_vllm.Middleware writes keyscore: URLs, which only our media connector "
                f"reads; set VLLM_MEDIA_CONNECTOR={CONNECTOR}, or leave the middleware out"
            )
        super().__init__(app)
        frame_service()
