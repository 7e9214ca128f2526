"""The parts of the plugin of vLLM that need no vLLM."""

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from keyscore_plugin import InputError, ModelError
from keyscore_plugin.hosts import Fold
from keyscore_plugin.registries import ENCODERS
from keyscore_serving import FrameRequest, ServerSettings
from keyscore_serving.jobs import BusyError, Jobs, LateError
from keyscore_serving.middleware import Message, Receive, Send
from keyscore_vllm.middleware import Middleware
from keyscore_vllm.service import FrameService
from tests.support.tiny.videos import numbered_video

REQUEST = FrameRequest(sampler="topk", num_frames=3, caption="red")
FOLD = Fold(frames_per_patch=2)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FrameService:
    monkeypatch.setitem(ENCODERS, "colour", "tests.support.colour_cli:make")
    return FrameService(ServerSettings(encoder="colour"))


def test_the_same_video_and_request_are_chosen_once(service: FrameService, tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "clip.mp4", n=40)
    item = service.frames(video, REQUEST, FOLD)
    assert service.frames(video, REQUEST, FOLD) is item
    assert service.frames(video, REQUEST, Fold()) is not item
    other = FrameRequest(sampler="topk", num_frames=3, caption="blue")
    assert service.frames(video, other, FOLD) is not item
    data = video.read_bytes()
    by_content = service.frames(data, REQUEST, FOLD)
    assert by_content[1] == item[1]
    assert service.frames(data, REQUEST, FOLD) is by_content
    numbered_video(video, n=50)
    assert service.frames(video, REQUEST, FOLD) is not item


def test_frames_are_what_vllm_takes_for_a_video(service: FrameService, tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "clip.mp4", n=40)
    pixels, metadata = asyncio.run(service.frames_in_thread(video, REQUEST, FOLD))
    assert pixels.shape == (6, 112, 112, 3)
    assert pixels.flags.c_contiguous
    assert len(metadata["frames_indices"]) == 6
    assert metadata["do_sample_frames"] is False


async def nothing(scope: Message, receive: Receive, send: Send) -> None:
    """An application."""


def test_the_middleware_without_the_connector_ends_the_start() -> None:
    with pytest.raises(InputError, match="set VLLM_MEDIA_CONNECTOR=keyscore"):
        Middleware(nothing)


def test_an_unknown_encoder_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VLLM_MEDIA_CONNECTOR", "keyscore")
    monkeypatch.setenv("KEYSCORE_ENCODER", "kolour")
    with pytest.raises(ModelError, match="kolour"):
        Middleware(nothing)


@pytest.mark.parametrize("name", ["KEYSCORE_JOBS", "KEYSCORE_MAX_WAITING"])
@pytest.mark.parametrize("value", ["0", "-1", "two", ""])
def test_a_number_of_jobs_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InputError, match=name):
        Jobs.from_environment()


def test_work_past_the_bounds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """One call runs and one waits; both outlast their second, and a third is not taken."""
    for name in ("JOBS", "MAX_WAITING", "SELECT_SECONDS"):
        monkeypatch.setenv(f"KEYSCORE_{name}", "1")
    jobs = Jobs.from_environment()

    async def run() -> list[object]:
        release = threading.Event()
        first = asyncio.ensure_future(jobs.run(release.wait))
        while not jobs.running:
            await asyncio.sleep(0)
        second = asyncio.ensure_future(jobs.run(release.wait))
        while not jobs.waiting:
            await asyncio.sleep(0)
        third = jobs.run(release.wait)
        results = await asyncio.gather(first, second, third, return_exceptions=True)
        release.set()
        return [type(result) for result in results]

    assert asyncio.run(run()) == [LateError, LateError, BusyError]


def test_registering_imports_nothing_unless_the_operator_asks_for_it() -> None:
    """vLLM calls it in every process; here it would fail to import vllm."""
    code = "import sys, keyscore_vllm; keyscore_vllm.register(); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
