"""The process of the proxy: models first, then the port, and a clean end."""

import signal
import socket
from contextlib import closing, suppress
from functools import partial
from math import ceil
from types import FrameType

import httpx

from keyscore_openai.proxy.logs import log, start_logs
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.workers import WorkerJob, Workers
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import require
from keyscore_serving import FrameChooser

_ENDING = (signal.SIGINT, signal.SIGTERM)


def serve(settings: ProxySettings, *, host: str, port: int) -> None:
    """Serve until the process gets SIGINT or SIGTERM; running answers then come to their end.

    Those that take longer than `ProxySettings.answer_seconds` from then on are cut off.

    Args:
        settings: Settings of the operator.
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one, which the first line of the log names.

    Raises:
        MissingDependencyError: The extra ``serve`` is not installed.
        InputError: The port cannot be used.
        ModelError: The encoder cannot be loaded.
    """
    uvicorn = require("uvicorn", extra="serve")
    for package in ("starlette", "prometheus_client"):
        require(package, extra="serve")
    from keyscore_openai.proxy.app import Proxy

    start_logs()
    for number in _ENDING:
        signal.signal(number, _end)
    job = WorkerJob(partial(FrameChooser, settings.choosing), settings.parts)
    with (
        _listening(host, port) as listener,
        closing(Workers(job, n_workers=settings.n_jobs)) as workers,
    ):
        proxy = Proxy(settings, workers)
        config = uvicorn.Config(
            proxy.app(),
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            timeout_graceful_shutdown=ceil(settings.answer_seconds),
        )
        log(
            "listening",
            host=host,
            port=listener.getsockname()[1],
            upstream=str(httpx.URL(settings.upstream)),
        )
        with suppress(KeyboardInterrupt):  # uvicorn raises it again after a clean end
            uvicorn.Server(config).run(sockets=[listener])


def _end(number: int, _: FrameType | None) -> None:
    """End the process while it starts, and when uvicorn has ended, which raises the signal again.

    A second signal is ignored: it would come while the workers are ended, and those left over would
    be waited for without end.
    """
    for one in _ENDING:
        signal.signal(one, signal.SIG_IGN)
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    raise SystemExit(128 + number)  # as shells show the end by a signal


def _listening(host: str, port: int) -> socket.socket:
    try:
        listener = socket.create_server((host, port), backlog=2048)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"cannot listen on {host}:{port} ({error}); give another --port or --host"
        ) from error
    # Connections inherit it; without it, an answer waits 40 ms until its headers are confirmed.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
