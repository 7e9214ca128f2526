"""A real SGLang server on a CPU, in an environment of its own: ``make .venv-sglang``."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from socket import create_server
from typing import Any

import httpx

from tests.support.requires import environment_or_skip

ROOT = Path(__file__).parents[3]
MODEL = "tiny"
_START_SECONDS = 900  # of a busy machine; 80 to 160 on an idle one
_OPTIONS = (
    *("--device", "cpu", "--attention-backend", "torch_native", "--sampling-backend", "pytorch"),
    *("--dtype", "float32", "--max-total-tokens", "8192", "--max-running-requests", "2"),
    *("--disable-cuda-graph", "--skip-server-warmup", "--mem-fraction-static", "0.2"),
)


@dataclass(frozen=True, slots=True)
class SglangServer:
    """A server that is up.

    Attributes:
        address: Where it listens.
        seen: File of what its model was shown, see `tests.support.sglang.cli`.
    """

    address: str
    seen: Path

    def ask(self, body: dict[str, Any]) -> httpx.Response:
        """The answer to a chat request."""
        asked = {"model": MODEL, "max_tokens": 2, "temperature": 0, **body}
        return httpx.post(f"{self.address}/v1/chat/completions", json=asked, timeout=600)

    def shown(self, body: dict[str, Any]) -> dict[str, Any]:
        """What the model was shown of a request that is answered."""
        answer = self.ask(body)
        assert answer.status_code == 200, answer.text
        line: dict[str, Any] = json.loads(self.seen.read_text().splitlines()[-1])
        return line


def start(model: Path, folder: Path, **variables: str) -> "tuple[subprocess.Popen[bytes], int]":
    """Start a server; returns its process and its port.

    Args:
        model: Folder of the model.
        folder: Folder of its log, ``log``, and of what its model is shown, ``seen``.
        variables: More variables of its environment.
    """
    python = environment_or_skip("sglang") / "bin" / "python"
    with create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    paths = (ROOT, ROOT / "integrations", ROOT / "tests" / "support" / "site")
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "SGLANG_USE_CPU_ENGINE": "1",
        "HF_HUB_OFFLINE": "1",
        "KEYSCORE_ENCODER": "colour",
        "KEYSCORE_TEST_SEEN": str(folder / "seen"),
        **variables,
    }
    command = [str(python), "-m", "tests.support.sglang.cli", "--model-path", str(model)]
    command += ["--served-model-name", MODEL, "--host", "127.0.0.1", "--port", str(port)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, *_OPTIONS],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # its scheduler is a process of the same session
        )
    return process, port


@contextmanager
def sglang_server(model: Path, folder: Path, **variables: str) -> Iterator[SglangServer]:
    """A server that is up, see `start`."""
    process, port = start(model, folder, **variables)
    try:
        address = f"http://127.0.0.1:{port}"
        _wait(address, process, folder / "log")
        yield SglangServer(address, folder / "seen")
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(address: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with suppress(httpx.HTTPError):
            if httpx.get(f"{address}/health", timeout=5).is_success:
                return
        time.sleep(1)
    raise AssertionError(log.read_text(errors="replace")[-8000:])
