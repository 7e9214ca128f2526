"""Laws of a URL: no other scheme, never larger and never longer than allowed."""

import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.hosts.download import DownloadLimits, downloaded
from keyscore_plugin.hosts.opening import open_anywhere
from tests.support.clips import CLIPS, Clip

OK = b"HTTP/1.0 200 OK\r\n"
QUICK = DownloadLimits(max_bytes=5_000_000, max_seconds=0.5)
AMPLE = DownloadLimits(max_bytes=5_000_000, max_seconds=60)
Speak = Callable[[socket.socket, Event], None]


@contextmanager
def server(speak: Speak) -> Iterator[str]:
    """Address of a server that hears one request at a time and answers it by ``speak``."""
    over = Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def serve() -> None:
            while not over.is_set():
                connection, _ = listener.accept()
                with connection:
                    connection.recv(4096)
                    try:
                        speak(connection, over)
                    except OSError:  # the client has gone, which is what some tests are about
                        continue

        thread = Thread(target=serve)
        thread.start()
        host, port = listener.getsockname()
        yield f"{host}:{port}"
        over.set()
        socket.create_connection((host, port)).close()
        thread.join()


def says(answer: bytes) -> Speak:
    return lambda connection, over: connection.sendall(answer)


def drips(answer: bytes, drop: bytes) -> Speak:
    """Sends the answer, then a drop at a time for as long as anybody listens."""

    def speak(connection: socket.socket, over: Event) -> None:
        connection.sendall(answer)
        while not over.wait(0.05):
            connection.sendall(drop)

    return speak


def error_of(url: str, limits: DownloadLimits) -> VideoError:
    with pytest.raises(VideoError) as error, downloaded(url, limits, allowed_by="it"):
        pass
    assert error.value.path == url
    return error.value


def test_a_video_is_fetched_opened_and_deleted(clip_path: Callable[[Clip], Path]) -> None:
    data = clip_path(CLIPS[0]).read_bytes()
    with server(says(OK + b"\r\n" + data)) as address:
        url = f"http://{address}/some%20clip.mp4?x=1"
        with open_anywhere(url, decoder="auto", limits=AMPLE, allowed_by="it") as video:
            assert video.n_frames == 48
            copy = Path(video.path)
        assert not copy.exists()


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/a.mp4", "data:video/mp4,x", "gopher://x/"]
)
def test_a_redirect_to_anything_but_http_is_refused(target: str) -> None:
    answer = f"HTTP/1.0 302 Found\r\nLocation: {target}\r\n\r\n".encode()
    with server(says(answer)) as address:
        cause = error_of(f"http://{address}/a.mp4", AMPLE).cause
    assert "not allowed" in cause or "absolute URLs" in cause


@pytest.mark.parametrize("video", ["http://[::1/a.mp4", "http:", "file://[a/b.mp4", "//[a/b.mp4"])
def test_what_only_looks_like_a_url_is_one_error(video: str) -> None:
    with (
        pytest.raises(VideoError) as error,
        open_anywhere(video, decoder="auto", limits=AMPLE, allowed_by="it"),
    ):
        pass
    assert error.value.path == video
    with (
        pytest.raises((InputError, VideoError)),
        open_anywhere(video, decoder="auto", limits=None, allowed_by="it"),
    ):
        pass


@pytest.mark.parametrize("limits", [None, AMPLE])
@pytest.mark.parametrize("start", ["https://user:hunter2@", "HTTP://hunter2@", "http:hunter2@"])
def test_a_password_is_refused_and_not_shown(start: str, limits: DownloadLimits | None) -> None:
    with (
        pytest.raises(InputError, match=r"USER@HOST.* is not fetched; download it") as error,
        open_anywhere(f"{start}host.invalid/a.mp4", decoder="auto", limits=limits, allowed_by="it"),
    ):
        pass
    assert "hunter2" not in str(error.value)


def test_an_at_sign_in_a_path_is_no_password(clip_path: Callable[[Clip], Path]) -> None:
    with server(says(OK + b"\r\n" + clip_path(CLIPS[0]).read_bytes())) as address:
        url = f"http://{address}/@user/a.mp4"
        with open_anywhere(url, decoder="auto", limits=AMPLE, allowed_by="it") as video:
            assert video.n_frames == 48


def test_endless_redirects_end() -> None:
    with server(says(b"HTTP/1.0 302 Found\r\nLocation: /again\r\n\r\n")) as address:
        cause = error_of(f"http://{address}/a.mp4", AMPLE).cause
    assert "redirects more than 10 times" in cause
    assert "\n" not in cause


@pytest.mark.parametrize(
    "speak",
    [
        pytest.param(drips(b"", b"H"), id="status"),
        pytest.param(drips(b"HTTP/1.0 200 OK\r\nX: ", b"y"), id="headers"),
        pytest.param(drips(OK + b"\r\n", b"z"), id="body"),
        pytest.param(drips(OK + b"Content-Length: 9999\r\n\r\n", b"z"), id="body-of-known-length"),
        pytest.param(drips(OK + b"\r\n", b""), id="silence"),
    ],
)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_drips_is_left_after_the_time_allowed(speak: Speak, scheme: str) -> None:
    with server(speak) as address:
        start = time.monotonic()
        error = error_of(f"{scheme}://{address}/a.mp4", QUICK)
        assert time.monotonic() - start < 5
    # To TLS, plain words are an error at once.
    assert "it did not arrive within 0.5 s" in error.cause or scheme == "https"


def test_a_tls_handshake_that_drips_is_left_after_the_time_allowed() -> None:
    handshake = b"\x16\x03\x03\x40\x00"  # RFC 8446, 5.1: a handshake record of 16 KiB is coming
    with server(drips(handshake, b"\x02")) as address:
        start = time.monotonic()
        error = error_of(f"https://{address}/a.mp4", QUICK)
        assert time.monotonic() - start < 5
    assert "it did not arrive within 0.5 s" in error.cause


def test_a_file_larger_than_allowed_is_left_where_it_passes_the_limit() -> None:
    with server(drips(OK + b"\r\n", bytes(1 << 20))) as address:
        assert "larger than 5,000,000 bytes" in error_of(f"http://{address}/a.mp4", AMPLE).cause


def test_an_error_page_is_no_video() -> None:
    with server(says(b"HTTP/1.0 404 Not Found\r\n\r\n")) as address:
        assert "Not Found" in error_of(f"http://{address}/a.mp4", AMPLE).cause


def redirects(target: str) -> Speak:
    return says(f"HTTP/1.0 302 Found\r\nLocation: {target}\r\n\r\n".encode())


def test_a_redirect_between_addresses_that_are_not_public_is_followed() -> None:
    with server(says(OK + b"\r\nx")) as there, server(redirects(f"http://{there}/b.mp4")) as here:
        for host in ("127.0.0.1", "localhost"):
            url = f"http://{host}:{here.rpartition(':')[2]}/a.mp4"
            with downloaded(url, AMPLE, allowed_by="it") as path:
                assert Path(path).read_bytes() == b"x"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433"])
def test_a_redirect_from_a_public_address_to_one_that_is_not_is_refused(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The proxy stands in for a public server.
    with closing(socket.create_server(("127.0.0.1", 0))) as inside:
        port = inside.getsockname()[1]
        with server(redirects(f"http://{host}:{port}/b.mp4")) as proxy:
            monkeypatch.setenv("http_proxy", f"http://{proxy}")
            monkeypatch.setenv("no_proxy", host)
            cause = error_of("http://public.example/a.mp4", AMPLE).cause
        assert re.search(r"a redirect to \S*127\.0\.0\.1, which is not a public address", cause)
        inside.setblocking(False)
        try:
            connection, _ = inside.accept()
        except BlockingIOError:
            return
        with connection:
            connection.setblocking(True)
            assert connection.recv(1) == b""
