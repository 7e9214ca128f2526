"""ASGI middleware that turns the keys of a chat request into ``keyscore:`` URLs."""

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from functools import partial
from typing import Any

from keyscore_plugin.errors import InputError, one_line
from keyscore_serving.rewriting import rewrite_json
from keyscore_serving.settings import ServerSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

CHAT_PATHS = ("/chat/completions", "/chat/completions/render")
MAX_BODY_BYTES = 512 << 20  # ours: a video of 380 MB as a data: URL


class FrameRequestMiddleware:
    """Reads the bodies of chat requests, and writes the requests for frames into their URLs.

    All other requests, and chats that ask for no frames, pass unchanged. The body is read and
    written in a thread, so that the server's event loop stays free.

    Args:
        app: ASGI application that takes ``keyscore:`` URLs of videos.
        settings: Settings of the server; None reads them from the environment.
        max_body_bytes: Largest body of a chat request; a larger one is answered with 413.
    """

    def __init__(
        self,
        app: App,
        settings: ServerSettings | None = None,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self.app = app
        self.settings = ServerSettings.from_environment() if settings is None else settings
        self.max_body_bytes = max_body_bytes

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection of ASGI."""
        if not is_chat(scope):
            await self.app(scope, receive, send)
            return
        try:
            body = await read_body(receive, self.max_body_bytes)
        except BodyTooLargeError as error:
            await refuse(send, str(error), status=413)
            return
        if body is None:  # the client hung up
            return
        settings = self.settings
        work = partial(rewrite_json, body, limits=settings.limits, default=settings.default)
        try:
            rewritten = await asyncio.to_thread(work)
        except InputError as error:
            await refuse(send, str(error), status=400)
            return
        if rewritten is not None:
            scope = {**scope, "headers": _with_length(scope["headers"], len(rewritten))}
        await self.app(scope, _replayed(rewritten or body, receive), send)


class BodyTooLargeError(Exception):
    """The body of a request is larger than the server takes."""


def is_chat(scope: Message) -> bool:
    """Whether an ASGI scope is a chat request."""
    if scope["type"] != "http" or scope["method"] != "POST":
        return False
    path: str = scope["path"]
    return path.rstrip("/").endswith(CHAT_PATHS)


async def read_body(receive: Receive, most: int) -> bytes | None:
    """The body of a request; None if the client hung up before its end.

    Args:
        receive: Channel of ASGI.
        most: Largest number of bytes.

    Raises:
        BodyTooLargeError: The body is larger; the rest of it is left unread.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        body += message.get("body", b"")
        if len(body) > most:
            raise BodyTooLargeError(
                f"the body of the request is larger than {most:,} bytes, the server's bound; give "
                "the video's address instead of its data"
            )
        if not message.get("more_body", False):
            return bytes(body)


async def refuse(send: Send, text: str, *, status: int) -> None:
    """Answer with an error in the form of OpenAI's API."""
    body = error_body(text, status=status)
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if status == 413:  # the rest of the body is not read
        headers.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def error_body(text: str, *, status: int) -> bytes:
    """The JSON of an error, in the form of OpenAI's API."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": one_line(f"keyscore: {text}"), "type": kind, "param": None, "code": status}
    return json.dumps({"error": error}).encode()


def _with_length(headers: list[tuple[bytes, bytes]], n_bytes: int) -> list[tuple[bytes, bytes]]:
    framing = (b"content-length", b"transfer-encoding")
    kept = [(name, value) for name, value in headers if name.lower() not in framing]
    return [*kept, (b"content-length", b"%d" % n_bytes)]


def _replayed(body: bytes, receive: Receive) -> Receive:
    """A channel that gives the whole body first, and then what the client sends."""
    messages = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def replay() -> Message:
        return next(messages, None) or await receive()

    return replay
