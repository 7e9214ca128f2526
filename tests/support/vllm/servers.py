"""Real vLLM servers on a CPU, in the environment that `requirements.txt` locks."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx

from tests.support.requires import environment_or_skip

ROOT = Path(__file__).parents[3]
MODEL = "tiny"
_START_SECONDS = 900  # some 40 s of CPU, on a busy machine
_END_SECONDS = 60
RENDER = ("launch", "render")
SERVE = ("serve",)
_ENGINE = ("--enforce-eager", "--max-num-seqs", "4")
PLUGIN = ("--middleware", "keyscore_vllm.Middleware")
READ_BACK = ("--middleware", "tests.support.vllm.reading.ReadBack")


def environment(**more: str) -> dict[str, str]:
    """Variables of a process that runs vLLM and our code."""
    paths = (ROOT, ROOT / "integrations", ROOT / "tests" / "support" / "site")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("VLLM_")},
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "KEYSCORE_ENCODER": "colour",
        **more,
    }


@dataclass(frozen=True, slots=True)
class VllmServer:
    """A server that is up.

    Attributes:
        address: Where it listens.
        pid: The process that answers; its engine is another one.
    """

    address: str
    pid: int


@contextmanager
def vllm_server(
    kind: Sequence[str], model: Path, *options: str, log: Path, **variables: str
) -> Iterator[VllmServer]:
    """A server that is up.

    Args:
        kind: `RENDER`, which tokenises and processes only, or `SERVE`.
        model: Folder of the model.
        options: More options of the server.
        log: File for what it prints.
        variables: More variables of its environment.
    """
    python = environment_or_skip("vllm") / "bin" / "python"
    port = _free_port()
    command = [str(python), "-m", "tests.support.vllm.cli", *kind, str(model)]
    command += ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)]
    command += ["--max-model-len", "4096", "--dtype", "float32", "--enable-scale-out"]
    command += [*(() if kind == RENDER else _ENGINE), *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its engine is a process of the same session
        )
    try:
        server = VllmServer(f"http://127.0.0.1:{port}", process.pid)
        _wait(server.address, process, log)
        yield server
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_END_SECONDS)
        finally:
            _end_session(process.pid)


class ServerEndedError(Exception):
    """The server ended before it was up."""


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            raise ServerEndedError(log.read_text(errors="replace")[-8000:])
        with suppress(httpx.HTTPError):
            if httpx.get(f"{address}/health", timeout=5).is_success:
                return
        time.sleep(0.5)
    raise TimeoutError(log.read_text(errors="replace")[-8000:])


def _end_session(leader: int) -> None:
    """End what is left of a session, such as an engine that hangs."""
    with suppress(ProcessLookupError):
        os.killpg(leader, signal.SIGKILL)
