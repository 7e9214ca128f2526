"""``keyscore proxy`` in front of a real server: what the server is shown, and what is refused."""

import asyncio
import base64
import io
import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import torch
from PIL import Image
from starlette.requests import Request

from keyscore_openai import frames
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.upstream import Upstream
from keyscore_plugin import InputError, get_sampler
from keyscore_plugin.cli import main as cli
from tests.support.colour_encoder import ColourEncoder
from tests.support.http_servers import serving, unvisited
from tests.support.proxies import (
    CHAT,
    Gigabyte,
    Json,
    data_url,
    messages,
    proxy_here,
    refused,
    video,
)
from tests.support.servers import ROOT, Process, proxy_process, upstream_process
from tests.support.tiny.videos import frame_numbers, numbered_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose files clients may name; next to it is one whose files they may not."""
    root = tmp_path_factory.mktemp("videos")
    for name in ("open", "closed"):
        (root / name).mkdir()
        numbered_video(root / name / "clip.mp4", n=40)
    (root / "open" / "link.mp4").symlink_to(root / "closed" / "clip.mp4")
    (root / "open" / "notes.mp4").write_text("no video")
    return root / "open"


@pytest.fixture(scope="module")
def upstream() -> Iterator[Process]:
    with upstream_process() as process:
        yield process


@pytest.fixture(scope="module")
def proxy(upstream: Process, folder: Path) -> Iterator[Process]:
    options = ("--allow-folder", str(folder), "--max-body-bytes", "1000000")
    with proxy_process(upstream.address, *options) as process:
        yield process


@pytest.fixture(scope="module")
def client(proxy: Process) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.address, timeout=60) as made:
        yield made


def shown(text: str) -> tuple[list[str], list[int]]:
    """The texts and the frames that the server's model was shown."""
    parts = json.loads(text)["body"]["messages"][0]["content"]
    texts = [part["text"] for part in parts if part["type"] == "text"]
    urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
    pictures = [Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) for url in urls]
    means = [np.asarray(picture).mean((0, 1)) for picture in pictures]
    return texts, frame_numbers(torch.tensor(np.stack(means)))


def said(answer: httpx.Response) -> str:
    text: str = answer.json()["choices"][0]["message"]["content"]
    return text


@pytest.mark.slow
def test_the_openai_client_gets_an_answer_about_the_chosen_frames(
    proxy: Process, folder: Path
) -> None:
    with openai.OpenAI(base_url=f"{proxy.address}/v1", api_key="secret-key") as client:

        def ask(question: str, *, stream: bool) -> str:
            asked: Json = {
                "model": "m",
                "messages": messages(video(f"file://{folder}/clip.mp4"), question=question),
                "extra_body": {"sampler": "topk", "num_frames": 3},
            }
            if not stream:
                answer = client.chat.completions.create(**asked)
                return answer.choices[0].message.content or ""
            chunks = client.chat.completions.create(**asked, stream=True)
            return "".join(chunk.choices[0].delta.content or "" for chunk in chunks)

        answers = {question: ask(question, stream=False) for question in ("red", "green")}
        streamed = ask("red", stream=True)
    for question, text in answers.items():
        texts, numbers = shown(text)
        assert texts == [*(f"<{i / 10:.1f} seconds>" for i in numbers), question]
        assert len(numbers) == 3
    assert shown(answers["red"])[1] != shown(answers["green"])[1]
    assert shown(streamed) == shown(answers["red"])
    seen = json.loads(answers["red"])
    assert seen["headers"]["authorization"] == "Bearer secret-key"
    assert seen["headers"]["user-agent"].startswith("OpenAI/Python")
    assert set(seen["body"]) == {"model", "messages"}


@pytest.mark.slow
def test_the_examples_of_the_page_get_answers(
    proxy: Process, upstream: Process, folder: Path
) -> None:
    """With a server that answers with what it was shown, and a sampler that needs no hub."""
    stands_for = {
        "http://localhost:11434": upstream.address,
        "http://localhost:8000": upstream.address,
        "http://localhost:8010": proxy.address,
        "https://host/match.mp4": f"file://{folder}/clip.mp4",
        "match.mp4": f"{folder}/clip.mp4",
        "Who scores the second goal?": "red",
        "num_frames=8)": "num_frames=8, sampler=sampler)",
    }
    page = ROOT / "docs" / "hosts" / "servers.md"
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), flags=re.DOTALL)
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    for code in blocks:
        for written, meant in stands_for.items():
            code = code.replace(written, meant)
        exec(compile(code, str(page), "exec"), names)
        texts, numbers = shown(names["answer"].choices[0].message.content)
        assert texts == [*(f"<{i / 10:.1f} seconds>" for i in numbers), "red"]
        assert len(numbers) == 8


def test_the_proxy_shows_what_the_client_would_have_sent(
    client: httpx.Client, folder: Path
) -> None:
    clip = folder / "clip.mp4"
    sampler = get_sampler("topk", encoder=ColourEncoder())
    sent = frames(clip, question="red", num_frames=3, sampler=sampler)
    asked = frames(clip, question="red", num_frames=3, sampler="topk", form="url")
    answer = client.post(CHAT, json={"messages": [{"role": "user", "content": asked.content}]})
    assert json.loads(said(answer))["body"]["messages"][0]["content"] == sent.content


def test_a_request_that_asks_for_no_frames_passes_byte_for_byte(client: httpx.Client) -> None:
    body = json.dumps({"messages": messages(video("https://host/v.mp4")), "x": 1.50}, indent=3)
    seen = json.loads(said(client.post(f"{CHAT}?a=%2Fb", content=body)))
    assert seen["body"] == json.loads(body)
    assert seen["headers"]["content-length"] == str(len(body))
    assert seen["query"] == "a=%2Fb"


def test_other_paths_pass_with_bodies_of_any_size(client: httpx.Client) -> None:
    answer = client.get("/v1/models?x=1")
    assert (answer.json()["object"], answer.headers["x-query"]) == ("list", "x=1")
    assert len(answer.headers.get_list("date")) == 1
    assert answer.headers["x-got"] == "accept,accept-encoding,host,user-agent"
    assert client.post("/v1/files", content=bytes(5 << 20)).json() == {"size": 5 << 20}
    chunks = (bytes(1000) for _ in range(100))
    assert client.post("/v1/files", content=chunks).json() == {"size": 100_000}


def test_headers_of_the_connection_stay_behind(client: httpx.Client) -> None:
    headers = {"connection": "keep-alive, x-mine", "x-mine": "1", "te": "trailers", "x-ours": "2"}
    seen = json.loads(said(client.post(CHAT, json={"messages": []}, headers=headers)))
    assert seen["headers"]["x-ours"] == "2"
    assert not {"x-mine", "te"} & set(seen["headers"])


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("../closed/clip.mp4", "may read"),
        ("link.mp4", "may read"),
        ("\0", "may read"),
        ("missing.mp4", "cannot read"),
        ("notes.mp4", "cannot read"),
    ],
)
def test_a_file_that_clients_may_not_name_is_not_opened(
    client: httpx.Client, folder: Path, name: str, what: str
) -> None:
    asked = messages(video(f"file://{folder}/{name}", sampler="topk"))
    refused(client.post(CHAT, json={"messages": asked}), 400, what)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"sampler": "topks"}, "unknown sampler"),
        ({"sampler": "topk", "num_frames": 257}, "from 1 to 256"),
        ({"sampler": "topk", "encoder": "conse"}, "chosen by the server"),
        ({"num_frames": 4}, "without a sampler"),
    ],
)
def test_keys_that_cannot_be_used_are_refused(
    client: httpx.Client, folder: Path, keys: Json, what: str
) -> None:
    asked = messages(video(f"{folder}/clip.mp4", **keys))
    refused(client.post(CHAT, json={"messages": asked}), 400, what)


def test_a_sampler_without_a_text_is_refused(client: httpx.Client, folder: Path) -> None:
    asked = [{"role": "user", "content": [video(f"{folder}/clip.mp4", sampler="topk")]}]
    refused(client.post(CHAT, json={"messages": asked}), 400, "no text")


def test_a_sampler_without_a_video_is_refused(client: httpx.Client) -> None:
    answer = client.post(CHAT, json={"messages": messages(), "sampler": "topk"})
    refused(answer, 400, "no message has a video")


@pytest.mark.parametrize("data", ["image/png;base64,AAAA", "video/jpeg;base64,A,B"])
def test_pictures_have_no_frames_to_choose_from(client: httpx.Client, data: str) -> None:
    asked = messages(video(f"data:{data}", sampler="topk"))
    refused(client.post(CHAT, json={"messages": asked}), 400, "list of pictures")


def test_a_private_address_is_not_asked(client: httpx.Client) -> None:
    with unvisited() as url:
        asked = messages(video(url, sampler="topk"))
        refused(client.post(CHAT, json={"messages": asked}), 400, "not public")


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    refused(client.post(CHAT, content=bytes(1_000_001)), 413, "larger than 1,000,000 bytes")


@pytest.mark.parametrize(
    "start", [b"", b'{"messages": [{"content": [{"url": "data:video/mp4;base64,']
)
def test_of_a_body_of_a_gigabyte_only_what_fits_is_read(client: httpx.Client, start: bytes) -> None:
    body = Gigabyte(start)
    refused(client.post(CHAT, content=body), 413, "larger than 1,000,000 bytes")
    assert body.n_taken < 100 << 20  # beyond the bound are the buffers of the connection


def test_a_small_chat_that_asks_for_more_frames_than_fit_is_refused(
    client: httpx.Client, folder: Path
) -> None:
    asked = messages(*[video(f"{folder}/clip.mp4")] * 2000)
    answer = client.post(CHAT, json={"messages": asked, "sampler": "topk", "num_frames": 16})
    refused(answer, 413, "fewer frames")


def test_a_video_as_data_is_found_again_in_the_cache(client: httpx.Client, folder: Path) -> None:
    def hits() -> float:
        lines = client.get("/metrics").text.splitlines()
        return next(float(x.split()[1]) for x in lines if x.startswith("keyscore_cache_hits_total"))

    url = data_url(folder / "clip.mp4")
    before = hits()
    answers = [
        said(client.post(CHAT, json={"messages": messages(video(url)), "sampler": "topk"}))
        for _ in range(2)
    ]
    assert shown(answers[0]) == shown(answers[1])
    assert hits() == before + 1


@pytest.mark.slow
def test_a_url_is_downloaded_again_only_if_it_has_changed(
    upstream: Process, tmp_path: Path
) -> None:
    clip = numbered_video(tmp_path / "clip.mp4", n=40)
    statuses: list[int] = []
    headers: dict[str, str] = {}

    def ask(question: str) -> list[int]:
        asked = messages(video(url), question=question)
        body = {"messages": asked, "sampler": "topk", "num_frames": 3}
        answer = httpx.post(f"{proxy.address}{CHAT}", json=body, timeout=60)
        return shown(said(answer))[1]

    with (
        serving(tmp_path, statuses, headers) as address,
        proxy_process(upstream.address, "--urls", "any") as proxy,
    ):
        url = f"{address}/clip.mp4"
        first = ask("red")
        assert ask("red") == first
        assert ask("green") != first
        assert statuses == [200, 304, 304]
        numbered_video(clip, n=20)
        os.utime(clip, (0, clip.stat().st_mtime + 60))
        headers["cache-control"] = "no-store"
        for n_sent in (1, 2):  # once for each request, the first one after the change included
            assert max(ask("red")) < 20
            assert statuses == [200, 304, 304, *[200] * n_sent]


@pytest.mark.slow
def test_workers_share_one_index_and_show_the_same_frames(
    client: httpx.Client, upstream: Process, folder: Path, tmp_path: Path
) -> None:
    asked = messages(video(f"{folder}/clip.mp4"))
    bodies = [{"messages": asked, "sampler": "stacfp", "num_frames": n} for n in (2, 3, 4, 5)]
    options = ("--allow-folder", str(folder), "--jobs", "2", "--index", str(tmp_path / "index"))
    with (
        proxy_process(upstream.address, *options) as proxy,
        httpx.Client(base_url=proxy.address, timeout=60) as indexed,
        ThreadPoolExecutor() as threads,
    ):
        answers = list(threads.map(lambda body: indexed.post(CHAT, json=body), bodies))
    for body, answer in zip(bodies, answers, strict=True):
        assert shown(said(answer)) == shown(said(client.post(CHAT, json=body)))
    assert len(list((tmp_path / "index").glob("*/*.safetensors"))) == 1


def test_a_stream_that_breaks_upstream_breaks_for_the_client(proxy: Process) -> None:
    body = {"messages": [], "model": "broken", "stream": True}
    with (
        pytest.raises(httpx.RemoteProtocolError),
        httpx.stream("POST", f"{proxy.address}{CHAT}", json=body, timeout=60) as answer,
    ):
        answer.read()
    assert httpx.get(f"{proxy.address}/health").json()["status"] == "ok"


@pytest.mark.parametrize(
    ("says", "status"), [(None, 502), (b"garbage\r\n\r\n", 502), (b"", 502), (b"HTTP/1.1 ", 504)]
)
def test_an_upstream_without_an_answer_is_a_gateway_error(says: bytes | None, status: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, ExitStack() as stack:
        port = listener.getsockname()[1]

        def answer() -> None:
            connection = stack.enter_context(listener.accept()[0])
            connection.recv(1 << 16)
            connection.sendall(says or b"")
            if status == 502:
                connection.close()

        if says is None:
            listener.close()
        else:
            thread = threading.Thread(target=answer)
            thread.start()
            stack.callback(thread.join)
        seconds = 1.0 if status == 504 else 60.0
        with proxy_here(f"http://127.0.0.1:{port}", n_workers=0, answer_seconds=seconds) as address:
            asked: Json = {"messages": []}
            refused(httpx.post(f"{address}{CHAT}", json=asked, timeout=60), status, "upstream")


def test_a_path_with_bytes_that_no_url_has_is_refused() -> None:
    """With the parser httptools, uvicorn lets them pass."""
    raw = {"path": "/\u00e9", "raw_path": "/\u00e9".encode(), "query_string": b"", "headers": []}
    request = Request({"type": "http", "method": "GET", **raw})
    answer = Upstream("http://127.0.0.1:1", answer_seconds=1.0).answer(request, b"")
    with pytest.raises(httpx.InvalidURL):
        asyncio.run(answer)


@pytest.mark.parametrize(
    "upstream",
    [
        "localhost:8000",
        "ftp://host",
        "http://",
        "http://user:secret@host",
        "http://host?key=1",
        "http://host:port",
    ],
)
def test_an_upstream_that_cannot_be_asked_is_refused(upstream: str) -> None:
    with pytest.raises(InputError, match="upstream") as caught:
        ProxySettings(upstream=upstream)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--upstream", "nowhere"],
        ["--upstream", "http://h", "--port", "70000"],
        ["--upstream", "http://h", "--default", "keyscore"],
        ["--upstream", "http://h", "--default", '{"sampler": "none"}'],
        ["--upstream", "http://h", "--urls", "some"],
        ["--upstream", "http://h", "--allow-folder", "/no/such/folder"],
        ["--upstream", "http://h", "--index", __file__],
        ["--upstream", "http://h", "--index", f"{__file__}/index"],
        ["--upstream", "http://h", "--set", f"index.folder={__file__}"],
    ],
)
def test_a_wrong_option_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = cli.main(["proxy", *words])
    except SystemExit as error:
        code = int(error.code or 0)
    assert code == cli.EXIT_USAGE
    assert len(capsys.readouterr().err.splitlines()) == 1
