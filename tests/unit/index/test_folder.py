"""The files of an index: whole or not at all, and nothing but what was written."""

import errno
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from keyscore_plugin import open_video, propose, sample_video
from keyscore_plugin.errors import CacheError, InputError
from keyscore_plugin.index.folder import IndexFile, IndexFolder
from keyscore_plugin.index.frame_table import scan_from_tensors, scan_to_tensors
from keyscore_plugin.index.look import Look
from keyscore_plugin.index.sealed import pack, unpack
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.types import Frames, TimedText
from keyscore_plugin.video.decoders.base import ScannedSource
from keyscore_plugin.video.decoders.frame_index import FrameIndex, PacketMarks
from keyscore_plugin.video.decoders.scan import Scan

N_GRID = 40
CONTENT, KEY = "c" * 8, "k" * 8
SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))
N_FUZZED = int(os.environ.get("KEYSCORE_FUZZ_FILES", "100"))
N_KILLS = int(os.environ.get("KEYSCORE_FUZZ_KILLS", "2"))


def scan_of(name: str) -> Scan:
    with open_video(sample_video(name)) as source:
        assert isinstance(source, ScannedSource)
        return source.scanned


def some_look(rows: list[int], seed: int = 0) -> Look:
    """A look of random frames of which some are embedded; vectors are functions of their row."""
    generator = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (N_GRID, 8, 8, 3), generator=generator, dtype=torch.uint8)
    frames = Frames(pixels, torch.arange(N_GRID) * 3, torch.arange(N_GRID).double() / 7)
    look = Look(frames.indices, frames.pts_seconds, torch.rand(N_GRID, 12, generator=generator))
    if rows:
        where = torch.tensor(rows)
        look = look.with_vectors(where, where[:, None] + torch.arange(6.0))
    lines = Lines((TimedText(0.5, 2.0, "Größe 9", "written"),), ("a note",))
    return look.with_proposal("{}", propose(frames)).with_lines("a reader", lines)


def file_of(look: Look) -> IndexFile:
    return IndexFile(look, scan_of("bikes"), {"is_default_stream": True, "video": "a.mp4"})


def folder_at(path: Path, *, max_bytes: int = 10**9) -> IndexFolder:
    return IndexFolder(path, max_bytes=max_bytes)


def same(one: Look, other: Look) -> bool:
    tensors, settings = one.to_tensors()
    others, other_settings = other.to_tensors()
    return (
        settings == other_settings
        and tensors.keys() == others.keys()
        and all(torch.equal(tensor, others[name]) for name, tensor in tensors.items())
    )


def test_what_is_put_is_got(tmp_path: Path) -> None:
    for rows in ([], [3, 4, 39]):
        look = some_look(rows)
        assert same(Look.from_tensors(*look.to_tensors()), look)
        folder_at(tmp_path).put(CONTENT, KEY, file_of(look))
        found = folder_at(tmp_path).get(CONTENT, KEY)
        assert found is not None
        assert same(found.look, look)
        assert found.look.lines == look.lines
    assert folder_at(tmp_path).get(CONTENT, "other") is None


@pytest.mark.parametrize("name", ["bikes", "carphone"])
def test_the_table_of_frames_is_that_of_the_scan(name: str) -> None:
    scan = scan_of(name)
    tensors, facts = unpack(pack(*scan_to_tensors(scan)))
    again = scan_from_tensors(tensors, facts)
    for field in ("pts", "position", "seek_pts", "keyframe"):
        kept, scanned = getattr(again.index, field), getattr(scan.index, field)
        assert kept.dtype == scanned.dtype
        assert np.array_equal(kept, scanned)
    assert np.array_equal(again.index.packets.times, scan.index.packets.times)
    assert np.array_equal(again.index.packets.sizes, scan.index.packets.sizes)
    for name in Scan.__dataclass_fields__.keys() - {"index"}:
        assert getattr(again, name) == getattr(scan, name)


def test_times_that_are_missing_stay_missing() -> None:
    """FFmpeg's mark of no time is the least int64, from which a step to a time overflows."""
    times = np.array([5, -(2**63), 2**62, -(2**63), 7], dtype=np.int64)
    index = FrameIndex(
        pts=np.arange(5),
        end=5,
        keyframe=np.ones(5, dtype=np.bool_),
        position=np.arange(5),
        seek_pts=times,
        time_base=Fraction(1, 25),
        seekable=True,
        packets=PacketMarks(times, np.arange(5), are_pts=False),
        keys_as_marked=True,
    )
    tensors, facts = scan_to_tensors(replace(scan_of("bikes"), index=index))
    again = scan_from_tensors(tensors, facts).index
    assert again.packets.times.tolist() == again.seek_pts.tolist() == times.tolist()


@pytest.mark.fuzz
def test_no_byte_of_a_file_can_change_unnoticed(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    folder.put(CONTENT, KEY, file_of(some_look([1, 2, 5])))
    path = folder.file(CONTENT, KEY)
    whole = path.read_bytes()
    for seed in range(SEED, SEED + N_FUZZED):
        path.write_bytes(harmed(whole, random.Random(seed)))
        with pytest.raises(InputError):
            folder.get(CONTENT, KEY)
        folder.entries()  # a header that is listed is whole
    assert folder.prune(lambda facts: True)[0].path == path
    folder.put(CONTENT, KEY, file_of(some_look([1])))
    assert folder.get(CONTENT, KEY) is not None


def harmed(whole: bytes, chance: random.Random) -> bytes:
    """The bytes with some of them cut off, changed, doubled or put in; never the same."""
    place, length = chance.randrange(len(whole)), chance.randrange(1, 64)
    noise = chance.randbytes(length)
    made = chance.choice(
        [
            whole[:place],
            whole[place + 1 :],
            whole[:place] + bytes([whole[place] ^ (1 << chance.randrange(8))]) + whole[place + 1 :],
            whole[:place] + noise + whole[place:],
            whole[:place] + noise + whole[place + length :],
            chance.randbytes(8) + whole[8:],  # the length of the header
        ]
    )
    return made if made != whole else b""


def test_a_file_under_another_name_is_refused(tmp_path: Path) -> None:
    """An index of another encoder, version or video does not become ours by its name."""
    folder = folder_at(tmp_path)
    folder.put(CONTENT, KEY, file_of(some_look([1])))
    folder.file(CONTENT, KEY).rename(folder.file(CONTENT, "other"))
    with pytest.raises(
        InputError, match=r"was written under the name kkkkkkkk\.safetensors; delete"
    ):
        folder.get(CONTENT, "other")


def test_two_writers_lose_nothing(tmp_path: Path) -> None:
    parts = [list(range(start, N_GRID, 8)) for start in range(8)]

    def write(rows: list[int]) -> None:
        folder_at(tmp_path).put(CONTENT, KEY, file_of(some_look(rows)))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, parts))
    found = folder_at(tmp_path).get(CONTENT, KEY)
    assert found is not None
    assert same(found.look, some_look(list(range(N_GRID))))


@pytest.mark.slow
@pytest.mark.fuzz
def test_a_writer_that_is_killed_leaves_a_whole_file_or_none(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests.unit.index.test_folder import *\n"
        "folder = folder_at(Path(sys.argv[1])); print(flush=True)\n"
        "while True:\n"
        "    for n in range(1, N_GRID): folder.put(CONTENT, KEY, file_of(some_look([*range(n)])))"
    )
    chance = random.Random(SEED)
    for _ in range(N_KILLS):
        command = [sys.executable, "-c", code, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(chance.uniform(0, 0.3))
            writer.send_signal(signal.SIGKILL)
        found = folder_at(tmp_path).get(CONTENT, KEY)
        assert found is None or same(found.look, some_look(found.look.rows.tolist()))
        folder_at(tmp_path).put(CONTENT, KEY, file_of(some_look([0])))  # the lock was freed


def test_what_a_dead_writer_left_is_deleted_after_an_hour(tmp_path: Path) -> None:
    folder = folder_at(tmp_path)
    folder.put(CONTENT, KEY, file_of(some_look([1])))
    old, new = (tmp_path / CONTENT / name for name in (".1.part", ".2.part"))
    for part in (old, new):
        part.write_bytes(b"half")
    os.utime(old, (0, 0))
    folder.put(CONTENT, KEY, file_of(some_look([2])))
    assert (old.exists(), new.exists()) == (False, True)


def test_beyond_the_limit_the_least_recently_used_file_goes(tmp_path: Path) -> None:
    file = file_of(some_look([1]))
    folder_at(tmp_path).put(CONTENT, "size", file)
    n_bytes = folder_at(tmp_path).file(CONTENT, "size").stat().st_size
    folder_at(tmp_path).prune(lambda facts: False)
    folder = folder_at(tmp_path, max_bytes=round(2.5 * n_bytes))
    folder.put(CONTENT, "first", file)
    folder.put(CONTENT, "second", file)
    folder.get(CONTENT, "first")
    folder.put(CONTENT, "third", file)
    assert {entry.path.stem for entry in folder.entries()} == {"first", "third"}


def test_to_list_and_to_prune_is_no_use_of_a_file(tmp_path: Path) -> None:
    folder, file = folder_at(tmp_path), file_of(some_look([1]))
    for key in ("first", "second"):
        folder.put(CONTENT, key, file)
    folder.get(CONTENT, "first")
    n_bytes = folder.entries()[0].n_bytes
    assert [entry.path.stem for entry in folder.entries()] == ["first", "second"]
    deleted = folder_at(tmp_path, max_bytes=round(1.5 * n_bytes)).prune(lambda facts: True)
    assert [entry.path.stem for entry in deleted] == ["second"]


def test_a_disk_that_is_full_keeps_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_at(tmp_path)
    folder.put(CONTENT, KEY, file_of(some_look([1])))

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("keyscore_plugin.index.folder.write_whole", full)
    with pytest.raises(OSError, match="No space left"):
        folder.put(CONTENT, KEY, file_of(some_look([2])))
    found = folder.get(CONTENT, KEY)
    assert found is not None
    assert found.look.rows.tolist() == [1]


def test_a_folder_that_is_a_file_is_one_clear_error(tmp_path: Path) -> None:
    file = tmp_path / "index"
    file.write_bytes(b"")
    with pytest.raises(CacheError, match=f"the index {file} is a file; give a folder"):
        folder_at(file)
