"""The ASGI application of the proxy."""

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyscore_openai.proxy.bodies import ChatBodies, PassedBody, hung_up, unless
from keyscore_openai.proxy.fetches import Fetches
from keyscore_openai.proxy.logs import log
from keyscore_openai.proxy.metrics import Metrics
from keyscore_openai.proxy.refusals import refusal
from keyscore_openai.proxy.selecting import Selecting
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.upstream import Upstream
from keyscore_openai.proxy.workers import Workers
from keyscore_serving.jobs import Jobs
from keyscore_serving.middleware import is_chat

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


class Proxy:
    """A proxy in front of one server.

    Args:
        settings: Settings of the operator.
        workers: Processes that choose, as many as the jobs of the settings.
    """

    def __init__(self, settings: ProxySettings, workers: Workers) -> None:
        self._settings = settings
        # `Selecting` bounds the time of a selection as a whole.
        self._jobs = Jobs(
            n_running=settings.n_jobs, n_waiting=settings.n_waiting, max_seconds=math.inf
        )
        self._fetches = Fetches(settings)
        self._bodies = ChatBodies(
            max_bytes=settings.max_body_bytes,
            max_total_bytes=2 * settings.max_body_bytes,  # ours: two of the largest
            max_seconds=settings.answer_seconds,
            is_full=lambda: self._jobs.is_full,
        )
        self._metrics = Metrics(self._jobs, self._fetches.jobs, self._bodies)
        self._selecting = Selecting(
            settings, workers, jobs=self._jobs, fetches=self._fetches, metrics=self._metrics
        )
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
        jobs, fetches = self._jobs, self._fetches.jobs
        return JSONResponse(
            {
                "status": "ok",
                "running": jobs.running,
                "waiting": jobs.waiting,
                "fetching": fetches.running,
                "waiting_to_fetch": fetches.waiting,
            }
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
                body = PassedBody(request, max_seconds=self._settings.answer_seconds)
                work = self._upstream.answer(request, body.content)
                answer = await unless(body.hung_up(), work)
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
        async with self._bodies.read(request) as body:
            start = time.perf_counter()
            work = self._selecting.forwardable(body.content)
            forwarded, facts["videos"] = await unless(hung_up(request), work)
            self._bodies.hold(body, len(forwarded))
            facts["select_seconds"] = round(time.perf_counter() - start, 3)
            return await unless(hung_up(request), self._upstream.answer(request, forwarded))
