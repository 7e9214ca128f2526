"""The server behind the proxy: requests passed on, answers streamed back."""

from collections.abc import AsyncIterable, AsyncIterator

import httpx
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

# RFC 9110, section 7.6.1: these are about one connection, not about the message.
_HOP_BY_HOP = {
    b"connection",
    b"keep-alive",
    b"proxy-authenticate",
    b"proxy-authorization",
    b"proxy-connection",
    b"te",
    b"trailer",
    b"transfer-encoding",
    b"upgrade",
}
_OF_THE_REQUEST = {b"host", b"content-length"}  # httpx writes them for the body that is sent
_OF_THE_ANSWER = {b"date"}  # uvicorn writes it; a message has only one
_CONNECT_SECONDS = 10.0
# uvicorn, and so vLLM, closes a connection that was idle for 5 s. A request that is sent at that
# moment would get no answer.
_IDLE_SECONDS = 2.0

Headers = list[tuple[bytes, bytes]]


class Upstream:
    """The server that answers.

    Args:
        address: Its URL; the path of a request is added.
        answer_seconds: Longest silence before and in an answer.
    """

    def __init__(self, address: str, *, answer_seconds: float) -> None:
        self._address = httpx.URL(address.rstrip("/"))
        self._timeout = httpx.Timeout(answer_seconds, connect=_CONNECT_SECONDS, pool=None)
        # The number of connections is bounded by that of the clients.
        limits = httpx.Limits(max_connections=None, keepalive_expiry=_IDLE_SECONDS)
        self._client = httpx.AsyncClient(limits=limits)

    async def answer(self, request: Request, body: bytes | AsyncIterable[bytes]) -> Response:
        """The server's answer to a request, streamed as it comes.

        The headers of the client are passed on, its authentication included, and nothing is added.

        Args:
            request: Request of the client.
            body: Body to send.

        Raises:
            httpx.HTTPError: The server cannot be reached, is silent for too long, or does not
                speak HTTP.
            httpx.InvalidURL: The path or the query of the request is no part of a URL.
        """
        headers = _passed_on(request.headers.raw, also=_OF_THE_REQUEST)
        length = request.headers.get("content-length")
        if isinstance(body, bytes) and body:
            length, body = str(len(body)), _once(body)
        if not isinstance(body, bytes) and length is not None:
            headers.append((b"content-length", length.encode()))
        outgoing = httpx.Request(
            request.method,
            self._address.copy_with(raw_path=self._target(request)),
            headers=headers,
            content=body,
            extensions={"timeout": self._timeout.as_dict()},
        )
        incoming = await self._client.send(outgoing, stream=True)
        answer = StreamingResponse(
            _chunks(incoming),
            status_code=incoming.status_code,
            background=BackgroundTask(incoming.aclose),
        )
        answer.raw_headers = _passed_on(incoming.headers.raw, also=_OF_THE_ANSWER)
        return answer

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    def _target(self, request: Request) -> bytes:
        """Path and query of the request below the server's address, as the client wrote them.

        Raises:
            httpx.InvalidURL: They hold bytes that are not ASCII, which some HTTP parsers let pass.
        """
        path: bytes = request.scope.get("raw_path") or request.url.path.encode()
        query: bytes = request.scope["query_string"]
        prefix = self._address.raw_path.rstrip(b"/")
        target = prefix + path + (b"?" + query if query else b"")
        if not target.isascii():
            raise httpx.InvalidURL("the target of the request is not ASCII")
        return target


async def _once(body: bytes) -> AsyncIterator[bytes]:
    """The body, which is not held any longer when it was sent: the answer may stream for hours."""
    yield body


async def _chunks(incoming: httpx.Response) -> AsyncIterator[bytes]:
    """The body as the server sends it, also if it is compressed."""
    try:
        async for chunk in incoming.aiter_raw():
            yield chunk
    finally:
        await incoming.aclose()


def _passed_on(headers: Headers, *, also: set[bytes]) -> Headers:
    """The headers of a message that are not about its connection, without ``also``."""
    lowered = [(name.lower(), value) for name, value in headers]
    named = b",".join(value for name, value in lowered if name == b"connection")
    dropped = {word.strip().lower() for word in named.split(b",")} | _HOP_BY_HOP
    dropped |= also
    return [(name, value) for name, value in lowered if name not in dropped]
