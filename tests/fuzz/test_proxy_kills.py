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
from collections.abc import Iterator, Sequence
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

N_KILLS = int(os.environ.get("KEYSCORE_FUZZ_KILLS", "2"))
SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))
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


@pytest.mark.parametrize("last", ["upstream", "proxy"])
def test_nothing_hangs_and_nothing_is_left_of_what_is_killed(
    last: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """First clients and workers are killed in turn, and at last the server or the proxy."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    clip = numbered_video(tmp_path / "clip.mp4", n=40)
    chance = random.Random(f"{SEED} {last}")
    with (
        upstream_process() as upstream,
        proxy_process(upstream.address, "--allow-folder", str(tmp_path)) as proxy,
    ):
        for number in range(N_KILLS):
            with asking(proxy, clip) as clients:
                time.sleep(LONGEST_SECONDS * chance.random())
                if number % 2:
                    kill(workers_of(proxy.process))
                kill([str(client.pid) for client in clients])
            wait_until_nothing_runs(proxy, upstream)
            body = {"messages": messages(video(str(clip)), question="blue"), "sampler": "topk"}
            answer = httpx.post(f"{proxy.address}{CHAT}", json=body, timeout=None)
            assert answer.status_code == 200, answer.text
        workers = workers_of(proxy.process)
        with asking(proxy, clip):  # the clients end by themselves
            time.sleep(LONGEST_SECONDS * chance.random())
            (upstream if last == "upstream" else proxy).process.kill()
        if last == "upstream":
            wait_until_nothing_runs(proxy)
            proxy.stop()
        eventually(lambda: have_ended(workers))
    assert [path for path in temporary.rglob("*") if path.is_file()] == []


def kill(processes: Sequence[str]) -> None:
    for process in processes:
        os.kill(int(process), signal.SIGKILL)


def wait_until_nothing_runs(proxy: Process, upstream: Process | None = None) -> None:
    eventually(lambda: health(proxy.address) == (0, 0))
    assert held(proxy.address) == 0
    if upstream is not None:
        models = f"{upstream.address}/v1/models"
        eventually(lambda: httpx.get(models).json()["n_open"] == 0)


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
def asking(proxy: Process, clip: Path) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Processes that send a request each; they have ended at the end of the block."""
    with ExitStack() as stack:
        clients = []
        for path, body in requests(clip):
            command = [sys.executable, "-c", CLIENT, f"{proxy.address}{path}"]
            client = stack.enter_context(subprocess.Popen(command, stdin=subprocess.PIPE))
            assert client.stdin is not None
            client.stdin.write(json.dumps(body).encode())
            client.stdin.close()
            clients.append(client)
        yield clients
