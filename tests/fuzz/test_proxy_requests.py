"""Mutated requests to ``keyscore proxy``: an error of one line, or the server's own answer.

No client gets a frame of a file outside of the allowed folder, or makes the proxy send a request to
an address that is not public.

``KEYSCORE_FUZZ_REQUESTS`` says how many there are, ``KEYSCORE_FUZZ_SEED`` where they begin.
"""

import base64
import io
import json
import os
import random
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from keyscore_plugin.errors import MOST_CHARACTERS
from tests.support.http_servers import serving
from tests.support.servers import proxy_process, upstream_process
from tests.support.tiny.videos import numbered_video

N_REQUESTS = int(os.environ.get("KEYSCORE_FUZZ_REQUESTS", "60"))
FIRST_SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))
VALUES: list[Any] = [
    *(None, True, 0, -1, 2, 1e308, 10**30, "", [], {}, ["topk"], {"url": 3}),
    *("\ud800", "\0", "a" * 3000, "topk", "uniform"),
    *("keyscore:;", "keyscore:a=b;c", "data:,", "data:video/mp4;base64,AAAA", "file://["),
    *("file:///etc/passwd", "/etc/shadow", "concat:/etc/passwd|x", "ftp://x/y", "https://"),
    *("http://127.0.0.1:1/x", "http://[::1]/a", "http://169.254.169.254/latest"),
]
KEYS = ("sampler", "num_frames", "question", "pair", "encoder", "uuid", "url", "type", "x")
LETTERS = "%;&=:/\0\n\u00e9#?+ "


def test_a_mutated_request_is_answered_or_refused_in_one_line(tmp_path: Path) -> None:
    for name in ("open", "closed"):
        (tmp_path / name).mkdir()
    video = numbered_video(tmp_path / "open" / "clip.mp4", n=40)
    closed = numbered_video(tmp_path / "closed" / "clip.mp4", n=40, size=(64, 192))
    link = tmp_path / "open" / "link.mp4"
    link.symlink_to(closed)
    paths = [str(path) for path in (closed, link, tmp_path / "open" / ".." / "closed" / "clip.mp4")]
    options = ("--allow-folder", str(video.parent), "--max-frames", "8")
    visits: list[int] = []
    with (
        serving(closed.parent, visits) as private,
        upstream_process() as upstream,
        proxy_process(upstream.address, *options) as proxy,
        httpx.Client(base_url=proxy.address, timeout=120) as client,
    ):
        for seed in range(FIRST_SEED, FIRST_SEED + N_REQUESTS):
            body = mutated(video, random.Random(seed), [*paths, *urls(private)])
            answer = client.post("/v1/chat/completions", content=body)
            assert answer.status_code in (200, 400), (seed, answer.text)
            if answer.status_code == 400:
                message = answer.json()["error"]["message"]
                assert len(message) <= MOST_CHARACTERS + len("keyscore: "), seed
                assert "\n" not in message, seed
            assert all(width == height for width, height in shown_sizes(answer)), seed
        assert set(client.get("/health").json().values()) == {"ok", 0}
    assert visits == []


def urls(private: str) -> list[str]:
    """The video of a server with a private address, by several names of that address."""
    port = private.rpartition(":")[2]
    hosts = ("127.0.0.1", "localhost", "127.1", "0x7f000001", "[::ffff:127.0.0.1]")
    return [f"http://{host}:{port}/clip.mp4" for host in hosts]


def shown_sizes(answer: httpx.Response) -> list[tuple[int, int]]:
    """Width and height of the frames that the server was shown."""
    if answer.status_code != 200:
        return []
    said = json.loads(answer.json()["choices"][0]["message"]["content"])
    starts = json.dumps(said["body"]).split('"data:image/jpeg;base64,')[1:]
    pictures = [base64.b64decode(start.partition('"')[0]) for start in starts]
    return [Image.open(io.BytesIO(picture)).size for picture in pictures]


def mutated(video: Path, chance: random.Random, forbidden: Sequence[str] = ()) -> bytes:
    """A chat about two videos, changed in up to three places, and sometimes in its bytes.

    Args:
        video: Video that may be asked about.
        chance: What is changed.
        forbidden: Addresses that may not be; half of the chats ask for the frames of one.
    """
    in_url = f"keyscore:sampler=topk&num_frames=2&question=red;file://{video}"
    first: dict[str, Any] = {"type": "video_url", "video_url": {"url": in_url}, "uuid": "u"}
    second: dict[str, Any] = {
        "type": "video_url",
        "video_url": {"url": f"file://{video}"},
        "sampler": "topk",
    }
    body = {
        "messages": [
            {"role": "user", "content": [first, {"type": "text", "text": "red"}]},
            {"role": "user", "content": [second, {"type": "text", "text": "blue"}]},
        ],
        "num_frames": 3,
    }
    if forbidden and chance.random() < 0.5:
        address = chance.choice(forbidden)
        in_other_form = f"{in_url.partition(';')[0]};{address}"
        chance.choice([first, second])["video_url"] = {
            "url": chance.choice([address, in_other_form])
        }
    for _ in range(chance.randint(1, 3)):
        if body:  # a change may have removed the last key
            change(body, chance)
    text = bytearray(json.dumps(body).encode())
    if chance.random() < 0.2:
        text[chance.randrange(len(text))] = chance.randrange(256)
    return bytes(text)


def change(body: dict[str, Any], chance: random.Random) -> None:
    """Replace, remove, add or garble one value."""
    place, key = chance.choice(list(places(body)))
    kind = chance.choice(["replace", "replace", "remove", "add", "garble"])
    value = deepcopy(chance.choice(VALUES))  # the next change may be inside of it
    if kind == "add" and isinstance(place, dict):
        place[chance.choice(KEYS)] = value
    elif kind == "remove" and isinstance(place, dict):
        del place[key]
    elif kind == "garble" and isinstance(place[key], str) and place[key]:
        letters = list(place[key])
        letters[chance.randrange(len(letters))] = chance.choice(LETTERS)
        place[key] = "".join(letters)
    else:
        place[key] = value


def places(node: Any) -> Any:
    """Every container of the body, with each of its keys."""
    items = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in items:
        yield node, key
        if isinstance(value, (dict, list)):
            yield from places(value)
