"""Servers for tests of URLs: one that nobody may visit, one that serves a folder ..."""

import functools
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def unvisited() -> Iterator[str]:
    """URL on a server that is there, and that nobody has connected to by the end."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a%20clip.mp4"
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):  # a connection would be waiting to be accepted
            listener.accept()


@contextmanager
def unreachable() -> Iterator[str]:
    """URL on a server that refuses every connection."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # so that nobody else listens there
        yield f"http://127.0.0.1:{closed.getsockname()[1]}/clip.mp4"


@contextmanager
def serving(
    folder: Path, statuses: list[int] | None = None, headers: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Address of a folder over HTTP.

    ``statuses`` gets the status of each answer, and each has the ``headers`` of that moment.
    """

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Note the status."""
            if statuses is not None:
                statuses.append(int(code))

        def end_headers(self) -> None:
            """Add the headers."""
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            super().end_headers()

    with _running(functools.partial(Quiet, directory=str(folder))) as address:
        yield address


@contextmanager
def refusing() -> Iterator[str]:
    """Address of a server that refuses everything, as a store does without rights.

    ``/moved`` is refused at the signed address to which it redirects.
    """

    class Refusing(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Answer 403."""
            if self.path == "/moved":
                self.send_response(302)
                self.send_header("Location", "/clip.mp4?signature=secret")
                self.end_headers()
            else:
                self.send_error(403)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with _running(Refusing) as address:
        yield address


@contextmanager
def _running(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Address of a server with this handler."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{httpd.server_address[1]}"
        finally:
            httpd.shutdown()
            thread.join()


class Stalled:
    """A server that answers nothing until it is released.

    Attributes:
        url: Address on it.
        asked: Set once it has been asked.
        release: Lets the answers, 404, go.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked = threading.Event()
        self.release = threading.Event()


@contextmanager
def stalled() -> Iterator[Stalled]:
    """A server that keeps its clients waiting."""
    made = Stalled()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            """Wait, then answer."""
            made.asked.set()
            made.release.wait()
            self.send_error(404)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        made.url = f"http://127.0.0.1:{httpd.server_address[1]}/clip.mp4"
        try:
            yield made
        finally:
            made.release.set()
            httpd.shutdown()
            thread.join()
