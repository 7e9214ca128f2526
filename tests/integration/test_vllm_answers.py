"""A whole vLLM server with the plugin: answers, under load, and to clients that hang up."""

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from openai import OpenAI

from keyscore_openai import frames
from keyscore_plugin import get_sampler
from tests.support.colour_encoder import ColourEncoder
from tests.support.tiny.videos import numbered_video
from tests.support.vllm import models
from tests.support.vllm.chats import chat, video
from tests.support.vllm.servers import MODEL, PLUGIN, SERVE, VllmServer, vllm_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

CHAT = "/v1/chat/completions"
ONE_TOKEN: dict[str, Any] = {"max_tokens": 1, "temperature": 0, "logprobs": True, "top_logprobs": 5}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory, clip: Path) -> Iterator[VllmServer]:
    """A server that chooses two uniform frames for clients that ask for none."""
    folder = tmp_path_factory.mktemp("server")
    model = models.save("Qwen3VL", folder / "model")
    default = '{"sampler": "uniform", "num_frames": 2}'
    with vllm_server(
        SERVE,
        model,
        *("--allowed-local-media-path", str(clip.parent), *PLUGIN),
        "--trust-request-mm-kwargs",
        log=folder / "log.txt",
        VLLM_MEDIA_CONNECTOR="keyscore",
        KEYSCORE_DEFAULT=default,
    ) as process:
        yield process


@pytest.fixture(scope="module")
def server(process: VllmServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=process.address, timeout=300) as client:
        yield client


def answer(server: httpx.Client, *parts: dict[str, Any], **keys: Any) -> dict[str, float]:
    """Log-probabilities of the first token."""
    found = server.post(CHAT, json=chat(*parts, **ONE_TOKEN, **keys))
    assert found.status_code == 200, found.text
    (token,) = found.json()["choices"][0]["logprobs"]["content"]
    return {one["token"]: one["logprob"] for one in token["top_logprobs"]}


def test_a_client_that_asks_for_no_frames_gets_the_servers_default(
    server: httpx.Client, clip: Path
) -> None:
    two = answer(server, video(clip), sampler="uniform", num_frames=2)
    four = answer(server, video(clip), sampler="uniform", num_frames=4)
    assert answer(server, video(clip)) == two
    assert four != two


def test_the_default_leaves_a_client_alone_that_chooses_frames_itself(
    server: httpx.Client, clip: Path
) -> None:
    default = answer(server, video(clip))
    kwargs = {"video": {"num_frames": 4}}
    assert answer(server, video(clip), media_io_kwargs=kwargs) != default
    sampler = get_sampler("topk", encoder=ColourEncoder())
    parts = frames(clip, question="red", num_frames=3, sampler=sampler, form="video")
    (part,) = parts.content
    assert answer(server, part, **parts.extra_body) != default


def test_several_texts_choose_other_frames_than_one(server: httpx.Client, clip: Path) -> None:
    part = video(clip, sampler="topk", num_frames=3, caption="red")
    both = {**part, "caption": ["red", "blue"], "join": "any"}
    assert answer(server, both) != answer(server, part)


def test_no_answer_comes_from_the_frames_of_another_request(
    server: httpx.Client, clip: Path
) -> None:
    """The text stays the same: only the frames can change the answer."""
    part = video(clip, uuid="clip", sampler="topk", num_frames=3)
    red, blue = (answer(server, {**part, "caption": text}) for text in ("red", "blue"))
    assert red != blue
    assert answer(server, {**part, "caption": "red"}) == pytest.approx(red)


def test_the_client_of_openai_gets_its_answer_streamed_or_whole(
    process: VllmServer, clip: Path
) -> None:
    with OpenAI(base_url=f"{process.address}/v1", api_key="none", max_retries=0) as client:
        call: dict[str, Any] = {
            "model": MODEL,
            "messages": chat(video(clip))["messages"],
            "max_tokens": 5,
            "temperature": 0,
            "extra_body": {"sampler": "topk", "num_frames": 3},
        }
        whole = client.chat.completions.create(**call).choices[0].message.content
        chunks = client.chat.completions.create(stream=True, **call)
        assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole


def test_requests_at_once_get_the_answers_of_requests_alone(
    server: httpx.Client, clip: Path
) -> None:
    def asked(n: int) -> dict[str, float]:
        return answer(server, video(clip), sampler="topk", num_frames=n, caption="blue")

    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(asked, range(1, 9)))
    for n, found in enumerate(together, 1):
        assert found == pytest.approx(asked(n), abs=1e-4)


def test_a_client_that_is_killed_leaves_nothing_behind(
    server: httpx.Client, process: VllmServer, clip: Path
) -> None:
    body = chat(
        video(clip),
        sampler="keyscore",
        num_frames=8,
        max_tokens=3000,
        ignore_eos=True,
        stream=True,
    )
    code = (
        "import httpx, json, sys\n"
        "with httpx.stream('POST', sys.argv[1], json=json.loads(sys.argv[2])) as answer:\n"
        "    for line in answer.iter_lines():\n"
        "        print(line, flush=True)\n"
    )
    for _ in range(3):
        command = [sys.executable, "-c", code, f"{process.address}{CHAT}", json.dumps(body)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as client:
            assert client.stdout is not None
            assert client.stdout.readline().startswith("data: {")
            client.kill()
    assert answer(server, video(clip))
    for _ in range(60):
        metrics = server.get("/metrics").text
        if "vllm:num_requests_running" in metrics and running(metrics) == 0:
            return
    raise AssertionError("requests of killed clients still run")


def running(metrics: str) -> float:
    """Requests at work or waiting in the engine."""
    names = ("vllm:num_requests_running{", "vllm:num_requests_waiting{")
    return sum(
        float(row.rsplit(" ", 1)[1]) for row in metrics.splitlines() if row.startswith(names)
    )


def test_two_hundred_requests_in_a_row_need_no_more_memory(
    server: httpx.Client, process: VllmServer, clip: Path
) -> None:
    """From the fiftieth on: by then the caches of vLLM and ours hold what they keep."""
    memory = []
    for n in range(200):
        answer(server, video(clip), sampler="topk", num_frames=1 + n % 7, caption="blue")
        memory.append(resident_bytes(process.pid))
    assert memory[-1] - memory[49] < 64 << 20


def resident_bytes(pid: int) -> int:
    """Memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()
