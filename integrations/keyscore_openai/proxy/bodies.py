"""The bodies of requests: a chat's is read whole, within bounds, and any other is passed on."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request

from keyscore_openai.proxy.refusals import RefusedError
from keyscore_serving.jobs import BusyError
from keyscore_serving.middleware import BodyTooLargeError

T = TypeVar("T")

_SMALL_BYTES = 1 << 20  # ours: a chat without data; the number of connections bounds their sum
_FRAMING = ("content-length", "transfer-encoding")


@dataclass(slots=True)
class HeldBody:
    """The body of a request.

    Attributes:
        content: Bytes that have arrived.
        n_bytes: Room that it takes among the large bodies; a small one takes none.
    """

    content: bytearray = field(default_factory=bytearray)
    n_bytes: int = 0


class ChatBodies:
    """Reads the bodies of chats.

    A body above 1 MiB is a large one. Where the queue is full, or the large bodies together take
    all of their room, a further large one is refused before it is read.

    Args:
        max_bytes: Largest body.
        max_total_bytes: Largest size of all large bodies that are held at once.
        max_seconds: Longest time until a body has arrived.
        is_full: Function that says whether no further video may wait for its frames.

    Attributes:
        held_bytes: Size of the large bodies that are held now.
    """

    def __init__(
        self,
        *,
        max_bytes: int,
        max_total_bytes: int,
        max_seconds: float,
        is_full: Callable[[], bool],
    ) -> None:
        self.held_bytes = 0
        self._max_bytes = max_bytes
        self._max_total_bytes = max_total_bytes
        self._max_seconds = max_seconds
        self._is_full = is_full

    @asynccontextmanager
    async def read(self, request: Request) -> AsyncIterator["HeldBody"]:
        """The body of a request, which takes its room until the end of the block.

        `hold` changes that room.

        Raises:
            BodyTooLargeError: The body is too large; the rest of it is left unread.
            BusyError: The body is a large one, and the queue is full.
            RefusedError: The room of the large bodies is taken, or the body does not arrive in
                time.
            ClientDisconnect: The client hung up.
        """
        body = HeldBody()
        try:
            with anyio.move_on_after(self._max_seconds) as time_limit:
                await self._read(request, body)
            if time_limit.cancelled_caught:
                raise RefusedError(
                    408,
                    f"the body of the request did not arrive within {self._max_seconds:g} s, the "
                    "server's bound; give the video's address instead of its data",
                )
            yield body
        finally:
            self.held_bytes -= body.n_bytes

    async def _read(self, request: Request, body: "HeldBody") -> None:
        self._require_room(int(request.headers.get("content-length", "0")), body)
        async for chunk in request.stream():
            size = len(body.content) + len(chunk)
            self._require_room(size, body)
            body.content += chunk
            self.hold(body, size)

    def hold(self, body: "HeldBody", size: int) -> None:
        """Count what is held of a request.

        Args:
            body: Body of the request.
            size: Number of bytes that are held now, such as those of the body that is forwarded
                in its place.
        """
        n_bytes = size if size > _SMALL_BYTES else 0
        self.held_bytes += n_bytes - body.n_bytes
        body.n_bytes = n_bytes

    def _require_room(self, size: int, body: "HeldBody") -> None:
        """Refuse a body that has this size, or will have it."""
        if size > self._max_bytes:
            raise BodyTooLargeError(
                f"the body of the request is larger than {self._max_bytes:,} bytes, the server's "
                "bound; give the video's address instead of its data"
            )
        if size <= _SMALL_BYTES:
            return
        if not body.n_bytes and self._is_full():
            raise BusyError
        if self.held_bytes - body.n_bytes + size > self._max_total_bytes:
            raise RefusedError(
                429,
                "the server holds as many large requests as it can; try again later, or give the "
                "video's address instead of its data",
            )


class PassedBody:
    """The body of a request that is not a chat, read while it is sent on.

    Args:
        request: Request of the client.
        max_seconds: Longest silence of the client before its body has ended.

    Attributes:
        content: Body to send; no bytes for a request without a body.
    """

    def __init__(self, request: Request, *, max_seconds: float) -> None:
        self._request = request
        self._max_seconds = max_seconds
        self._is_read = asyncio.Event()
        self.content: bytes | AsyncIterable[bytes] = b""
        if any(name in request.headers for name in _FRAMING):
            self.content = self._chunks()
        else:
            self._is_read.set()

    async def _chunks(self) -> AsyncIterator[bytes]:
        stream = self._request.stream()
        while (chunk := await self._next(stream)) is not None:
            yield chunk
        self._is_read.set()

    async def _next(self, stream: AsyncIterator[bytes]) -> bytes | None:
        """The next chunk; None at the end.

        Raises:
            RefusedError: The client is silent for too long.
        """
        with anyio.move_on_after(self._max_seconds):
            return await anext(stream, None)
        raise RefusedError(
            408,
            f"no more of the request's body arrived within {self._max_seconds:g} s, the server's "
            "bound; send the request again",
        )

    async def hung_up(self) -> None:
        """Wait until the client hangs up after its body; before, `content` raises an error."""
        await self._is_read.wait()
        await hung_up(self._request)


async def hung_up(request: Request) -> None:
    """Wait until the client hangs up, whose body was read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def unless(gone: Awaitable[None], work: Awaitable[T]) -> T:
    """The result of work for a client, which is cancelled if the client hangs up.

    Args:
        gone: Awaitable that ends when the client hangs up.
        work: Work to do.

    Raises:
        ClientDisconnect: The client is gone.
    """
    task, watch = asyncio.ensure_future(work), asyncio.ensure_future(gone)
    try:
        await asyncio.wait({task, watch}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        watch.cancel()
        await asyncio.gather(task, watch, return_exceptions=True)
