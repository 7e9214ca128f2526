"""Killed clients, workers, servers and proxies: nothing hangs, and nothing is left behind.

``KEYSCORE_FUZZ_KILLS`` says how often, ``KEYSCORE_FUZZ_SEED`` at which moments.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.proxies import CHAT, data_url, eventually, health, held, messages, video
from tests.support.servers import (
    Process,
    have_ended,
    proxy_process,
    upstream_process,
    workers_of,
)
from tests.support.tiny.videos import numbered_video

N_KILLS = int(os.environ.get("KEYSCORE_FUZZ_KILLS", "4"))
SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))
VICTIMS = ("clients", "workers", "upstream", "proxy")
LONGEST_SECONDS = 2.0  # by then all of the requests are with the server
# Sends the body in its standard input in pieces, and reads what comes until it ends.
CLIENT = """
import sys, time, urllib.request
def pieces(body):
    for start in range(0, len(body), 1 << 16):
        yield body[start : start + (1 << 16)]
        time.sleep(0.02)
request = urllib.request.Request(sys.argv[1], pieces(sys.stdin.buffer.read()))
try:
    with urllib.request.urlopen(request) as answer:
        while answer.read1():
            pass
except OSError:
    pass
"""


@pytest.mark.parametrize("number", range(N_KILLS))
def test_nothing_hangs_and_nothing_is_left_of_what_is_killed(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    clip = numbered_video(tmp_path / "clip.mp4", n=40)
    victim, chance = VICTIMS[number % len(VICTIMS)], random.Random(SEED + number)
    with (
        upstream_process() as upstream,
        proxy_process(upstream.address, "--allow-folder", str(tmp_path)) as proxy,
        ExitStack() as stack,
    ):
        workers = workers_of(proxy.process)
        clients = [stack.enter_context(client(proxy, *asked)) for asked in requests(clip)]
        time.sleep(LONGEST_SECONDS * chance.random())
        if victim == "upstream":
            upstream.process.kill()
        elif victim == "proxy":
            proxy.process.kill()
        elif victim == "workers":
            for worker in workers:
                os.kill(int(worker), signal.SIGKILL)
        if victim in ("clients", "workers"):
            for process in clients:
                process.kill()
        for process in clients:
            process.wait()
        if victim == "proxy":
            eventually(lambda: have_ended(workers))
        else:
            eventually(lambda: health(proxy.address) == (0, 0))
            assert held(proxy.address) == 0
        if victim != "upstream":
            models = f"{upstream.address}/v1/models"
            eventually(lambda: httpx.get(models).json()["n_open"] == 0)
        if victim in ("clients", "workers"):
            body = {"messages": messages(video(str(clip)), question="blue"), "sampler": "topk"}
            answer = httpx.post(f"{proxy.address}{CHAT}", json=body, timeout=None)
            assert answer.status_code == 200, answer.text
        if victim != "proxy":
            proxy.stop()
        eventually(lambda: have_ended(workers))
    assert [path for path in temporary.rglob("*") if path.is_file()] == []


def requests(clip: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and body of requests that end when their client does."""
    endless = {"model": "endless", "stream": True}
    asked = {"messages": messages(video(data_url(clip))), "sampler": "topk"}
    yield CHAT, {**asked, **endless, "filling": "a" * (3 << 20)}
    yield CHAT, {"messages": messages(video(str(clip)), question="green"), "sampler": "topk"}
    yield CHAT, {**asked, "model": "slow"}
    yield CHAT, {"messages": [], **endless}
    yield "/v1/completions", {"prompt": "hello"}


@contextmanager
def client(proxy: Process, path: str, body: dict[str, Any]) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that sends a request and reads the answer."""
    command = [sys.executable, "-c", CLIENT, f"{proxy.address}{path}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json.dumps(body).encode())
        process.stdin.close()
        try:
            yield process
        finally:
            process.kill()
