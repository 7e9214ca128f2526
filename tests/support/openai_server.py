"""A small OpenAI-compatible server process that answers with what it was asked.

``python -m tests.support.openai_server`` prints its port. The answer to a chat is a JSON text: the
body, the path, the query and the headers. The model that is asked says how it behaves: ``slow``
answers when its client is gone, ``long`` streams for a second, ``endless`` streams until its client
is gone, and ``broken`` ends a stream in its middle. ``/v1/completions`` is always slow.
"""

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

hung_up = 0
n_open = 0  # streams, and requests that wait for their client to go
N_CHUNKS = 5


async def chat(request: Request) -> Response:
    """Answer a chat."""
    try:
        body = await request.json()
    except ValueError:
        return JSONResponse({"error": {"message": "no JSON"}}, 400)
    said = {
        "body": body,
        "path": request.url.path,
        "query": request.url.query,
        "headers": dict(request.headers),
    }
    if body.get("stream"):
        return StreamingResponse(stream(body, said), media_type="text/event-stream")
    if body.get("model") == "slow":
        await until_hung_up(request)
    return JSONResponse(completion("chat.completion", {"message": assistant(json.dumps(said))}))


async def until_hung_up(request: Request) -> None:
    """Wait for the client to go."""
    global hung_up, n_open
    n_open += 1
    while not await request.is_disconnected():
        await asyncio.sleep(0.02)
    n_open -= 1
    hung_up += 1


async def complete(request: Request) -> Response:
    """Answer when the client is gone."""
    await request.body()
    await until_hung_up(request)
    return JSONResponse({})


async def stream(body: dict[str, Any], said: dict[str, Any]) -> AsyncIterator[bytes]:
    """The answer in chunks."""
    global hung_up, n_open
    text = json.dumps(said)
    step = -(-len(text) // N_CHUNKS)
    n_open += 1
    try:
        for start in range(0, len(text), step):
            if body.get("model") == "broken" and start:
                raise ConnectionError
            delta = {"delta": assistant(text[start : start + step])}
            yield b"data: %s\n\n" % json.dumps(completion("chat.completion.chunk", delta)).encode()
            await asyncio.sleep(0.2 if body.get("model") == "long" else 0.01)
        while body.get("model") == "endless":
            yield b": wait\n\n"
            await asyncio.sleep(0.01)
    except asyncio.CancelledError:
        hung_up += 1
        raise
    finally:
        n_open -= 1
    yield b"data: [DONE]\n\n"


def assistant(text: str) -> dict[str, str]:
    """A message of the model."""
    return {"role": "assistant", "content": text}


def completion(kind: str, choice: dict[str, Any]) -> dict[str, Any]:
    """The frame around an answer."""
    choices = [{"index": 0, "finish_reason": None, **choice}]
    return {"id": "1", "object": kind, "created": 0, "model": "m", "choices": choices}


async def models(request: Request) -> Response:
    """The models, how many clients hung up, and how many answers have not ended."""
    headers = {"x-query": request.url.query, "x-got": ",".join(sorted(request.headers))}
    said = {"object": "list", "data": [], "hung_up": hung_up, "n_open": n_open}
    return JSONResponse(said, headers=headers)


async def upload(request: Request) -> Response:
    """The size of a body."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    return JSONResponse({"size": size})


def main() -> None:
    """Serve on a free port; with ``--middleware`` requests for frames are written into URLs."""
    app: Any = Starlette(
        routes=[
            Route("/v1/chat/completions", chat, methods=["POST"]),
            Route("/v1/completions", complete, methods=["GET", "POST"]),
            Route("/v1/models", models),
            Route("/v1/files", upload, methods=["POST"]),
        ]
    )
    if "--middleware" in sys.argv:
        # It imports torch, which makes the start of all the others long.
        from keyscore_serving import FrameRequestMiddleware, RequestLimits, ServerSettings

        limits = RequestLimits(max_frames=64)
        app = FrameRequestMiddleware(app, ServerSettings(limits=limits), max_body_bytes=1 << 20)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(app, log_level="critical", ws="none")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
