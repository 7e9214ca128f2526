"""A URL is fetched whole, in time, or not at all."""

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.hosts.download import DownloadLimits, downloaded
from keyscore_plugin.hosts.opening import open_anywhere
from tests.support.http_servers import unreachable, unvisited

AMPLE = DownloadLimits(max_seconds=60)
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


@pytest.mark.parametrize("max_bytes", [0, -1, math.nan, math.inf, 1.5, True, "1", None])
def test_what_limits_no_size_is_refused(max_bytes: Any) -> None:
    with pytest.raises(InputError, match=r"^max_bytes must be a whole number >= 1, got "):
        DownloadLimits(max_bytes=max_bytes)


@pytest.mark.parametrize(
    "max_seconds", [0, -1.0, math.nan, math.inf, 1e30, 2147484, True, "1", None]
)
def test_what_limits_no_time_is_refused(max_seconds: Any) -> None:
    with pytest.raises(InputError, match=r"^max_seconds must be a number > 0 and <= 2147483, got "):
        DownloadLimits(max_seconds=max_seconds)


@pytest.mark.parametrize("limits", [True, {"max_bytes": 5}, 5])
@pytest.mark.parametrize("video", ["https://host.invalid/a.mp4", "a.mp4"])
def test_limits_that_are_none_are_refused_at_once(limits: Any, video: str) -> None:
    with (
        pytest.raises(InputError, match="is no DownloadLimits; allow URLs by that, or leave"),
        open_anywhere(video, decoder="auto", limits=limits, allowed_by="that"),
    ):
        pass


def test_the_longest_time_is_one_that_a_socket_can_wait() -> None:
    longest = DownloadLimits(max_seconds=2147483)
    with (
        answering(lambda connection: connection.sendall(HEAD % 1 + b"x")) as url,
        downloaded(url, longest, allowed_by="it") as path,
    ):
        assert Path(path).read_bytes() == b"x"


def test_a_slow_server_meets_the_deadline_between_two_bytes() -> None:
    def drip(connection: socket.socket) -> None:
        connection.sendall(HEAD % (1 << 30))
        with suppress(ConnectionError):  # the client gives up
            while True:
                time.sleep(0.02)
                connection.sendall(b"x")

    with (
        answering(drip) as url,
        pytest.raises(VideoError, match="not arrive within 1 s"),
        downloaded(url, DownloadLimits(max_seconds=1), allowed_by="it"),
    ):
        pass


def test_a_part_of_a_file_is_refused() -> None:
    with (
        answering(lambda connection: connection.sendall(HEAD % 1000 + b"x" * 999)) as url,
        pytest.raises(VideoError, match=r"received 999 bytes, expected 1000"),
        downloaded(url, DownloadLimits(), allowed_by="it"),
    ):
        pass


def test_what_speaks_no_http_is_one_line() -> None:
    with (
        answering(lambda connection: connection.sendall(b"no\nHTTP\n\n")) as url,
        pytest.raises(VideoError, match=r"illegal status line.*; check the address, or give a "),
        downloaded(url, AMPLE, allowed_by="it"),
    ):
        pass


def test_a_server_that_refuses_the_connection_is_one_line() -> None:
    with (
        unreachable() as url,
        pytest.raises(VideoError, match=r"connection.*; check the address, or give a file"),
        downloaded(url, AMPLE, allowed_by="it"),
    ):
        pass


@pytest.mark.parametrize("url", ["http:///clip.mp4", "https:clip.mp4", "http://?clip.mp4"])
def test_a_url_without_a_server_is_named_so(url: str) -> None:
    with (
        pytest.raises(VideoError, match=r"it names no server; check the address, or give a file"),
        downloaded(url, AMPLE, allowed_by="it"),
    ):
        pass


def test_an_address_with_letters_that_none_has_is_fetched_as_they_are_written() -> None:
    with (
        answering(lambda connection: connection.sendall(HEAD % 1 + b"x")) as url,
        downloaded(url.replace("a.mkv", "\u00fc.mkv"), AMPLE, allowed_by="it") as path,
    ):
        assert Path(path).read_bytes() == b"x"


def test_a_server_that_keeps_the_line_open_is_not_waited_for() -> None:
    done = threading.Event()

    def keep_open(connection: socket.socket) -> None:
        connection.sendall(HEAD % 3 + b"abc")
        assert done.wait(60)

    with answering(keep_open) as url, downloaded(url, AMPLE, allowed_by="it") as path:
        assert Path(path).read_bytes() == b"abc"
        done.set()


ONLY_PUBLIC = DownloadLimits(max_seconds=30, public_only=True)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "[fec0::1]",
    ],
)
def test_an_address_that_is_not_public_is_not_contacted_if_only_public_ones_may(host: str) -> None:
    with (
        unvisited() as url,
        pytest.raises(VideoError, match="is not public, and is refused"),
        downloaded(url.replace("127.0.0.1", host), ONLY_PUBLIC, allowed_by="it"),
    ):
        pass


@pytest.mark.parametrize("host", ["localhost", "2130706433"])
def test_a_name_of_such_an_address_gets_no_request(host: str) -> None:
    requests: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                requests.append(connection.recv(1 << 16))

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://{host}:{listener.getsockname()[1]}/a.mkv"
        with (
            pytest.raises(VideoError, match="is not public, and is refused"),
            downloaded(url, ONLY_PUBLIC, allowed_by="it"),
        ):
            pass
        thread.join()
    assert requests == [b""]
