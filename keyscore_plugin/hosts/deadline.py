"""HTTP and HTTPS within one limit of time, however slowly the other side speaks.

A socket's own timeout is one for each piece it receives: a server that sends a byte a second
never meets it, be it in the TLS handshake, in the headers or in the body. Here a timer shuts down
the connection itself, and whoever waits for it wakes up with an error. Only the look-up of the
name is left to the system's own limit.
"""

import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from threading import Lock, Timer
from typing import Any
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
    UnknownHandler,
)


class Deadline:
    """A block of time in which URLs can be opened; after it their connections are dead.

    Args:
        seconds: Length of the block at most.
    """

    def __init__(self, seconds: float) -> None:
        self.has_passed = False
        self._seconds = seconds
        self._sockets: list[socket.socket] = []
        self._lock = Lock()
        self._timer = Timer(seconds, self._pass)
        self._timer.daemon = True

    def __enter__(self) -> "Deadline":
        self._timer.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._timer.cancel()
        with self._lock:
            while self._sockets:
                self._sockets.pop().close()

    def open(self, url: str) -> HTTPResponse:
        """Open an ``http:`` or ``https:`` URL, through the proxies of the environment.

        Raises:
            OSError: It does not answer with a page, it redirects to anything but HTTP(S), or
                the time is over.
            HTTPException: It does not speak HTTP.
        """
        opener = OpenerDirector()
        # Not urllib's usual opener: that one also follows a redirect to ftp.
        for handler in (
            *(ProxyHandler(), HTTPRedirectHandler(), HTTPDefaultErrorHandler(), UnknownHandler()),
            *(HTTPErrorProcessor(), _PlainHandler(self._watch), _SecureHandler(self._watch)),
        ):
            opener.add_handler(handler)
        response: HTTPResponse = opener.open(url, timeout=self._seconds)
        return response

    def _watch(self, connection: socket.socket) -> None:
        with self._lock:
            if self.has_passed:
                raise TimeoutError("the time is over")
            # A copy: TLS takes over the original one.
            self._sockets.append(connection.dup())

    def _pass(self) -> None:
        with self._lock:
            self.has_passed = True
            for connection in self._sockets:
                with suppress(OSError):  # the other side was quicker
                    connection.shutdown(socket.SHUT_RDWR)


Watch = Callable[[socket.socket], None]


class _PlainConnection(HTTPConnection):
    """Shows its socket to the deadline as soon as there is one."""

    watch: Watch

    def connect(self) -> None:
        super().connect()
        self.watch(self.sock)


class _SecureConnection(HTTPSConnection, _PlainConnection):
    """The same before the TLS handshake: HTTPSConnection opens its socket through ours."""


class _PlainHandler(HTTPHandler):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._connect = partial(_watched, _PlainConnection, watch)

    def http_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connect, req)


class _SecureHandler(HTTPSHandler):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self._connect = partial(_watched, _SecureConnection, watch)

    def https_open(self, req: Request) -> HTTPResponse:
        return self.do_open(self._connect, req)


def _watched(
    kind: type[_PlainConnection], watch: Watch, host: str, **options: Any
) -> HTTPConnection:
    connection = kind(host, **options)
    connection.watch = watch
    return connection
