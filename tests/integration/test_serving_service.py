"""The service that the plugins of vLLM and SGLang share: its memory, its threads, its refusals."""

import asyncio
import threading
from http import HTTPStatus
from pathlib import Path

import pytest
import torch

from keyscore_plugin import InputError, ModelError, VideoError
from keyscore_plugin.hosts import Fold
from keyscore_plugin.registries import CAPTIONERS, ENCODERS
from keyscore_plugin.types import Caption, Frames
from keyscore_serving import FrameRequest, ServerSettings
from keyscore_serving.jobs import BusyError, Jobs, LateError
from keyscore_serving.middleware import BodyTooLargeError
from keyscore_serving.refusals import refusals
from keyscore_serving.service import FrameService
from tests.support.tiny.videos import numbered_video

REQUEST = FrameRequest(sampler="topk", num_frames=3, caption="red")
FOLD = Fold(frames_per_patch=2)


class CountedCaptioner:
    name = "counted"
    n_loaded = 0

    def __init__(self, device: torch.device) -> None:
        type(self).n_loaded += 1

    def caption(self, frames: Frames) -> Caption:
        return Caption("red", origin="generated", model=self.name)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> FrameService:
    monkeypatch.setitem(ENCODERS, "colour", "tests.support.colour_cli:make")
    return FrameService(ServerSettings(encoder="colour"))


def test_the_same_video_and_request_are_chosen_once(service: FrameService, tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "clip.mp4", n=40)
    chosen = service.frames(video, REQUEST, FOLD)
    assert len(chosen.indices) == 6  # each frame fills a patch of two
    assert service.frames(video, REQUEST, FOLD) is chosen
    assert service.frames(str(video), REQUEST, FOLD) is chosen
    assert service.frames(video, REQUEST, Fold()) is not chosen
    other = service.frames(video, FrameRequest(sampler="topk", num_frames=3, caption="blue"), FOLD)
    assert not torch.equal(other.indices, chosen.indices)
    data = video.read_bytes()
    by_content = service.frames(data, REQUEST, FOLD)
    assert torch.equal(by_content.indices, chosen.indices)
    assert service.frames(data, REQUEST, FOLD) is by_content
    numbered_video(video, n=50)
    assert service.frames(video, REQUEST, FOLD) is not chosen


def test_videos_that_nothing_identifies_are_not_taken_for_one(
    service: FrameService, tmp_path: Path
) -> None:
    urls = [numbered_video(tmp_path / f"{n}.mp4", n=n).as_uri() for n in (20, 40)]
    n_frames = [service.frames(url, REQUEST, FOLD).selection.n_frames for url in urls]
    assert n_frames == [20, 40]


def test_several_texts_of_a_client_are_joined(service: FrameService, tmp_path: Path) -> None:
    video = numbered_video(tmp_path / "clip.mp4", n=40)
    texts = ("red", "blue")
    both = FrameRequest(sampler="topk", num_frames=4, caption=texts)
    red, blue = (
        set(
            service.frames(
                video, FrameRequest(sampler="topk", num_frames=1, caption=text), FOLD
            ).selection.indices
        )
        for text in texts
    )
    assert red | blue <= set(service.frames(video, both, FOLD).selection.indices)


def test_a_captioner_is_loaded_at_the_start_and_once_for_all_samplers(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(ENCODERS, "colour", "tests.support.colour_cli:make")
    monkeypatch.setitem(CAPTIONERS, "counted", f"{__name__}:CountedCaptioner")
    service = FrameService(ServerSettings(encoder="colour", captioner="counted"))
    assert CountedCaptioner.n_loaded == 1
    video = numbered_video(tmp_path / "clip.mp4", n=40)
    for request in (
        FrameRequest(sampler="topk", num_frames=3, caption="red"),
        FrameRequest(sampler="topk", num_frames=3, question="red"),
        FrameRequest(sampler="keyscore", num_frames=3, question="red"),
    ):
        service.frames(video, request, FOLD)
    assert CountedCaptioner.n_loaded == 1


def test_a_captioner_that_cannot_be_loaded_is_an_error_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        FrameService(ServerSettings(encoder="conse", captioner=str(tmp_path)))


def test_work_in_a_thread_has_one_thread_of_torch(service: FrameService) -> None:
    assert asyncio.run(service.in_thread(torch.get_num_threads)) == 1


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InputError("x"), 400),
        (VideoError("v.mp4", "x", "y"), 400),
        (ModelError("x"), 503),
        (BodyTooLargeError("x"), 413),
        (BusyError(), 429),
        (LateError(), 504),
    ],
)
def test_an_error_has_its_status_in_every_host(error: Exception, status: int) -> None:
    seen: list[tuple[str, HTTPStatus]] = []

    def made(text: str, status: HTTPStatus) -> Exception:
        seen.append((text, status))
        return ValueError(text)

    with pytest.raises(ValueError, match=r"^keyscore: "), refusals(made):
        raise error
    assert seen == [(f"keyscore: {error}", status)]


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


def test_a_thread_that_cannot_be_started_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def run() -> int:
        jobs = Jobs(n_running=1)
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            with pytest.raises(RuntimeError, match="new thread"):
                await jobs.run(int)
        assert jobs.running == 0
        return await jobs.run(lambda: 3)

    assert asyncio.run(run()) == 3
