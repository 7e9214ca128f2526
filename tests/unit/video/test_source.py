"""Laws of the grids, on times alone: hand-computed tables and properties."""

from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin.config import GridConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.source import VideoSource, open_video


@dataclass
class Times:
    """As much of a video as a grid needs."""

    pts: Tensor
    keys: list[int] = field(default_factory=list)

    @property
    def duration_seconds(self) -> float:
        return float(self.pts[-1] - self.pts[0]) + 0.04

    def pts_seconds(self) -> Tensor:
        return self.pts

    def keyframes(self) -> Tensor:
        return torch.tensor(self.keys, dtype=torch.int64)


def grid(times: Times, config: GridConfig, *, at_least: int = 1) -> list[int]:
    indices = grid_indices(cast(VideoSource, times), config, at_least=at_least)
    assert indices.dtype == torch.int64
    return cast(list[int], indices.tolist())


def cfr(n: int, start: float = 0.0) -> Tensor:
    return start + torch.arange(n, dtype=torch.float64) / 25


gaps = st.lists(st.floats(1e-3, 100), min_size=0, max_size=80)
frame_times = gaps.map(lambda g: torch.tensor([3.5, *g], dtype=torch.float64).cumsum(0))


configs = st.builds(
    GridConfig,
    kind=st.sampled_from(["fps", "keyframes"]),
    sample_fps=st.floats(0.01, 60),
    max_frames=st.integers(1, 50),
)


@given(frame_times, configs, st.integers(1, 60), st.data())
def test_grid_is_rising_unique_and_never_below_the_budget(
    pts: Tensor, config: GridConfig, at_least: int, data: Any
) -> None:
    keys = sorted(data.draw(st.sets(st.integers(0, len(pts) - 1))))
    rows = grid(Times(pts, keys), config, at_least=at_least)
    n_least = min(at_least, len(pts))
    assert all(a < b for a, b in pairwise(rows))
    assert rows[0] >= 0
    assert rows[-1] < len(pts)
    assert n_least <= len(rows) <= max(config.max_frames, n_least)
    if config.kind == "keyframes" and n_least <= len(keys) <= config.max_frames:
        assert rows == keys
    if config.kind == "keyframes" and len(keys) <= n_least:
        assert set(keys) <= set(rows)


@pytest.mark.parametrize(
    ("config", "at_least", "expected"),
    [
        (GridConfig(sample_fps=2), 1, [6, 18, 31, 43, 56, 68, 81, 93]),
        (GridConfig(sample_fps=2, max_frames=2), 1, [25, 75]),
        (GridConfig(sample_fps=0.5), 4, [12, 37, 62, 87]),  # the budget is larger than the grid
        (GridConfig(sample_fps=2, max_frames=2), 4, [12, 37, 62, 87]),  # ... or than the cap
        (GridConfig(kind="keyframes"), 1, [0, 30, 60, 90]),
        (GridConfig(kind="keyframes", max_frames=2), 1, [30, 90]),
        (GridConfig(kind="keyframes"), 5, [0, 30, 50, 60, 90]),  # filled up in the middle
    ],
)
def test_grid_of_four_seconds(config: GridConfig, at_least: int, expected: list[int]) -> None:
    assert grid(Times(cfr(100), [0, 30, 60, 90]), config, at_least=at_least) == expected


def test_a_grid_spreads_over_the_frames_on_both_sides_of_a_gap() -> None:
    pts = torch.cat([torch.arange(500) / 10, 650 + torch.arange(500) / 10])
    rows = grid(Times(pts), GridConfig(max_frames=100))
    assert len(rows) == 100
    assert 499 in rows
    assert sum(row < 500 for row in rows) == 50
    assert max(later - earlier for earlier, later in pairwise(rows)) <= 11


def test_an_unknown_decoder_is_named_with_those_that_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'gstreamer'.*decord, pyav, torchcodec"):
        open_video(tmp_path / "any.mp4", decoder="gstreamer")
