"""A URL is fetched whole, in time, or not at all."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from keyscore_plugin.download import DownloadLimits, downloaded
from keyscore_plugin.errors import VideoError

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Address of a server that answers once."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1 << 16)
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/a.mkv"
        thread.join()


def test_a_slow_server_meets_the_deadline_between_two_bytes() -> None:
    stop = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD % 1000)
        with suppress(ConnectionError):  # the client gives up
            while not stop.wait(0.02):
                connection.sendall(b"x")

    with answering(drip) as url:
        start = time.monotonic()
        with (
            pytest.raises(VideoError, match=r"not arrive within 0\.2 s"),
            downloaded(url, DownloadLimits(max_seconds=0.2)),
        ):
            pass
        waited = time.monotonic() - start
        stop.set()
    assert waited < 5


def test_a_part_of_a_file_is_refused() -> None:
    with (
        answering(lambda connection: connection.sendall(HEAD % 1000 + b"x" * 999)) as url,
        pytest.raises(VideoError, match="closed after 999 of 1,000 bytes"),
        downloaded(url, DownloadLimits()),
    ):
        pass


def test_a_server_that_keeps_the_line_open_is_not_waited_for() -> None:
    done = threading.Event()

    def keep_open(connection: socket.socket) -> None:
        connection.sendall(HEAD % 3 + b"abc")
        assert done.wait(10)

    with answering(keep_open) as url, downloaded(url, DownloadLimits(max_seconds=5)) as path:
        assert Path(path).read_bytes() == b"abc"
        done.set()
