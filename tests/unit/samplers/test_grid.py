"""What a look keeps is what came, wherever it is kept, and it leaves nothing behind."""

import resource
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keyscore_plugin.algorithm.stacfp import hsv_histograms
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers import grid
from keyscore_plugin.samplers.grid import HistogramBuffer, ThumbnailStore
from keyscore_plugin.types import Frames

LARGE = (256, 256, 3)  # 86 of them are more than stays in memory
N_LARGE = 100


def frames(n: int, shape: tuple[int, ...], seed: int = 0) -> Frames:
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.randint(256, (n, *shape), dtype=torch.uint8, generator=rng)
    return Frames(pixels, torch.arange(n) * 3, torch.arange(n) / 8 + 5)


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@contextmanager
def at_most_a_megabyte_a_file() -> Iterator[None]:
    """A file size limit stands in for a full disk: the write stops in the middle."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@settings(max_examples=25)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data(), st.booleans())
def test_rows_come_back_as_they_came_from_memory_and_from_the_disk(
    lengths: list[int], data: st.DataObject, on_disk: bool
) -> None:
    everything = frames(sum(lengths), (4, 5, 3))
    # On the disk for what might still come: the file grows with what does.
    seen = ThumbnailStore(2**20 if on_disk else len(everything))
    start = 0
    for length in lengths:
        seen.append(everything[start : start + length])
        start += length
        rows = torch.tensor(data.draw(st.lists(st.integers(0, start - 1), max_size=5))).long()
        again = seen[rows]
        assert again.pixels.equal(everything.pixels[rows])
        assert again.indices.equal(everything.indices[rows])
        assert again.pts_seconds.equal(everything.pts_seconds[rows])
    assert len(seen) == len(everything)
    assert seen.indices.equal(everything.indices)


def test_colours_are_those_of_all_frames_at_once() -> None:
    everything = frames(20, (6, 7, 3))
    colours = HistogramBuffer(30, (8, 4, 4))
    kept = [len(batch) for batch in colours.keeping([everything[:7], everything[7:]])]
    assert kept == [7, 13]
    assert colours.histograms.equal(hsv_histograms(everything.pixels, bins=(8, 4, 4)))
    assert colours.pts_seconds.equal(everything.pts_seconds)


def test_large_thumbnails_lie_in_a_file_without_a_name_that_goes_with_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = open_files()
    seen = ThumbnailStore(N_LARGE)
    seen.append(frames(N_LARGE, LARGE))
    assert open_files() == before + 1
    assert list(tmp_path.iterdir()) == []
    del seen
    assert open_files() == before


def test_a_small_grid_needs_no_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    seen = ThumbnailStore(8)
    seen.append(frames(8, LARGE))
    assert len(seen[torch.tensor([7])]) == 1
    with pytest.raises(InputError, match=r"cannot keep 100 thumbnails in .*: No such file"):
        ThumbnailStore(N_LARGE).append(frames(1, LARGE))


def test_a_full_disk_is_one_line_that_names_the_folder_and_the_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    before = open_files()
    with at_most_a_megabyte_a_file(), pytest.raises(InputError) as raised:
        ThumbnailStore(N_LARGE).append(frames(N_LARGE, LARGE))
    assert str(raised.value) == (
        f"cannot keep 100 thumbnails in {tmp_path}: File too large; "
        "free 20 MB there, or set TMPDIR to another folder"
    )
    del raised
    assert open_files() == before


def test_what_stays_in_memory_is_bounded() -> None:
    assert N_LARGE * 256 * 256 * 3 > grid._MEMORY_BYTES
