"""The ASGI application of the proxy."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyscore_openai.proxy.logs import log
from keyscore_openai.proxy.metrics import Metrics
from keyscore_openai.proxy.refusals import refusal
from keyscore_openai.proxy.selecting import Selecting
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.upstream import Upstream, body_of
from keyscore_openai.proxy.workers import Workers
from keyscore_serving.jobs import Jobs
from keyscore_serving.middleware import Receive, is_chat, read_body

T = TypeVar("T")

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Proxy:
    """A proxy in front of one server.

    Args:
        settings: What the operator decides.
        workers: Processes that choose, as many as the jobs of the settings.
    """

    def __init__(self, settings: ProxySettings, workers: Workers) -> None:
        self._settings = settings
        self._jobs = Jobs(
            n_running=settings.n_jobs,
            n_waiting=settings.n_waiting,
            max_seconds=settings.select_seconds,
        )
        self._metrics = Metrics(self._jobs)
        self._selecting = Selecting(settings, workers, self._jobs, self._metrics)
        self._upstream = Upstream(settings.upstream, answer_seconds=settings.answer_seconds)

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/health", self._health),
                Route("/metrics", self._show_metrics),
                Route("/{path:path}", self._pass, methods=_METHODS),
            ],
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        yield
        await self._upstream.close()
        log("stopped")

    async def _health(self, _: Request) -> Response:
        return JSONResponse(
            {"status": "ok", "running": self._jobs.running, "waiting": self._jobs.waiting}
        )

    async def _show_metrics(self, _: Request) -> Response:
        return Response(self._metrics.text(), media_type="text/plain; version=0.0.4")

    async def _pass(self, request: Request) -> Response:
        """Forward a request; in a chat, the frames that are asked for replace the videos."""
        start = time.perf_counter()
        facts: dict[str, Any] = {}
        try:
            if is_chat(request.scope):
                answer = await self._chat(request, facts)
            else:
                answer = await self._upstream.answer(request, body_of(request))
            self._metrics.answered(answer.status_code)
        except Exception as error:
            answer = refusal(error)
            self._metrics.refused(answer.status_code)
        log(
            "request",
            method=request.method,
            path=request.url.path,
            status=answer.status_code,
            seconds_to_answer=round(time.perf_counter() - start, 3),
            **facts,
        )
        return answer

    async def _chat(self, request: Request, facts: dict[str, Any]) -> Response:
        """Forward a chat with the frames it asks for, and note facts for the log."""
        start = time.perf_counter()
        body = await read_body(request.receive, self._settings.max_body_bytes)
        if body is None:
            raise ClientDisconnect
        work = self._selecting.forwardable(body)
        forwarded, facts["videos"] = await unless_hung_up(request.receive, work)
        facts["select_seconds"] = round(time.perf_counter() - start, 3)
        return await unless_hung_up(request.receive, self._upstream.answer(request, forwarded))


async def unless_hung_up(receive: Receive, work: Awaitable[T]) -> T:
    """The result of work for a client, which is cancelled if the client hangs up.

    Args:
        receive: Channel of ASGI whose body was read.
        work: Work to do.

    Raises:
        ClientDisconnect: The client is gone.
    """
    task = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_hung_up(receive))
    try:
        await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            raise ClientDisconnect
        return task.result()
    finally:
        task.cancel()
        gone.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
