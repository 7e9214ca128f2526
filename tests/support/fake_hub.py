"""A model hub of one model on this machine, for tests of what is fetched and what is not."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "a" * 40


@contextmanager
def hub_of(model: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of a hub that has this folder as a model, and the names of the files it sent."""
    sent: list[str] = []
    files = {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    pages = {
        f"/api/models/{model}/revision/main": {
            "id": model,
            "sha": COMMIT,
            "siblings": [{"rfilename": name} for name in files],
        },
        f"/api/models/{model}/tree/{COMMIT}": [
            {"type": "file", "path": name, "size": len(content), "oid": _etag(content)}
            for name, content in files.items()
        ],
    }

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self.wfile.write(self._answer())

        def _answer(self) -> bytes:
            path, _, _ = self.path.partition("?")
            name = path.rpartition("/")[2]
            if path in pages:
                content = json.dumps(pages[path]).encode()
            elif path.startswith(f"/{model}/resolve/") and name in files:
                content = files[name]
                if self.command == "GET":
                    sent.append(name)
            else:
                self.send_error(404)
                return b""
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{_etag(content)}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            return content

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", sent
        finally:
            server.shutdown()


def _etag(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()
