"""Worker processes of a batch: same lines for any number, one line for a crash, no orphan.

``KEYSCORE_FUZZ_KILLS`` says how often a batch is killed, ``KEYSCORE_FUZZ_SEED`` at which moments;
``make fuzz`` runs the full form.
"""

import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.batch.manifest import Item
from keyscore_plugin.batch.run import (
    BatchSummary,
    Budget,
    Record,
    RunSettings,
    answers_here,
    run_batch,
)
from keyscore_plugin.batch.worker import Job
from keyscore_plugin.batch.workers import answers_of_workers
from keyscore_plugin.cli import main as cli
from keyscore_plugin.errors import InputError, KeyScoreError, ModelError
from keyscore_plugin.samplers.base import Sampler
from tests.support.clips import CLIPS, Clip
from tests.support.faulty_sampler import (
    FaultySampler,
    faulty,
    stillborn,
    thread_counter,
    without_model,
)

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
# Children fork from a server that has imported what they need: some milliseconds each.
CHILDREN = get_context("forkserver")
CHILDREN.set_forkserver_preload([__name__])
FAULTY = [sys.executable, "-m", "tests.support.faulty_cli"]
BUDGET = Budget(num_frames=2, threshold=None)
AMPLE_SECONDS = 60.0
N_KILLS = int(os.environ.get("KEYSCORE_FUZZ_KILLS", "1"))  # each costs the start of a batch
SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))


def items_named(names: Sequence[str], *, folder: Path = Path("/videos")) -> list[Item]:
    return [
        Item(place, name, folder / name, caption="ein Fahrrad\u2028自転車")
        for place, name in enumerate(names)
    ]


def as_json(records: Iterable[tuple[Item, Record]]) -> list[str]:
    return [json.dumps([item.id, record]) for item, record in records]


def answered(
    items: Sequence[Item],
    *,
    n_workers: int,
    limit_seconds: float = AMPLE_SECONDS,
    make_sampler: Callable[[], Sampler] = faulty,
) -> list[tuple[Item, Record]]:
    job = Job(make_sampler, BUDGET)
    return list(answers_of_workers(items, job, n_workers=n_workers, limit_seconds=limit_seconds))


def test_workers_give_the_lines_of_this_process_in_order() -> None:
    chance = random.Random(0)
    waits = [f"wait-{chance.uniform(0, 0.1)}.mp4" for _ in range(20)]
    not_utf8 = os.fsdecode(b"caf\xe9.mp4")
    items = items_named([*waits, "bad.mp4", not_utf8, "gpu-full.mp4", *waits])
    here = answers_here(FaultySampler(), BUDGET)(items)
    assert as_json(answered(items, n_workers=2)) == as_json(here)


def test_a_crash_or_a_hang_costs_one_line_that_names_video_and_cause() -> None:
    names = ["a", "segfault", "hang", "b", "memory", "exit"]
    records = [r for _, r in answered(items_named(names), n_workers=1, limit_seconds=4)]
    assert [r["video"] for r in records] == names
    assert {r["video"]: r["error"] for r in records if "error" in r} == {
        "segfault": "cannot read /videos/segfault: the worker that read it was killed by SIGSEGV; "
        "check the file, or try another --decoder",
        "hang": "cannot read /videos/hang: it took longer than 4 s; "
        "check the file, or raise --timeout-seconds",
        "memory": "cannot read /videos/memory: the worker that read it was killed by SIGKILL; "
        "the system may have run out of memory: use fewer --workers",
        "exit": "cannot read /videos/exit: the worker that read it ended with exit code 3; "
        "check the file, or try another --decoder",
    }


def test_what_no_worker_can_answer_ends_the_run_after_the_lines_before_it() -> None:
    items = items_named(["wait-0.5.mp4", "a", "model", "b"])
    job = Job(faulty, BUDGET)
    records = answers_of_workers(items, job, n_workers=2, limit_seconds=AMPLE_SECONDS)
    assert [next(records)[0].video for _ in range(2)] == ["wait-0.5.mp4", "a"]
    with pytest.raises(KeyScoreError, match=r"^no model$"):
        next(records)


@pytest.mark.parametrize(
    ("make_sampler", "error", "words"),
    [
        (without_model, KeyScoreError, r"^no model here$"),
        (
            stillborn,
            ModelError,
            r"3 workers in a row died while loading .*, the last one was killed by SIGKILL",
        ),
    ],
)
def test_workers_that_do_not_start_end_the_run(
    make_sampler: Callable[[], Sampler], error: type[KeyScoreError], words: str
) -> None:
    with pytest.raises(error, match=words):
        answered(items_named(["a", "b", "c"]), n_workers=1, make_sampler=make_sampler)


def test_a_system_that_opens_no_more_files_is_one_clear_error() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, before[1]))
    try:
        with pytest.raises(InputError, match="cannot start worker 1: Too many open files; use few"):
            answered(items_named(["a", "b"]), n_workers=2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_workers_run_no_further_ahead_than_the_bound(tmp_path: Path) -> None:
    n_ahead = 2 * 16 - 1
    names = [f"until-{n_ahead}", *[f"sign-{n}" for n in range(100)]]
    items = items_named(names, folder=tmp_path)
    job = Job(faulty, BUDGET)
    records = answers_of_workers(items, job, n_workers=2, limit_seconds=AMPLE_SECONDS)
    next(records)
    assert len(list(tmp_path.iterdir())) == n_ahead
    assert len(list(records)) == 100


def write_manifest(folder: Path, names: Sequence[str]) -> list[str]:
    """The words of a command that answers the names, two workers at a time."""
    lines = [json.dumps({"video": name}) + "\n" for name in names]
    (folder / "manifest.jsonl").write_text("".join(lines))
    paths = [str(folder / "manifest.jsonl"), "--out", str(folder / "out.jsonl")]
    return [*FAULTY, "batch", *paths, "--sampler", "faulty", "--workers", "2"]


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]  # text knows more ends


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait, for less than pytest's own limit: busy machines start processes slowly."""
    end = time.monotonic() + 200
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def has_lines(path: Path, n: int) -> bool:
    return path.exists() and path.read_bytes().count(b"\n") >= n


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has buried yet does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it may end while it is read about
        return False
    return state != "Z"


@pytest.mark.parametrize(("end", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="reads processes from /proc")
def test_workers_end_with_their_parent_also_where_one_holds_the_gil(
    end: signal.Signals, code: int, tmp_path: Path
) -> None:
    argv = write_manifest(tmp_path, ["a", "hang-1", "hang-2", "b"])
    signs = [tmp_path / "hang-1", tmp_path / "hang-2"]
    with subprocess.Popen(
        argv, cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as batch:
        wait_until(lambda: all(s.exists() and s.read_text() for s in signs))
        pids = [int(sign.read_text()) for sign in signs]
        assert all(is_alive(pid) for pid in pids)
        if end == signal.SIGINT:
            os.killpg(batch.pid, end)  # as a terminal does
        else:
            batch.kill()
        wait_until(lambda: not any(is_alive(pid) for pid in pids))
        _, err = batch.communicate()
    assert (batch.returncode, err) == (code, "")
    assert [line["video"] for line in read_lines(tmp_path / "out.jsonl")] == ["a"]


def answer_all(out: Path, names: Sequence[str], n_workers: int) -> BatchSummary:
    """What the command does, in a process that has its imports already."""
    settings = RunSettings(
        budget=BUDGET,
        sampler=FaultySampler.name,
        config=faulty().config.to_dict(),
        encoder=None,
        decoder="pyav",
        captioner=None,
    )
    workers = partial(
        answers_of_workers,
        job=Job(faulty, BUDGET),
        n_workers=n_workers,
        limit_seconds=AMPLE_SECONDS,
    )
    with Journal(out) as journal:
        return run_batch(
            items_named(names), journal, workers, settings=settings, on_answer=lambda *done: None
        )


@pytest.mark.timeout(300 + 60 * N_KILLS)
def test_killed_at_any_moment_with_workers_each_line_comes_once_in_order(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    n = 16 + 2 * N_KILLS
    names = [f"wait-{chance.uniform(0, 0.3)}.mp4" for _ in range(n)]
    names[4], names[10] = "bad", "segfault"
    out = tmp_path / "out.jsonl"
    # A kill that finds its lines already written, by the batch before, comes while workers start.
    for n_lines in sorted(chance.randrange(1, n - 1) for _ in range(N_KILLS)):
        batch = CHILDREN.Process(target=answer_all, args=(out, names, 2))
        batch.start()
        wait_until(partial(has_lines, out, n_lines))
        time.sleep(chance.uniform(0, 0.3))
        batch.kill()
        batch.join()
        assert batch.exitcode in (0, -signal.SIGKILL)
    n_before = out.read_bytes().count(b"\n")
    summary = answer_all(out, names, 1)
    assert summary == BatchSummary(n_lines=n, n_before=n_before, n_errors=2)
    assert [line["video"] for line in read_lines(out)] == names


def test_the_output_is_the_same_to_the_byte_but_for_seconds(
    tmp_path: Path, clip_path: Callable[[Clip], Path]
) -> None:
    video = str(clip_path(CLIPS[0]))
    lines = [{"video": v, "caption": "a dog"} for v in (video, "gone.mp4", video, video)]
    manifest, out = tmp_path / "manifest.jsonl", tmp_path / "out.jsonl"
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    argv = ["batch", str(manifest), "--out", str(out), "--sampler", "stacfp"]
    made = set()
    for words in (["--timeout-seconds", "60"], ["--workers", "2"]):
        assert cli.main([*argv, *words]) == 4  # one line names no file
        made.add(re.sub(r'"seconds": \{.*?\}', "", out.read_text()))
        out.unlink()
    assert len(made) == 1
    assert made.pop().count("\n") == 4


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="counts threads in /proc")
def test_a_worker_decodes_on_its_one_core(clip_path: Callable[[Clip], Path]) -> None:
    """FFmpeg would start a thread for each core of the machine, in each worker."""
    clip = clip_path(CLIPS[0])
    items = items_named([clip.name], folder=clip.parent)
    [(_, record)] = answered(items, n_workers=1, make_sampler=thread_counter)
    assert record["error"] == f"cannot read {clip.name}: 0 threads; stop counting"


@pytest.mark.parametrize("words", [["--workers", "0"], ["--timeout-seconds", "nan"]])
def test_a_count_or_a_time_that_is_none_is_bad_usage(words: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["batch", "m.jsonl", "--out", str(tmp_path / "o.jsonl"), *words])
