"""Chats for ``keyscore proxy``, and a proxy in this process."""

import base64
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx

from keyscore_openai.proxy.app import Proxy
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.workers import WorkerJob, Workers
from tests.support.gated_encoder import make_gated
from tests.support.servers import serving_app

CHAT = "/v1/chat/completions"
Json = dict[str, Any]


def video(url: str, **keys: Any) -> Json:
    """The part of a video."""
    return {"type": "video_url", "video_url": {"url": url}, **keys}


def messages(*content: Json, question: str = "red") -> list[Json]:
    """A message of these parts and a question."""
    return [{"role": "user", "content": [*content, {"type": "text", "text": question}]}]


def data_url(path: Path) -> str:
    """A file as a ``data:`` URL."""
    return f"data:video/mp4;base64,{base64.b64encode(path.read_bytes()).decode()}"


class Gigabyte:
    """A body of one gigabyte, which counts the bytes that are taken of it.

    Args:
        start: The bytes before them.
    """

    def __init__(self, start: bytes = b"") -> None:
        self.n_taken = 0
        self._start = start

    def __iter__(self) -> Iterator[bytes]:
        yield self._start
        while self.n_taken < 1 << 30:
            self.n_taken += 1 << 20
            yield bytes(1 << 20)


def refused(answer: httpx.Response, status: int, what: str) -> None:
    """The answer is an error of one line in the form of the API."""
    assert answer.status_code == status, answer.text
    message = answer.json()["error"]["message"]
    assert what in message
    assert "\n" not in message


def eventually(holds: Callable[[], bool]) -> None:
    """Wait until it holds; the suite's own time limit ends the waiting."""
    while not holds():
        time.sleep(0.02)


def health(address: str) -> tuple[int, int]:
    """The selections of a proxy that run, and those that wait."""
    found = httpx.get(f"{address}/health").json()
    return found["running"], found["waiting"]


def fetching(address: str) -> tuple[int, int]:
    """The videos that a proxy fetches, and those that wait for that."""
    found = httpx.get(f"{address}/health").json()
    return found["fetching"], found["waiting_to_fetch"]


def held(address: str) -> float:
    """Bytes of the large bodies that a proxy holds."""
    lines = httpx.get(f"{address}/metrics").text.splitlines()
    return next(float(x.split()[1]) for x in lines if x.startswith("keyscore_large_bodies_bytes "))


@contextmanager
def proxy_here(upstream: str, *, n_workers: int = 1, **settings: Any) -> Iterator[str]:
    """Address of a proxy in this process, whose worker waits for a gate before it chooses."""
    made = ProxySettings(upstream=upstream, n_jobs=1, **settings)
    job = WorkerJob(make_gated, made.parts)
    with (
        closing(Workers(job, n_workers=n_workers)) as workers,
        serving_app(Proxy(made, workers).app()) as address,
    ):
        yield address
