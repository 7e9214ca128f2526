"""A real SGLang server on a CPU, read back: `make test-sglang`, which the gate leaves out."""

import re
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import pytest
import torch

from keyscore_plugin import get_sampler
from tests.support.colour_encoder import ColourEncoder
from tests.support.http_servers import stalled
from tests.support.requires import environment_or_skip
from tests.support.sglang.server import SglangServer, sglang_server, start
from tests.support.tiny.videos import frame_numbers, numbered_video
from tests.support.vllm.models import save

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

MODELS = ("Qwen3VL", "Qwen2_5_VL")
BOUNDS = {"KEYSCORE_JOBS": "1", "KEYSCORE_MAX_WAITING": "1", "REQUEST_TIMEOUT": "600"}


@pytest.fixture(scope="module", autouse=True)
def environment() -> Path:
    return environment_or_skip("sglang")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return numbered_video(tmp_path_factory.mktemp("clip") / "clip.mp4")


@pytest.fixture(scope="module", params=MODELS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SglangServer]:
    folder = tmp_path_factory.mktemp("server")
    with sglang_server(save(request.param, folder / "model"), folder, **BOUNDS) as made:
        yield made


def chat(*parts: dict[str, Any], text: str = "red", **keys: Any) -> dict[str, Any]:
    content = [*parts, {"type": "text", "text": text}]
    return {"messages": [{"role": "user", "content": content}], **keys}


def video(address: str | Path, **keys: Any) -> dict[str, Any]:
    url = f"file://{address}" if isinstance(address, Path) else address
    return {"type": "video_url", "video_url": {"url": url}, **keys}


def frames_of(shown: dict[str, Any]) -> list[int]:
    return frame_numbers(torch.tensor(shown["colours"]))


def expected(clip: Path, sampler: str, k: int, text: str = "red") -> list[int]:
    made = get_sampler(sampler, encoder=ColourEncoder())
    return made(clip, num_frames=k, question=text).indices


def twice(indices: list[int]) -> list[int]:
    return [index for index in indices for _ in range(2)]


def check_times(shown: dict[str, Any], indices: list[int]) -> None:
    """The model is shown each keyframe at its own time: 10 frames are a second."""
    if times := re.findall(r"<([0-9.]+) seconds>", shown["prompt"]):
        assert times == [f"{index / 10:.1f}" for index in indices]
    else:
        first = shown["positions"][0]
        after = [int((index - indices[0]) / 10 * 2 + 1e-6) for index in indices]
        assert shown["positions"] == [first + steps for steps in after]


@pytest.mark.parametrize(("sampler", "k"), [("uniform", 4), ("topk", 3)])
def test_the_model_is_shown_the_chosen_frames_at_their_times(
    server: SglangServer, clip: Path, sampler: str, k: int
) -> None:
    shown = server.shown(chat(video(clip), sampler=sampler, num_frames=k))
    indices = expected(clip, sampler, k)
    assert frames_of(shown) == twice(indices)
    check_times(shown, indices)


def test_another_question_shows_other_frames(server: SglangServer, clip: Path) -> None:
    def ask(text: str) -> list[int]:
        return frames_of(server.shown(chat(video(clip), text=text, sampler="topk", num_frames=3)))

    assert ask("green") == twice(expected(clip, "topk", 3, "green"))
    assert ask("green") != ask("red")


def test_each_video_of_a_request_gets_its_own_frames(server: SglangServer, clip: Path) -> None:
    stock = server.shown(chat(video(clip)))
    two = video(clip, sampler="uniform", num_frames=2)
    three = video(clip, sampler="uniform", num_frames=3)
    shown = server.shown(chat(two, three))
    pairs = [twice(expected(clip, "uniform", k)) for k in (2, 3)]
    assert frames_of(shown) == [*pairs[0], *pairs[1]]
    assert frames_of(server.shown(chat(two, video(clip)))) == [*pairs[0], *frames_of(stock)]


@pytest.mark.parametrize(
    ("keys", "name", "what"),
    [
        ({"sampler": "keyscores"}, "clip.mp4", "unknown sampler"),
        ({"sampler": "uniform", "num_frames": 9999}, "clip.mp4", "from 1 to 256"),
        ({"num_frames": 4}, "clip.mp4", "without a sampler"),
        ({"sampler": "uniform"}, "missing.mp4", "keyscore: "),
        ({"sampler": "topk", "text": ""}, "clip.mp4", "no text to choose the frames by"),
    ],
)
def test_a_request_that_cannot_be_met_is_400(
    server: SglangServer, clip: Path, keys: dict[str, Any], name: str, what: str
) -> None:
    answer = server.ask(chat(video(clip.with_name(name)), **keys))
    assert answer.status_code == 400
    assert what in answer.text


def test_a_video_past_the_bound_of_waiting_ones_is_429(server: SglangServer, clip: Path) -> None:
    """One is fetched, one waits, and the third is not taken; the server then goes on."""
    with stalled() as elsewhere, ThreadPoolExecutor() as pool:
        first = pool.submit(server.ask, chat(video(elsewhere.url), sampler="uniform"))
        assert elsewhere.asked.wait(120)
        asked = chat(video(clip), sampler="uniform")
        done, waiting = wait(
            [pool.submit(server.ask, asked) for _ in range(2)], return_when=FIRST_COMPLETED
        )
        (refused,), (waited,) = done, waiting
        assert refused.result().status_code == 429
        assert "too many videos wait" in refused.result().text
        elsewhere.release.set()
        assert first.result().status_code == 400
        assert waited.result().status_code == 200


@pytest.mark.parametrize("server", ["Qwen2_5_VL"], indirect=True)  # a server takes minutes
def test_a_stock_request_is_what_it_is_without_the_plugin(
    server: SglangServer, clip: Path, tmp_path: Path
) -> None:
    stock = chat(video(clip))
    with_plugin = server.shown(stock)
    model = save("Qwen2_5_VL", tmp_path / "model")
    with sglang_server(model, tmp_path, SGLANG_PLUGINS="none") as plain:
        assert plain.shown(stock) == with_plugin
        keys_alone = {**stock, "sampler": "uniform", "num_frames": 2}
        assert plain.shown(keys_alone) == with_plugin  # SGLang ignores what it does not know
        answer = plain.ask(chat(video(f"keyscore:sampler=uniform;file://{clip}")))
        assert answer.status_code == 400


def test_a_version_without_a_function_to_wrap_ends_the_start(tmp_path: Path) -> None:
    model = save("Qwen2_5_VL", tmp_path / "model")
    process, _ = start(model, tmp_path, KEYSCORE_TEST_LACKS="preprocess_video")
    assert process.wait(600) == 1
    assert "keyscore: this version of SGLang has no" in (tmp_path / "log").read_text()
