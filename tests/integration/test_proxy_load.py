"""``keyscore proxy`` under load: its bounds, clients that hang up, and ends of all kinds."""

import asyncio
import http.client
import json
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from multiprocessing import active_children
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from keyscore_openai.parts import PartSettings
from keyscore_openai.proxy.fetches import Fetches
from keyscore_openai.proxy.settings import ProxySettings
from keyscore_openai.proxy.workers import ChosenParts, WorkerJob, Workers
from keyscore_plugin.errors import ModelError, VideoError
from keyscore_plugin.hosts import DownloadedVideo, DownloadLimits
from keyscore_serving import FrameRequest, VideoSources
from keyscore_serving.jobs import LateError
from tests.support.gated_encoder import GATE, make_gated, make_once
from tests.support.http_servers import serving, stalled, unvisited
from tests.support.proxies import (
    CHAT,
    Json,
    data_url,
    eventually,
    fetching,
    health,
    held,
    messages,
    proxy_here,
    refused,
    video,
)
from tests.support.servers import (
    Process,
    have_ended,
    proxy_process,
    starting_proxy,
    upstream_process,
    workers_of,
)
from tests.support.tiny.videos import numbered_video

MIB = 1 << 20
TEXT_CHAT: Json = {"messages": [{"role": "user", "content": "hello"}]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one video."""
    folder = tmp_path_factory.mktemp("videos")
    numbered_video(folder / "clip.mp4", n=40)
    return folder


@pytest.fixture(scope="module")
def upstream() -> Iterator[Process]:
    with upstream_process() as process:
        yield process


@pytest.fixture
def gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A gate for worker processes, closed as long as the file is missing."""
    monkeypatch.setenv(GATE, str(tmp_path / "gate"))
    return tmp_path / "gate"


def is_at(address: str, state: tuple[int, int]) -> bool:
    return health(address) == state


def gone(upstream: Process) -> int:
    """How many clients of the server hung up."""
    count: int = httpx.get(f"{upstream.address}/v1/models").json()["hung_up"]
    return count


def asking(address: str, question: str = "red") -> Json:
    """A chat about the video at an address."""
    return {"messages": messages(video(address), question=question), "sampler": "topk"}


@contextmanager
def unfinished(
    address: str, *, length: int | None, sent: int, path: str = CHAT
) -> Iterator[http.client.HTTPConnection]:
    """A request of which some bytes were sent; without a length it comes in chunks."""
    with closing(http.client.HTTPConnection(urlsplit(address).netloc, timeout=60)) as client:
        client.putrequest("POST", path)
        if length is None:
            client.putheader("transfer-encoding", "chunked")
        else:
            client.putheader("content-length", str(length))
        client.endheaders()
        if sent:
            client.send(
                bytes(sent) if length is not None else b"%x\r\n%s\r\n" % (sent, bytes(sent))
            )
        yield client


def answer_of(client: http.client.HTTPConnection) -> httpx.Response:
    answer = client.getresponse()
    return httpx.Response(answer.status, headers=answer.getheaders(), content=answer.read())


@pytest.fixture(scope="module")
def full(
    upstream: Process, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """A proxy whose worker is at work and whose queue is full, and the address of a video.

    What was asked about the video in red is cached. At the end, what waited is answered.
    """
    gate = tmp_path_factory.mktemp("gate") / "gate"
    gate.touch()
    sources = VideoSources(folders=[folder], limits=DownloadLimits())
    with (
        pytest.MonkeyPatch.context() as patch,
        serving(folder) as videos,
        ThreadPoolExecutor() as threads,
    ):
        patch.setenv(GATE, str(gate))
        bounds: Json = {"n_waiting": 1, "select_seconds": 900.0, "sources": sources}
        with proxy_here(upstream.address, **bounds) as address:
            for url in (f"{videos}/clip.mp4", f"{folder}/clip.mp4"):
                httpx.post(f"{address}{CHAT}", json=asking(url), timeout=60).raise_for_status()
            gate.unlink()
            post = partial(httpx.post, f"{address}{CHAT}", timeout=None)
            waiting = []
            try:
                for question, state in (("green", (1, 0)), ("blue", (1, 1))):
                    body = asking(f"{folder}/clip.mp4", question)
                    waiting.append(threads.submit(post, json=body))
                    eventually(partial(is_at, address, state))
                yield address, f"{videos}/clip.mp4"
            finally:
                gate.touch()
            assert [future.result().status_code for future in waiting] == [200, 200]
            assert health(address) == (0, 0)


def test_more_than_can_wait_is_refused(full: tuple[str, str], folder: Path) -> None:
    busy = httpx.post(f"{full[0]}{CHAT}", json=asking(f"{folder}/clip.mp4", "white"))
    refused(busy, 429, "wait")
    assert busy.headers["retry-after"]


@pytest.mark.parametrize(("length", "sent"), [(400 * MIB, 0), (None, MIB + 1)])
def test_where_the_queue_is_full_a_large_body_is_refused_unread(
    full: tuple[str, str], length: int | None, sent: int
) -> None:
    with unfinished(full[0], length=length, sent=sent) as client:
        refused(answer_of(client), 429, "wait")


def test_what_needs_no_worker_is_answered_where_the_queue_is_full(
    full: tuple[str, str], folder: Path
) -> None:
    address, url = full
    for body in (TEXT_CHAT, asking(url), asking(f"{folder}/clip.mp4")):
        assert httpx.post(f"{address}{CHAT}", json=body, timeout=60).status_code == 200
    assert health(address) == (1, 1)


def test_where_the_queue_is_full_a_new_video_is_not_downloaded(full: tuple[str, str]) -> None:
    with unvisited() as url:
        refused(httpx.post(f"{full[0]}{CHAT}", json=asking(url)), 429, "wait")


def test_servers_of_videos_that_stall_keep_no_other_video_waiting(
    upstream: Process, folder: Path, gate: Path
) -> None:
    """Eight videos are fetched at once; a client that hangs up no longer waits for its turn."""
    gate.touch()
    sources = VideoSources(folders=[folder], limits=DownloadLimits())
    with (
        proxy_here(upstream.address, sources=sources) as address,
        ThreadPoolExecutor(max_workers=8) as threads,
        stalled() as elsewhere,
    ):
        post = partial(httpx.post, f"{address}{CHAT}", timeout=None)
        urls = [f"{elsewhere.url}?{number}" for number in range(9)]
        waiting = [threads.submit(post, json=asking(url)) for url in urls[:8]]
        eventually(lambda: fetching(address) == (8, 0))
        client = http.client.HTTPConnection(urlsplit(address).netloc)
        client.request("POST", CHAT, json.dumps(asking(urls[8])))
        eventually(lambda: fetching(address) == (8, 1))
        for url in (f"{folder}/clip.mp4", data_url(folder / "clip.mp4")):
            for _ in ("chosen", "found"):
                assert post(json=asking(url)).status_code == 200
        client.close()
        eventually(lambda: fetching(address) == (8, 0))
        elsewhere.release.set()
        for future in waiting:
            refused(future.result(), 400, "404")
        eventually(lambda: fetching(address) == (0, 0))


def test_a_video_that_does_not_arrive_is_given_up(upstream: Process) -> None:
    bounds: Json = {"select_seconds": 0.2, "sources": VideoSources(limits=DownloadLimits())}
    with proxy_here(upstream.address, n_workers=0, **bounds) as address, stalled() as elsewhere:
        late = httpx.post(f"{address}{CHAT}", json=asking(elsewhere.url), timeout=60)
        refused(late, 504, "in time")
        assert health(address) == (0, 0)
        assert fetching(address) == (1, 0)  # its thread cannot be stopped
        elsewhere.release.set()
        eventually(lambda: fetching(address) == (0, 0))


def test_requests_at_once_share_the_fetch_of_their_video(folder: Path) -> None:
    async def fetched(url: str) -> list[DownloadedVideo]:
        sources = VideoSources(limits=DownloadLimits())
        fetches = Fetches(ProxySettings(upstream="http://127.0.0.1:1", sources=sources))
        return await asyncio.gather(*[fetches.video(url) for _ in range(3)])

    statuses: list[int] = []
    with serving(folder, statuses) as address:
        videos = asyncio.run(fetched(f"{address}/clip.mp4"))
    assert statuses == [200]
    assert len({id(video) for video in videos}) == 1


def test_large_bodies_share_one_room(upstream: Process) -> None:
    bounds: Json = {"max_body_bytes": 3 * MIB}  # and twice that for all of them
    large = json.dumps({**TEXT_CHAT, "x": "a" * 2 * MIB}).encode()
    with proxy_here(upstream.address, n_workers=0, **bounds) as address:
        with unfinished(address, length=3 * MIB + 1, sent=0) as client:
            refused(answer_of(client), 413, "larger than")
        with (
            unfinished(address, length=3 * MIB, sent=3 * MIB - 1),
            unfinished(address, length=None, sent=3 * MIB),
        ):
            eventually(lambda: held(address) == 6 * MIB - 1)
            refused(httpx.post(f"{address}{CHAT}", content=large), 429, "large requests")
            assert httpx.post(f"{address}{CHAT}", json=TEXT_CHAT).status_code == 200
        eventually(lambda: held(address) == 0)
        assert httpx.post(f"{address}{CHAT}", content=large).status_code == 200
        assert held(address) == 0


def test_a_large_body_takes_its_room_as_long_as_it_is_held(
    upstream: Process, folder: Path, tmp_path: Path, gate: Path
) -> None:
    """A video as data gives it back when its frames are chosen, before the server answers."""
    clip, padding = tmp_path / "large.mp4", bytes(2 * MIB)
    box = (8 + len(padding)).to_bytes(4, "big") + b"free" + padding
    clip.write_bytes((folder / "clip.mp4").read_bytes() + box)
    with_video = {**asking(data_url(clip)), "model": "slow"}
    without = {**TEXT_CHAT, "model": "slow", "x": "a" * 2 * MIB}
    gate.touch()
    models = f"{upstream.address}/v1/models"
    with proxy_here(upstream.address) as address:
        for body, is_held in ((with_video, False), (without, True)):
            before, content = gone(upstream), json.dumps(body)
            client = http.client.HTTPConnection(urlsplit(address).netloc)
            client.request("POST", CHAT, content)
            eventually(lambda: httpx.get(models).json()["n_open"] == 1)
            assert held(address) == is_held * len(content)
            client.close()
            eventually(partial(lambda n: gone(upstream) == n + 1, before))


@pytest.mark.parametrize("path", [CHAT, "/v1/files"])
def test_a_body_that_does_not_arrive_is_given_up(upstream: Process, path: str) -> None:
    with (
        proxy_here(upstream.address, n_workers=0, answer_seconds=0.2) as address,
        unfinished(address, length=2 * MIB, sent=MIB + 1, path=path) as client,
    ):
        refused(answer_of(client), 408, "arrive")
        assert held(address) == 0


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", CHAT, {"messages": [], "model": "slow"}),
        ("POST", "/v1/completions", {"prompt": "hello"}),
        ("GET", "/v1/completions", None),
    ],
)
def test_the_server_learns_that_a_client_hung_up_before_the_answer(
    upstream: Process, method: str, path: str, body: Json | None
) -> None:
    before = gone(upstream)
    with proxy_here(upstream.address, n_workers=0) as address:
        client = http.client.HTTPConnection(urlsplit(address).netloc)
        client.request(method, path, None if body is None else json.dumps(body))
        models = f"{upstream.address}/v1/models"
        eventually(lambda: httpx.get(models).json()["n_open"] == 1)
        client.close()
        eventually(lambda: gone(upstream) == before + 1)


def test_a_stream_ends_where_the_client_hangs_up(upstream: Process) -> None:
    before = gone(upstream)
    body = {"messages": [], "model": "endless", "stream": True}
    with proxy_here(upstream.address, n_workers=0) as address:
        with httpx.stream("POST", f"{address}{CHAT}", json=body, timeout=60) as answer:
            assert next(answer.iter_raw()).startswith(b"data: ")
        eventually(lambda: gone(upstream) == before + 1)


def test_a_client_that_hangs_up_no_longer_waits(
    upstream: Process, folder: Path, gate: Path
) -> None:
    sources = VideoSources(folders=[folder])
    with proxy_here(upstream.address, sources=sources) as address:
        clients = [http.client.HTTPConnection(urlsplit(address).netloc) for _ in range(3)]
        for client in clients:
            client.request("POST", CHAT, json.dumps(asking(f"{folder}/clip.mp4")))
        eventually(lambda: health(address) == (1, 2))
        for client in clients:
            client.close()
        eventually(lambda: health(address) == (1, 0))
        gate.touch()
        eventually(lambda: health(address) == (0, 0))


def test_a_selection_that_hangs_is_given_up_and_frees_its_place(
    upstream: Process, folder: Path, gate: Path
) -> None:
    bounds: Json = {"select_seconds": 0.5, "sources": VideoSources(folders=[folder])}
    with proxy_here(upstream.address, **bounds) as address:
        late = httpx.post(f"{address}{CHAT}", json=asking(f"{folder}/clip.mp4"), timeout=60)
        refused(late, 504, "in time")
        eventually(lambda: health(address) == (0, 0))


@pytest.mark.slow
def test_a_video_that_hangs_or_kills_its_worker_costs_no_other(folder: Path, gate: Path) -> None:
    def choose(question: str, seconds: float = 120.0) -> ChosenParts:
        request = FrameRequest(sampler="topk", question=question)
        return workers.choose(f"{folder}/clip.mp4", request, name="v", max_seconds=seconds)

    before = set(active_children())
    with closing(Workers(WorkerJob(make_gated, PartSettings()), n_workers=1)) as workers:
        with pytest.raises(LateError):
            choose("red", seconds=0.1)
        gate.touch()
        assert choose("red").content
        with pytest.raises(VideoError, match="was killed by SIGKILL"):
            choose("die")
        (worker,) = set(active_children()) - before
        worker.kill()  # as the system does that runs out of memory, between two videos
        worker.join()
        assert choose("red").content


@pytest.mark.slow
def test_a_video_without_a_worker_tries_once_to_start_one(folder: Path, tmp_path: Path) -> None:
    before, starts = set(active_children()), tmp_path / "starts"
    job = WorkerJob(partial(make_once, starts), PartSettings())
    request = FrameRequest(sampler="topk", question="red")
    with closing(Workers(job, n_workers=1)) as workers:
        (worker,) = set(active_children()) - before
        worker.kill()
        worker.join()
        with pytest.raises(ModelError, match="is gone"):
            workers.choose(f"{folder}/clip.mp4", request, name="v", max_seconds=60)
    assert starts.read_bytes() == b"11"


@pytest.mark.slow
def test_no_worker_is_started_after_they_were_closed(folder: Path, gate: Path) -> None:
    """The process of the proxy would wait for it for ever."""
    before = active_children()
    request = FrameRequest(sampler="topk", question="red")
    workers = Workers(WorkerJob(make_gated, PartSettings()), n_workers=1)
    with ThreadPoolExecutor() as threads:
        choose = partial(workers.choose, f"{folder}/clip.mp4", request, name="v", max_seconds=60)
        chosen = threads.submit(choose)
        eventually(gate.with_suffix(".reached").exists)
        workers.close()
        with pytest.raises(VideoError, match="was killed by SIGKILL"):
            chosen.result()
    assert active_children() == before


@pytest.mark.slow
def test_an_upstream_that_is_killed_breaks_its_streams_and_nothing_else() -> None:
    body = {"messages": [], "model": "endless", "stream": True}
    with (
        upstream_process() as upstream,
        proxy_here(upstream.address, n_workers=0) as address,
        httpx.stream("POST", f"{address}{CHAT}", json=body, timeout=60) as answer,
    ):
        chunks = answer.iter_raw()
        assert next(chunks)
        upstream.process.kill()
        with pytest.raises(httpx.RemoteProtocolError):
            list(chunks)
        refused(httpx.post(f"{address}{CHAT}", json=body, timeout=60), 502, "upstream")
        assert health(address) == (0, 0)


@pytest.mark.slow
def test_nothing_is_left_of_a_proxy_that_is_killed(
    upstream: Process, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    body = {**asking(data_url(folder / "clip.mp4")), "model": "endless", "stream": True}
    before = gone(upstream)
    with proxy_process(upstream.address) as proxy:
        workers = workers_of(proxy.process)
        with httpx.stream("POST", f"{proxy.address}{CHAT}", json=body, timeout=60) as answer:
            chunks = answer.iter_raw()
            assert next(chunks)
            proxy.process.kill()
            with pytest.raises(httpx.TransportError):
                list(chunks)
    assert workers
    eventually(lambda: have_ended(workers))
    eventually(lambda: gone(upstream) == before + 1)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_nothing_is_left_of_a_proxy_that_is_stopped_while_it_starts(
    end: signal.Signals, code: int
) -> None:
    """Also if it gets the signal twice."""
    with starting_proxy("http://127.0.0.1:1") as process:
        eventually(lambda: len(workers_of(process)) == 1)
        left = workers_of(process)
        for _ in range(2):
            process.send_signal(end)
        assert process.wait(60) == code
    eventually(lambda: have_ended(left))


@pytest.mark.slow
def test_an_answer_without_an_end_does_not_keep_the_proxy_from_ending(upstream: Process) -> None:
    body = {"messages": [], "model": "endless", "stream": True}
    with (
        proxy_process(upstream.address, "--answer-seconds", "1") as proxy,
        httpx.stream("POST", f"{proxy.address}{CHAT}", json=body, timeout=60) as answer,
    ):
        assert next(answer.iter_raw())
        assert proxy.stop() == 143


@pytest.mark.slow
def test_a_running_answer_comes_to_its_end_when_the_proxy_is_stopped(
    upstream: Process, folder: Path
) -> None:
    """A service manager may send the signal twice: to the process, and to all of its group."""
    body = {**asking(f"{folder}/clip.mp4", "blue"), "model": "long", "stream": True}
    key = {"authorization": "Bearer secret-key"}
    with proxy_process(upstream.address, "--allow-folder", str(folder)) as proxy:
        url = f"{proxy.address}{CHAT}"
        with httpx.stream("POST", url, json=body, headers=key, timeout=60) as answer:
            chunks = answer.iter_raw()
            text = next(chunks)
            for worker in (proxy.process.pid, *map(int, workers_of(proxy.process))):
                os.kill(worker, signal.SIGTERM)
            proxy.process.send_signal(signal.SIGTERM)
            text += b"".join(chunks)
        assert text.endswith(b"data: [DONE]\n\n")
        assert proxy.process.wait(60) == 143
    lines = [json.loads(line) for line in proxy.lines]
    assert [line["event"] for line in lines] == ["request", "stopped"]
    assert (lines[0]["status"], lines[0]["videos"]) == (200, 1)
    logged = "".join(proxy.lines)
    assert "secret-key" not in logged
    assert "blue" not in logged
