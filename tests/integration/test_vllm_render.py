"""What vLLM's renderer makes of a request: tokens, the frames of each video, and their times."""

import base64
import json
import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from keyscore_plugin import get_sampler, open_video
from tests.fuzz.test_proxy_requests import FIRST_SEED, N_REQUESTS, mutated
from tests.support.colour_encoder import ColourEncoder
from tests.support.http_servers import serving, unreachable, unvisited
from tests.support.tiny.videos import numbered_video
from tests.support.vllm import models
from tests.support.vllm.chats import chat, video
from tests.support.vllm.servers import PLUGIN, READ_BACK, RENDER, vllm_server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

# The file of a traceback's last frame, which the line with the error follows.
LAST_FRAME = re.compile(r'^  File "([^"]+)".*\n(?:    .*\n)*(?=\S)', re.MULTILINE)
UNEVEN = [i / 10 if i < 40 else 4 + (i - 40) / 4 for i in range(80)]


@dataclass(frozen=True)
class Clips:
    """The folder that the server may read, and the videos in it."""

    folder: Path

    @property
    def even(self) -> Path:
        return self.folder / "even.mp4"

    @property
    def uneven(self) -> Path:
        return self.folder / "uneven.mp4"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Clips:
    clips = Clips(tmp_path_factory.mktemp("clips"))
    numbered_video(clips.even)
    numbered_video(clips.uneven, n=80, seconds=UNEVEN)
    return clips


@dataclass(frozen=True)
class Renderer:
    """A server that renders chats for one model."""

    model: str
    folder: Path
    address: str

    def post(self, body: Any) -> httpx.Response:
        """The answer to a chat, or to what is sent in its place."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.post(
            f"{self.address}/v1/chat/completions/render",
            content=content,
            headers={"content-type": "application/json"},
            timeout=120,
        )

    def render(self, body: Any) -> dict[str, Any]:
        answer = self.post(body)
        assert answer.status_code == 200, answer.text
        rendered: dict[str, Any] = answer.json()
        return rendered

    def seconds(self, shown: dict[str, Any]) -> list[float]:
        """Times of the patches as the model is given them, from the first one."""
        times = shown["timestamps" if self.model == "Qwen3VL" else "keyscore_patch_seconds"]
        return [time - times[0] for time in times]


@pytest.fixture(scope="module", params=["Qwen3VL", "Qwen2_5_VL"])
def renderer(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, clips: Clips
) -> Iterator[Renderer]:
    folder = tmp_path_factory.mktemp("server")
    model = models.save(request.param, folder / "model")
    options = ("--allowed-local-media-path", str(clips.folder), *PLUGIN, *READ_BACK)
    domains = ("--allowed-media-domains", "127.0.0.1")
    log = folder / "log.txt"
    with vllm_server(
        RENDER, model, *options, *domains, log=log, VLLM_MEDIA_CONNECTOR="keyscore"
    ) as server:
        yield Renderer(request.param, model, server.address)


def keyframes(path: Path, sampler: str, num_frames: int) -> tuple[list[int], list[float]]:
    """Frames that a sampler chooses for the text "red", and their times from the first one."""
    with open_video(path) as source:
        chosen = get_sampler(sampler, encoder=ColourEncoder())
        selection = chosen(source, num_frames=num_frames, question="red")
    first = selection.pts_seconds[0]
    return selection.indices, [time - first for time in selection.pts_seconds]


def twice(frames: list[int]) -> list[int]:
    return [frame for frame in frames for _ in range(2)]


def test_the_model_gets_the_frames_that_the_sampler_chose_at_their_times(
    renderer: Renderer, clips: Clips
) -> None:
    (shown,) = renderer.render(chat(video(clips.even), sampler="keyscore", num_frames=4))["videos"]
    frames, seconds = keyframes(clips.even, "keyscore", 4)
    assert shown["frames"] == twice(frames)
    assert renderer.seconds(shown) == pytest.approx(seconds, abs=1e-3)


def test_each_video_of_a_chat_has_its_own_budget_and_times(
    renderer: Renderer, clips: Clips
) -> None:
    alone = renderer.render(chat(video(clips.even)))
    three = chat(
        video(clips.even, sampler="uniform", num_frames=2),
        video(clips.even),
        video(clips.uneven, sampler="topk", num_frames=3),
    )
    rendered = renderer.render(three)
    first, stock, uneven = rendered["videos"]
    frames, seconds = keyframes(clips.even, "uniform", 2)
    assert first["frames"] == twice(frames)
    assert renderer.seconds(first) == pytest.approx(seconds, abs=1e-3)
    assert stock == alone["videos"][0]
    assert rendered["hashes"]["video"][1] == alone["hashes"]["video"][0]
    frames, seconds = keyframes(clips.uneven, "topk", 3)
    assert uneven["frames"] == twice(frames)
    assert renderer.seconds(uneven) == pytest.approx(seconds, abs=1e-3)


def test_another_question_shows_other_frames_also_with_a_clients_uuid(
    renderer: Renderer, clips: Clips
) -> None:
    for keys in ({}, {"uuid": "match"}):
        part = video(clips.even, **keys)
        red, again, blue = (
            renderer.render(chat(part, sampler="topk", num_frames=3, text=text))
            for text in ("red", "red", "blue")
        )
        assert again == red
        assert blue["videos"][0]["frames"] != red["videos"][0]["frames"]
        assert blue["hashes"] != red["hashes"]


def test_a_later_turn_shows_the_frames_of_the_earlier_one(renderer: Renderer, clips: Clips) -> None:
    first = chat(video(clips.even), sampler="topk", num_frames=3)
    later = [{"role": "assistant", "content": "Yes."}, {"role": "user", "content": "blue"}]
    both = {**first, "messages": first["messages"] + later}
    assert renderer.render(both)["hashes"] == renderer.render(first)["hashes"]


def test_a_video_may_come_as_a_data_url_or_from_an_allowed_server(
    renderer: Renderer, clips: Clips
) -> None:
    keys: dict[str, Any] = {"sampler": "topk", "num_frames": 3}
    data = base64.b64encode(clips.even.read_bytes()).decode()
    expected = renderer.render(chat(video(clips.even), **keys))
    assert renderer.render(chat(video(f"data:video/mp4;base64,{data}"), **keys)) == expected
    with serving(clips.folder) as address:
        assert renderer.render(chat(video(f"{address}/even.mp4"), **keys)) == expected


def test_a_server_that_the_operator_has_not_allowed_is_not_contacted(renderer: Renderer) -> None:
    with unvisited() as url:
        elsewhere = url.replace("127.0.0.1", "localhost")
        assert renderer.post(chat(video(elsewhere), sampler="topk")).status_code == 400


@pytest.mark.parametrize(
    ("place", "keys", "message"),
    [
        ("even.mp4", {"sampler": "topkk"}, "unknown sampler 'topkk'"),
        ("even.mp4", {"sampler": "topk", "num_frames": 0}, "from 1 to 256, got 0"),
        ("even.mp4", {"sampler": "topk", "num_frames": 9999}, "from 1 to 256, got 9999"),
        ("even.mp4", {"sampler": "topk", "num_frames": "x"}, "from 1 to 256, got 'x'"),
        ("even.mp4", {"num_frames": 3}, "without a sampler"),
        ("even.mp4", {"sampler": "topk", "encoder": "clip"}, "chosen by the server"),
        ("even.mp4", {"sampler": "topk", "text": ""}, "no text to choose the frames by"),
        ("even.mp4", {"sampler": "topk", "question": []}, "empty list"),
        ("none.mp4", {"sampler": "topk"}, "no such file exists"),
        ("text.mp4", {"sampler": "topk"}, "cannot read"),
        ("../outside.mp4", {"sampler": "topk"}, "must be a subpath"),
        ("data:video/jpeg;base64,AAAA,BBBB", {"sampler": "topk"}, "a list of pictures"),
        ("data:video/mp4;base64,AAA", {"sampler": "topk"}, "padding"),
        ("keyscore:sampler=topk", {}, "has the form"),
        ("keyscore:sampler=topk&fps=2;file:///v.mp4", {}, "unknown key 'fps'"),
    ],
)
def test_what_cannot_be_met_is_refused_in_one_line(
    renderer: Renderer, clips: Clips, place: str, keys: dict[str, Any], message: str
) -> None:
    (clips.folder / "text.mp4").write_text("no video")
    (clips.folder.parent / "outside.mp4").write_bytes(clips.even.read_bytes())
    address = place if ":" in place else f"file://{clips.folder}/{place}"
    answer = renderer.post(chat(video(address), **keys))
    assert answer.status_code == 400, answer.text
    error = answer.json()["error"]["message"]
    assert message in error
    assert "\n" not in error


@pytest.mark.parametrize("body", [b'{"sampler": "topk", "messages": ', b'{"sampler": "topk"}'])
def test_what_is_no_chat_gets_vllms_own_answer(renderer: Renderer, body: bytes) -> None:
    answer = renderer.post(body)
    assert answer.status_code == 400
    assert "keyscore" not in answer.json()["error"]["message"]


def test_a_video_that_its_server_does_not_give_gets_vllms_own_answer(
    renderer: Renderer, clips: Clips
) -> None:
    with serving(clips.folder) as address:
        stock = renderer.post(chat(video(f"{address}/none.mp4")))
        answer = renderer.post(chat(video(f"{address}/none.mp4"), sampler="topk"))
    assert "404" in stock.text
    assert answer.json() == stock.json()


@pytest.mark.parametrize("renderer", ["Qwen3VL"], indirect=True)
def test_a_server_that_refuses_the_connection_gets_vllms_own_answer(renderer: Renderer) -> None:
    with unreachable() as url, ThreadPoolExecutor() as threads:  # vLLM tries for five seconds
        asked = [chat(video(url)), chat(video(url), sampler="topk")]
        stock, answer = threads.map(renderer.post, asked)
    assert (answer.status_code, answer.text) == (stock.status_code, stock.text)


def test_a_sampler_without_a_video_is_refused(renderer: Renderer) -> None:
    answer = renderer.post(chat(sampler="topk"))
    assert answer.status_code == 400
    assert "no message has a video" in answer.json()["error"]["message"]


@pytest.mark.fuzz
@pytest.mark.parametrize("renderer", ["Qwen3VL"], indirect=True)
def test_a_mutated_request_is_answered_or_refused_in_one_line(
    renderer: Renderer, clips: Clips
) -> None:
    """``KEYSCORE_FUZZ_REQUESTS`` says how many there are, ``KEYSCORE_FUZZ_SEED`` which is first."""
    for seed in range(FIRST_SEED, FIRST_SEED + N_REQUESTS):
        answer = renderer.post(mutated(clips.even, random.Random(seed)))
        message = answer.json().get("error", {}).get("message", "")
        if message.startswith("keyscore:"):  # otherwise it is vLLM that answers
            assert answer.status_code == 400, (seed, message)
            assert "\n" not in message, (seed, message)
    assert httpx.get(f"{renderer.address}/health", timeout=120).is_success
    log = renderer.folder.with_name("log.txt").read_text(errors="replace")
    files = [file for file in LAST_FRAME.findall(log) if "site-packages" not in file]
    assert not [file for file in files if "keyscore" in file]


@pytest.mark.parametrize("renderer", ["Qwen2_5_VL"], indirect=True)
def test_without_the_plugin_requests_for_frames_are_refused_and_others_are_the_same(
    renderer: Renderer, clips: Clips, tmp_path: Path
) -> None:
    stock = chat(video(clips.even))
    expected = renderer.render(stock)
    expected["videos"][0].pop("keyscore_patch_seconds")
    options = ("--allowed-local-media-path", str(clips.folder), *READ_BACK)
    with vllm_server(RENDER, renderer.folder, *options, log=tmp_path / "log.txt") as server:
        without = replace(renderer, address=server.address)
        assert without.render(stock) == expected
        asked = video(f"keyscore:sampler=uniform;file://{clips.even}")
        assert without.post(chat(asked)).status_code == 400
        keys_alone = chat(video(clips.even), sampler="uniform", num_frames=2)
        assert without.render(keys_alone) == expected  # vLLM ignores what it does not know
