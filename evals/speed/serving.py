"""The cost of a question about a video through ``keyscore proxy``, with everything loaded."""

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import httpx

from evals.speed.clips import long_video
from evals.speed.measure import in_turns
from evals.speed.table import Cell, Table
from evals.speed.whole import Clip, Setting
from keyscore_plugin.hosts import require

FORWARDED = "forwarded, no frames chosen"
UNIFORM = "uniform: 8 frames, as a server samples itself"
FIRST = "keyscore, conse: a new question"
AGAIN = "keyscore, conse: the same question again"
_TITLE = "A question to a server through `keyscore proxy`, which has its encoder loaded"
_NOTE = (
    "The server behind the proxy answers at once, so the time is the proxy's; `beyond` is what "
    "remains without the row `forwarded`."
)


def table(clip: Clip, setting: Setting) -> Table:
    """Milliseconds of a request by what it asks for, in units of a uniform sample.

    Args:
        clip: Video that is asked about.
        setting: Settings of the measurement.
    """
    require("uvicorn", extra="serve")  # before the command that needs it fails
    minutes, height = clip
    video = long_video(setting.folder, seconds=60 * minutes, height=height)
    numbers = count()

    def question(sampler: str | None, text: str | None = None) -> Callable[[], None]:
        def ask() -> None:
            body = chat(video, sampler, text or f"people riding bicycles {next(numbers)}")
            client.post("/v1/chat/completions", json=body).raise_for_status()

        return ask

    jobs = {
        FORWARDED: question(None),
        UNIFORM: question("uniform"),
        FIRST: question("keyscore"),
        AGAIN: question("keyscore", "a dog"),
    }
    with ExitStack() as stack:
        upstream = stack.enter_context(_upstream())
        address = stack.enter_context(_proxy(upstream, setting))
        client = stack.enter_context(httpx.Client(base_url=address, timeout=600))
        done = in_turns(jobs, repeats=setting.repeats, warm_up=True)
    seconds = {name: cost.wall for name, (cost, _) in done.items()}
    beyond = {name: seconds[name] - seconds[FORWARDED] for name in jobs}
    label: dict[str, Cell] = {"clip": f"{minutes:g} min, {height}p"}
    lines = [
        label
        | {
            "what": name,
            "ms": 1e3 * seconds[name],
            "beyond ms": 1e3 * beyond[name],
            "of uniform": beyond[name] / beyond[UNIFORM],
        }
        for name in jobs
    ]
    return Table("serving", _TITLE, lines, [_NOTE], ("clip", "what"))


def chat(video: Path | None, sampler: str | None, text: str) -> dict[str, object]:
    """A request about 8 frames of a video, which a sampler or the server chooses."""
    content: list[object] = [{"type": "text", "text": text}]
    if video is not None:
        url = {"url": video.absolute().as_uri()}
        content.insert(0, {"type": "video_url", "video_url": url})
    asked = {} if sampler is None else {"sampler": sampler, "num_frames": 8}
    return {"messages": [{"role": "user", "content": content}], **asked}


class _Answering(BaseHTTPRequestHandler):
    """A server that answers every request at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        """Answer with an empty object."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


@contextmanager
def _upstream() -> Iterator[str]:
    """Address of the server behind the proxy."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def _proxy(upstream: str, setting: Setting) -> Iterator[str]:
    """Address of ``keyscore proxy``."""
    command = [sys.executable, "-m", "keyscore_plugin.cli", "proxy", "--upstream", upstream]
    command += ["--encoder", "conse", "--decoder", setting.decoder, "--port", "0", "--jobs", "1"]
    command += ["--allow-folder", str(setting.folder)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            line = process.stderr.readline()
            if not line.startswith("{"):
                raise subprocess.CalledProcessError(process.wait(), command)
            log = threading.Thread(target=process.stderr.read, daemon=True)
            log.start()  # a full pipe would stop the proxy
            yield f"http://127.0.0.1:{json.loads(line)['port']}"
        finally:
            process.terminate()
            process.wait()
