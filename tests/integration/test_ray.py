"""Ray: rows with their frames, and a batch whose records are those of one machine.

The tests that start a cluster need the package ray, and one needs Daft: `make test-ray`.
"""

import io
import json
import math
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from keyscore_plugin.cli.main import main
from keyscore_plugin.errors import MOST_CHARACTERS, InputError, KeyScoreError, VideoError
from keyscore_plugin.hosts import AHEAD_PER_WORKER, Budget, DownloadLimits, Item, read_manifest
from keyscore_ray import SelectFrames
from keyscore_ray.actors import Actors
from keyscore_ray.answering import sampler_maker
from keyscore_ray.engine import answers_of_ray, number_of_actors
from keyscore_ray.fetch import local_copy
from keyscore_ray.select_frames import item_of
from tests.support.faulty_sampler import faulty, without_model, without_package
from tests.support.http_servers import refusing, serving
from tests.support.requires import aside_or_skip, require_or_skip
from tests.support.tiny.videos import frame_numbers, numbered_video

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EVEN = [15, 45, 75, 105]  # of `numbered_video`


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos with 120 numbered frames, one of them in a zip file, and a file that is no video."""
    folder = tmp_path_factory.mktemp("videos")
    first = numbered_video(folder / "0.mp4")
    for name in "12345":
        (folder / f"{name}.mp4").write_bytes(first.read_bytes())
    (folder / "broken.mp4").write_bytes(b"no video")
    with zipfile.ZipFile(folder / "videos.zip", "w") as archive:
        archive.write(first, "inside.mp4")
    return folder


def test_rows_get_their_frames_or_an_error_each(folder: Path) -> None:
    video = str(folder / "0.mp4")
    inside = f"zip://inside.mp4::{folder}/videos.zip"
    select = SelectFrames("uniform", num_frames=4, frames=True)
    with refusing() as store:
        forbidden = f"{store}/bucket/0.mp4"
        videos = [video, str(folder / "broken.mp4"), None, inside, forbidden]
        rows = select({"video": videos, "key": [1, 2, 3, 4, 5]})
    assert rows["key"] == [1, 2, 3, 4, 5]
    assert [indices.tolist() for indices in rows["indices"]] == [EVEN, [], [], EVEN, []]
    assert rows["seconds"][3] == pytest.approx([1.5, 4.5, 7.5, 10.5])
    assert [error == "" for error in rows["error"]] == [True, False, False, True, False]
    assert str(folder / "broken.mp4") in rows["error"][1]
    why = "403, message='Forbidden'; check the address and its rights"
    assert rows["error"][4] == f"cannot read {forbidden}: {why}"
    assert rows["error"][2].startswith("a row has no video: its column 'video' holds None")
    for frames in (rows["frames"][0], rows["frames"][3]):
        images = [Image.open(io.BytesIO(jpeg)).convert("RGB") for jpeg in frames]
        colours = [np.asarray(image).mean(axis=(0, 1)) for image in images]
        assert frame_numbers(torch.from_numpy(np.stack(colours))) == EVEN
    record = json.loads(rows["selection"][3])
    assert (record["video"], record["indices"]) == (inside, EVEN)


def test_a_signed_address_of_any_length_is_fetched_and_an_error_shortens_it(folder: Path) -> None:
    query = f"?signature={500 * 'x'}"
    select = SelectFrames("uniform", num_frames=4)
    with serving(folder) as store:
        rows = select({"video": [f"{store}/{name}.mp4{query}" for name in ("0", "broken")]})
    assert rows["error"][0] == ""
    assert rows["indices"][0].tolist() == EVEN
    assert rows["error"][1].startswith(f"cannot read {store}/broken.mp4?sign")
    assert len(rows["error"][1]) <= MOST_CHARACTERS


def test_the_signed_address_that_a_store_redirects_to_is_in_no_error() -> None:
    with (
        refusing() as store,
        pytest.raises(VideoError, match="403, message='Forbidden'; check") as error,
        local_copy(f"{store}/moved", DownloadLimits()),
    ):
        pass
    assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"), [("question", 5), ("caption", True), ("start", "x"), ("end", [1, 2])]
)
def test_a_value_that_cannot_be_used_costs_its_own_row(name: str, value: Any) -> None:
    rows = SelectFrames("uniform", num_frames=4)({"video": ["a.mp4"], name: [value]})
    assert rows["error"][0].startswith(f"'{name}' of a row must be a ")


def test_a_column_of_numbers_says_by_nan_where_a_row_has_none() -> None:
    row = {"video": "a.mp4", "start": np.float64("nan"), "end": 2, "question": math.nan}
    item = item_of(row, needs_text=False)
    assert (item.start_seconds, item.end_seconds, item.question) == (None, 2.0, None)


def test_a_column_may_name_subtitles() -> None:
    for value, wanted in (("a.srt", "a.srt"), (np.bool_(False), False), (None, None), ("", None)):
        row = {"video": "a.mp4", "subtitles": value}
        assert item_of(row, needs_text=False).subtitles == wanted


def test_map_of_datasets_takes_it_too(folder: Path) -> None:
    datasets: Any = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_dict(
        {"video": [str(folder / "0.mp4"), str(folder / "broken.mp4")]}
    )
    select = SelectFrames("uniform", num_frames=4)
    chosen = rows.map(select, batched=True, batch_size=1, num_proc=2)
    assert chosen["indices"][:] == [EVEN, []]
    assert chosen["video"][:] == rows["video"][:]


def test_a_udf_of_daft_takes_it_too(folder: Path) -> None:
    paths = [*filter(None, sys.path), str(aside_or_skip("daft"))]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.daft.choose", "0.mp4", "broken.mp4"],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    first, second = json.loads(done.stdout.splitlines()[-1])
    assert (first["indices"], first["error"]) == (EVEN, "")
    assert first["seconds"] == pytest.approx([1.5, 4.5, 7.5, 10.5])
    assert second["indices"] == []
    assert "cannot read broken.mp4" in second["error"]


def test_an_address_is_fetched_within_limits(folder: Path) -> None:
    inside = f"zip://inside.mp4::{folder}/videos.zip"
    with local_copy(inside, DownloadLimits()) as path:
        assert path.read_bytes() == (folder / "0.mp4").read_bytes()
    assert not path.exists()
    for address, limits, message in (
        (inside, DownloadLimits(max_bytes=100), "it is larger than 100 bytes"),
        (f"zip://no.mp4::{folder}/videos.zip", DownloadLimits(), "check the address"),
    ):
        with pytest.raises(VideoError, match=message), local_copy(address, limits):
            pass
    with pytest.raises(InputError, match="fsspec knows"), local_copy("no://a", DownloadLimits()):
        pass


def test_no_more_actors_are_started_than_the_cluster_holds() -> None:
    cluster = {"CPU": 64.0, "GPU": 4.0}
    for wanted, num_gpus, expected in ((None, 0, 64), (None, 0.3, 12), (None, 2, 2), (8, 0.5, 8)):
        assert number_of_actors(cluster, wanted, num_gpus=num_gpus) == expected
    for resources, wanted, num_gpus in ((cluster, 65, 0), (cluster, 9, 0.5), ({"CPU": 2}, None, 1)):
        with pytest.raises(InputError, match="do not fit into the cluster"):
            number_of_actors(resources, wanted, num_gpus=num_gpus)


class SlowFirstLine:
    """Stands in for Ray, and for its actors: the first line ends when nothing else is at work."""

    exceptions = None

    def __init__(self) -> None:
        self.lines: list[Callable[[], Any]] = []
        self.start = SimpleNamespace(remote=lambda: lambda: (None, None))
        self.answer = SimpleNamespace(remote=self._answer)

    def remote(self, **_: Any) -> Callable[[Any], Any]:
        return lambda _: SimpleNamespace(remote=lambda _: self)

    def _answer(self, item: Item) -> Callable[[], Any]:
        self.lines.append(lambda: ({"id": item.id}, None))
        return self.lines[-1]

    def wait(self, calls: list[Any], *, num_returns: int) -> tuple[list[Any], list[Any]]:
        ordered = sorted(calls, key=lambda call: call in self.lines[:1])
        return ordered[:num_returns], ordered[num_returns:]

    def get(self, call: Callable[[], Any]) -> Any:
        return call()


def test_actors_are_a_bounded_number_of_lines_ahead_of_the_output() -> None:
    ray = SlowFirstLine()
    items = [Item(number, "a.mp4", Path("a.mp4")) for number in range(100)]
    found = Actors(ray, lambda: pytest.fail("no actor"), num_gpus=0).answer(items, n_actors=2)
    assert next(found)[1] == {"id": 0}
    assert len(ray.lines) == 2 * AHEAD_PER_WORKER
    assert [record["id"] for _, record in found] == list(range(1, 100))


def test_a_cluster_that_is_not_there_is_named_within_seconds() -> None:
    require_or_skip("ray")
    budget = Budget(num_frames=4, threshold=None)
    options: dict[str, Any] = {"n_workers": 1, "num_gpus": 0, "limit_seconds": 60}
    with pytest.raises(InputError, match=r"no Ray cluster at 127\.0\.0\.1:1: .*refused"):
        list(answers_of_ray([], sampler_maker("uniform"), budget, address="127.0.0.1:1", **options))


@pytest.fixture(scope="module")
def ray() -> Iterator[Any]:
    """A cluster of two cores on this machine."""
    require_or_skip("ray")
    import ray

    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    ray.init(num_cpus=2, object_store_memory=100 << 20, include_dashboard=False)
    yield ray
    ray.shutdown()


def records(path: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{name: value for name, value in line.items() if name != "seconds"} for line in lines]


def test_the_records_of_ray_are_those_of_one_machine(
    ray: Any, folder: Path, tmp_path: Path
) -> None:
    asked = ["batch", str(folder), "--sampler", "stacfp", "--num-frames", "4", "--out"]
    assert main([*asked, str(tmp_path / "here.jsonl")]) == 4  # one file is no video
    assert main([*asked, str(tmp_path / "ray.jsonl"), "--engine", "ray", "--workers", "2"]) == 4
    assert records(tmp_path / "ray.jsonl") == records(tmp_path / "here.jsonl")


def answered(items: list[Item], make: Callable[[], Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    """The id of each line and its record, from one actor."""
    budget = Budget(num_frames=4, threshold=None)
    options: dict[str, Any] = {"n_workers": 1, "num_gpus": 0, "limit_seconds": 60, "address": None}
    for item, record in answers_of_ray(items, make, budget, **options):
        yield item.id, record


def test_killed_actors_cost_no_row(ray: Any, folder: Path) -> None:
    items = read_manifest(folder)
    found = []
    for item_id, record in answered(items, sampler_maker("uniform")):
        found.append((item_id, record.get("indices")))
        if len(found) in (2, 4):
            kill_an_actor()
    assert found == [(item.id, None if "broken" in item.video else EVEN) for item in items]


def kill_an_actor() -> None:
    """Kill the process of an actor, as the system does that runs out of memory."""
    names = {
        folder.name: (folder / "cmdline").read_bytes()
        for folder in Path("/proc").iterdir()
        if folder.name.isdecimal() and (folder / "cmdline").exists()
    }
    (pid,) = [int(pid) for pid, name in names.items() if name.startswith(b"ray::_Actor")]
    os.kill(pid, signal.SIGKILL)
    time.sleep(0.5)


def test_a_line_that_kills_every_actor_costs_itself_alone(ray: Any, tmp_path: Path) -> None:
    names = ["good-1.mp4", "parent.mp4", "segfault.mp4", "good-2.mp4"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    found = dict(answered(read_manifest(tmp_path / "list.txt"), faulty))
    assert [found[line].get("indices") for line in (1, 4)] == [[1, 2], [1, 2]]
    assert found[2]["error"].startswith("cannot read parent.mp4: 3 actors of Ray died while")
    assert "was killed by SIGSEGV" in found[3]["error"]


@pytest.mark.parametrize(
    ("make", "line"),
    [(without_model, "^no model here$"), (without_package, "^open_clip is not installed; ")],
)
def test_what_no_actor_can_answer_ends_the_job_in_one_line(
    ray: Any, tmp_path: Path, make: Callable[[], Any], line: str
) -> None:
    (tmp_path / "list.txt").write_text("a.mp4\nb.mp4")
    with pytest.raises(KeyScoreError, match=line):
        list(answered(read_manifest(tmp_path / "list.txt"), make))


@pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data.context")
def test_a_data_set_gets_the_frames(ray: Any, folder: Path) -> None:
    rows = [{"video": str(folder / f"{name}.mp4"), "key": name} for name in "012345"]
    chosen = (
        ray.data.from_items(rows)
        .map_batches(
            SelectFrames,
            fn_constructor_args=("uniform",),
            fn_constructor_kwargs={"num_frames": 4, "frames": True},
            concurrency=1,
            batch_size=2,
        )
        .take_all()
    )
    assert sorted(row["key"] for row in chosen) == list("012345")
    assert all(list(row["indices"]) == EVEN and len(row["frames"]) == 4 for row in chosen)
