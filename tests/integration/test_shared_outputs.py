"""Processes that share a cache or an output and are killed: nothing lost, torn or twice.

``KEYSCORE_FUZZ_KILLS`` says how often, ``KEYSCORE_FUZZ_SEED`` at which moments; ``make fuzz`` runs
the full form.
"""

import json
import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import pytest

from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.cache import SelectionCache
from keyscore_plugin.types import Selection
from tests.support.selections import SELECTION

# Children fork from a server that has imported what they need: some milliseconds each.
CHILDREN = get_context("forkserver")
CHILDREN.set_forkserver_preload([__name__])
KEYS = [f"{n:02x}" + 62 * "0" for n in range(3)]
N_KILLS = int(os.environ.get("KEYSCORE_FUZZ_KILLS", "12"))
SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))
N_LINES = 400


def selection(size: int) -> Selection:
    """One whose writing takes a while."""
    return replace(SELECTION, notes=("x" * size,))


def fill_cache(folder: Path, ready: Path, seed: int) -> None:
    """Write and read the same few entries until the end comes; say so when one was torn."""
    cache, chance = SelectionCache(folder), random.Random(seed)
    while True:
        key = chance.choice(KEYS)
        cache.put(key, selection(chance.randrange(300_000)))
        if cache.get(key) is None:
            ready.with_suffix(".torn").touch()
        ready.touch()


def write_lines(out: Path, ready: Path, seed: int) -> None:
    """Add the lines that are missing, a few each time one gets hold of the output."""
    chance = random.Random(seed)
    n_done = 0
    while n_done < N_LINES:
        with suppress(InputError), Journal(out) as journal:
            ready.touch()
            missing = [n for n in range(N_LINES) if n not in journal.done]
            for number in missing[: chance.randrange(1, 4)]:
                journal.append(number, {"video": "x" * chance.randrange(50_000)})
            n_done = N_LINES - len(missing)


Work = Callable[[Path, Path, int], None]


@contextmanager
def at_work(work: Work, target: Path, ready: Path, seed: int) -> Iterator[None]:
    """A process that has begun and is killed at the end of the block."""
    child = CHILDREN.Process(target=work, args=(target, ready, seed))
    child.start()
    try:
        end = time.monotonic() + 60
        while child.is_alive() and not ready.exists():
            assert time.monotonic() < end
            time.sleep(0.001)
        yield
    finally:
        child.kill()
        child.join()
    assert child.exitcode in (0, -signal.SIGKILL)


@pytest.mark.timeout(300 + 10 * N_KILLS)
def test_a_cache_of_processes_killed_while_they_write_holds_whole_entries(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    folder = tmp_path / "cache"
    for turn in range(N_KILLS):
        first, second = (tmp_path / f"{turn}-{n}" for n in range(2))
        with at_work(fill_cache, folder, first, turn), at_work(fill_cache, folder, second, -turn):
            time.sleep(chance.uniform(0, 0.03))
        cache = SelectionCache(folder)
        written = {path.stem for path in folder.rglob("*.json")}
        assert written
        assert {key for key in KEYS if cache.get(key) is not None} == written
    assert list(tmp_path.glob("*.torn")) == []


@pytest.mark.timeout(300 + 10 * N_KILLS)
def test_an_output_of_processes_killed_while_they_write_holds_each_line_once(
    tmp_path: Path,
) -> None:
    chance = random.Random(SEED)
    out = tmp_path / "out.jsonl"
    for turn in range(N_KILLS):
        first, second = (tmp_path / f"{turn}-{n}" for n in range(2))
        with at_work(write_lines, out, first, turn), at_work(write_lines, out, second, -turn):
            time.sleep(chance.uniform(0, 0.02))
    assert out.read_bytes().count(b"\n") > 0
    write_lines(out, tmp_path / "last", 0)
    numbers = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert numbers == list(range(N_LINES))
