"""Real servers for tests: in a separate process, or in a thread."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import create_server
from typing import Any

import uvicorn

ROOT = Path(__file__).parents[2]
_LONGEST_SECONDS = 120  # for a process to come to its end


@dataclass
class Process:
    """A server in a separate process.

    Attributes:
        address: Where it listens.
        process: The process.
        lines: What it has printed to standard error since it listens.
    """

    address: str
    process: "subprocess.Popen[str]"
    lines: list[str] = field(default_factory=list)

    def stop(self) -> int:
        """Ask it to end, as an operator does; returns the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_LONGEST_SECONDS)


@contextmanager
def upstream_process(*options: str) -> Iterator[Process]:
    """`tests.support.openai_server` in a process."""
    with _started("tests.support.openai_server", *options) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        yield Process(f"http://127.0.0.1:{port}", process)


@contextmanager
def starting_proxy(upstream: str, *options: str) -> Iterator["subprocess.Popen[str]"]:
    """``keyscore proxy`` in a process that has just begun, with `proxy_process`'s encoder."""
    words = ("proxy", "--upstream", upstream, "--encoder", "colour", "--port", "0", "--jobs", "1")
    with _started("tests.support.colour_cli", *words, *options) as process:
        yield process


@contextmanager
def proxy_process(upstream: str, *options: str) -> Iterator[Process]:
    """``keyscore proxy`` in a process, with the encoder ``colour`` and one worker."""
    with starting_proxy(upstream, *options) as process:
        assert process.stderr is not None
        first = process.stderr.readline()
        assert first.startswith("{"), first + process.stderr.read()
        found = Process(f"http://127.0.0.1:{json.loads(first)['port']}", process)
        # The pipe is read on: a full one would stop the server.
        reader = threading.Thread(target=found.lines.extend, args=[process.stderr])
        reader.start()
        try:
            yield found
        finally:
            process.kill()
            reader.join()


def workers_of(process: "subprocess.Popen[str]") -> list[str]:
    """The worker processes that a process has started and that are there."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]


def have_ended(processes: Sequence[str]) -> bool:
    """Whether none of these processes is there."""
    return not any(Path("/proc", process).exists() for process in processes)


@contextmanager
def _started(module: str, *words: str) -> Iterator["subprocess.Popen[str]"]:
    command = [sys.executable, "-m", module, *words]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def serving_app(app: Any) -> Iterator[str]:
    """Address of an ASGI application that is served in a thread."""
    with create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
