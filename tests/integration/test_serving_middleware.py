"""The middleware in front of a real server process: what the server's application gets."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from keyscore_serving import split_url
from tests.support.proxies import CHAT, Gigabyte
from tests.support.servers import upstream_process


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    with upstream_process("--middleware") as server, httpx.Client(base_url=server.address) as made:
        yield made


def chat(**keys: Any) -> dict[str, Any]:
    video = {"type": "video_url", "video_url": {"url": "file:///v.mp4"}}
    content = [video, {"type": "text", "text": "Who?"}]
    return {"messages": [{"role": "user", "content": content}], **keys}


def got(answer: httpx.Response) -> dict[str, Any]:
    """What the application saw."""
    found: dict[str, Any] = json.loads(answer.json()["choices"][0]["message"]["content"])
    return found


def test_the_application_gets_urls_in_place_of_keys(client: httpx.Client) -> None:
    body = got(client.post(CHAT, json=chat(sampler="topk", num_frames=4, seed=7)))["body"]
    url = body["messages"][0]["content"][0]["video_url"]["url"]
    keys = {"sampler": "topk", "num_frames": "4", "question": "Who?", "pair": "duplicate"}
    assert split_url(url) == (keys, "file:///v.mp4")
    assert set(body) == {"messages", "seed"}


def test_a_body_in_chunks_is_rewritten_whole(client: httpx.Client) -> None:
    text = json.dumps(chat(sampler="topk")).encode()
    chunks = (text[i : i + 7] for i in range(0, len(text), 7))
    seen = got(client.post(CHAT, content=chunks))
    assert "sampler" not in seen["body"]
    assert "transfer-encoding" not in seen["headers"]


def test_other_requests_pass_unchanged(client: httpx.Client) -> None:
    seen = got(client.post(f"{CHAT}?a=b", json=chat(seed=7), headers={"authorization": "Bearer k"}))
    assert seen["body"] == chat(seed=7)
    assert seen["query"] == "a=b"
    assert seen["headers"]["authorization"] == "Bearer k"
    assert client.get("/v1/models").status_code == 200
    assert client.post("/v1/files", content=bytes(3 << 20)).json() == {"size": 3 << 20}


def test_what_cannot_be_met_is_refused_in_the_form_of_the_api(client: httpx.Client) -> None:
    answer = client.post(CHAT, json=chat(sampler="topk", num_frames=65))
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert "from 1 to 64" in error["message"]


def test_what_is_no_json_gets_the_servers_own_answer(client: httpx.Client) -> None:
    answer = client.post(CHAT, content=b'{"sampler": ')
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "no JSON")


def test_a_body_that_is_too_large_is_refused(client: httpx.Client) -> None:
    body = Gigabyte()
    assert client.post(CHAT, content=body).status_code == 413
    assert body.n_taken < 100 << 20  # beyond the bound are the buffers of the connection
    assert client.get("/v1/models").status_code == 200
