"""Any k frames from any clips: the budget is met, and priorities, shares and gaps are kept."""

from itertools import pairwise
from typing import Any, cast

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin import Clips, InputError
from keyscore_plugin.algorithm.any_k import any_k
from keyscore_plugin.config import ClipMode
from keyscore_plugin.types.spacing import uniform_indices

MODES: tuple[ClipMode, ...] = ("auto", "focused", "hybrid")
TENTHS = torch.arange(100, dtype=torch.float64) / 10  # 10 s at 10 frames a second


def make(*rows: tuple[float, float, float, int]) -> Clips:
    """Clips of a start, an end, a weight and a priority each."""
    starts, ends, weights, priorities = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Clips(
        starts=starts,
        ends=ends,
        weights=weights,
        priorities=cast("tuple[int, ...]", priorities),
        reasons=("",) * len(rows),
        origin="predicted",
    )


# Clips, k, and the frames of the video of tenths in tenths of a second, by hand.
FOCUSED = [
    ([(2, 4, 1, 1)], 1, [30]),
    ([(2, 4, 1, 1)], 2, [25, 35]),
    # The shorter clip of the better priority comes first; then the other.
    ([(0, 8, 1, 2), (9, 9.5, 1, 1)], 1, [92]),
    ([(0, 8, 1, 2), (9, 9.5, 1, 1)], 2, [40, 92]),
    # 6 frames for 2 s x 1 and 1 s x 4: the shares are 2 and 4.
    ([(1, 3, 1, 1), (5, 6, 4, 1)], 6, [15, 25, 51, 53, 56, 58]),
    # The shares 4.67 and 2.33 are rounded to 5 and 2.
    ([(0, 2, 1, 1), (5, 6, 1, 1)], 7, [2, 6, 10, 14, 18, 52, 57]),
    # A clip of two frames gives the rest of its share to the other.
    ([(0, 0.2, 90, 1), (5, 6, 1, 1)], 4, [0, 1, 52, 57]),
    # No frame begins in a clip between two frames: the one on show stands for it.
    ([(2.02, 2.08, 1, 1), (5, 6, 1, 2)], 2, [20, 55]),
    # Of two such clips in one frame the first gets it.
    ([(2.02, 2.04, 1, 1), (2.06, 2.08, 1, 1)], 1, [20]),
    # The clips hold 4 frames; the fifth divides the longest gap, from 6.1 s to the end at 10 s.
    ([(2, 2.2, 1, 1), (6, 6.2, 1, 1)], 5, [20, 21, 60, 61, 80]),
    # A clip is cut at the end of the video.
    ([(9, 99, 1, 1)], 2, [92, 97]),
]


@pytest.mark.parametrize(("rows", "k", "tenths"), FOCUSED)
def test_focused_by_hand(rows: list[Any], k: int, tenths: list[int]) -> None:
    assert any_k(make(*rows), k, TENTHS, mode="focused").tolist() == tenths


# The longest gap may be 30 s / k.
HYBRID = [
    ([(0, 1, 1, 1)], 2, [2, 7]),  # 15 s: no frame is kept back
    ([(0, 1, 1, 1)], 4, [1, 5, 8, 54]),  # 7.5 s: one frame divides the 9.2 s up to the end
    ([(0, 1, 1, 1)], 6, [1, 3, 5, 7, 9, 54]),
    ([(4, 6, 1, 1)], 6, [41, 45, 48, 51, 55, 58]),  # 5 s: 4.1 s before and 4.2 s after the clip
]


@pytest.mark.parametrize(("rows", "k", "tenths"), HYBRID)
def test_hybrid_by_hand(rows: list[Any], k: int, tenths: list[int]) -> None:
    assert any_k(make(*rows), k, TENTHS, mode="hybrid").tolist() == tenths


def test_auto_is_focused_below_16_frames_and_hybrid_from_there() -> None:
    clips = make((4, 6, 1, 1))
    for k, mode in ((8, "focused"), (15, "focused"), (16, "hybrid"), (32, "hybrid")):
        assert torch.equal(
            any_k(clips, k, TENTHS), any_k(clips, k, TENTHS, mode=cast("ClipMode", mode))
        )


def test_times_count_not_frames() -> None:
    """A clip of 4 s with 80 frames in its first second gets a frame at 1 s and 3 s."""
    times = torch.cat([torch.arange(80) / 80, torch.tensor([1.0, 2.0, 3.0, 4.0])])
    rows = any_k(make((0, 4, 1, 1)), 2, times, mode="focused", duration_seconds=9)
    assert times[rows].tolist() == [1, 3]


SECONDS = st.sampled_from([0.02, 0.04, 0.04, 0.5, 3.0, 20.0])
TIMES = st.lists(SECONDS, min_size=1, max_size=60).map(
    lambda gaps: torch.tensor([0.0, *gaps], dtype=torch.float64).cumsum(0)
)
ROW = st.tuples(
    st.floats(0, 1), st.floats(0, 1), st.sampled_from([0.01, 1.0, 2.0, 1e6]), st.integers(1, 3)
)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Clips, Tensor, float, int]:
    """Clips of any kind, the times of a video, its duration, and a budget."""
    edges = draw(TIMES)
    times, duration = edges[:-1], float(edges[-1])
    rows = draw(st.lists(ROW, max_size=8))
    clips = Clips.from_intervals(
        [start * duration for start, _, _, _ in rows],
        [end * duration for _, end, _, _ in rows],
        weights=[weight for _, _, weight, _ in rows],
        priorities=[priority for _, _, _, priority in rows],
        end_seconds=duration,
        origin="predicted",
    )
    return clips, times, duration, draw(st.integers(1, 70))


EDGES = st.tuples(st.integers(0, 98), st.integers(1, 40), ROW)


@st.composite
def clips_of_tenths(draw: st.DrawFn) -> Clips:
    """One clip or more, each with a frame or more of `TENTHS`; the last frame is in none."""
    rows = draw(st.lists(EDGES, min_size=1, max_size=8))
    return Clips.from_intervals(
        [start / 10 for start, _, _ in rows],
        [(start + length) / 10 for start, length, _ in rows],
        weights=[weight for _, _, (_, _, weight, _) in rows],
        priorities=[priority for _, _, (_, _, _, priority) in rows],
        end_seconds=9.9,
        origin="predicted",
    )


def frames_of(clips: Clips) -> list[Tensor]:
    """For each clip the frames of `TENTHS` that begin in it, as ``(100,)`` bool masks."""
    sides = zip(clips.starts, clips.ends, strict=True)
    return [(start <= TENTHS) & (end > TENTHS) for start, end in sides]


@given(cases(), st.sampled_from(MODES))
def test_every_budget_is_met_by_unique_rising_rows(
    case: tuple[Clips, Tensor, float, int], mode: ClipMode
) -> None:
    clips, times, duration, k = case
    rows = any_k(clips, k, times, mode=mode, duration_seconds=duration)
    assert len(rows) == min(k, len(times))
    assert all(earlier < later for earlier, later in pairwise([-1, *rows.tolist(), len(times)]))


@given(clips_of_tenths(), st.integers(1, 100))
def test_focused_leaves_the_clips_only_when_they_are_used_up(clips: Clips, k: int) -> None:
    held = torch.stack(frames_of(clips)).any(0)
    rows = any_k(clips, k, TENTHS, mode="focused")
    assert int(held[rows].sum()) == min(k, int(held.sum()))


@given(clips_of_tenths(), st.integers(1, 100))
def test_every_clip_gets_a_frame_or_those_of_better_priority_do(clips: Clips, k: int) -> None:
    rows = any_k(clips, k, TENTHS, mode="focused")
    counts = [int(mask[rows].sum()) for mask in frames_of(clips)]
    if k >= len(clips):
        assert min(counts) >= 1
    else:
        fed = [p for p, count in zip(clips.priorities, counts, strict=True) if count]
        assert max(counts) == 1
        assert sorted(fed) == sorted(clips.priorities)[:k]


@given(cases())
def test_hybrid_leaves_no_gap_of_three_even_shares_and_a_frame(
    case: tuple[Clips, Tensor, float, int],
) -> None:
    clips, times, duration, k = case
    rows = any_k(clips, k, times, mode="hybrid", duration_seconds=duration)
    shown = torch.cat([times, times.new_tensor([duration])]).diff().max()
    edges = torch.cat([times[:1], times[rows], times.new_tensor([duration])])
    bound = 3 * duration / min(k, len(times)) + float(shown)
    assert float(edges.diff().max()) <= bound + 1e-6


def test_frames_after_one_that_stays_on_show_are_spread_too() -> None:
    """A screen recorder writes no frame for ten minutes; the clip is the frame that it shows."""
    times = torch.cat([torch.arange(20) / 10, 600 + torch.arange(20) / 10])
    clip = Clips.from_intervals([1.9], [4.5], end_seconds=602, origin="predicted")
    rows = any_k(clip, 4, times, duration_seconds=602)
    assert rows.tolist() == [19, 20, 26, 33]


@given(TIMES, st.integers(1, 70), st.sampled_from(MODES), st.integers(1, 4))
def test_clips_that_are_the_whole_video_are_uniform_sampling(
    edges: Tensor, k: int, mode: ClipMode, n_clips: int
) -> None:
    times, duration = edges[:-1], float(edges[-1])
    cuts = [duration * cut / n_clips for cut in range(n_clips)] + [duration]
    clips = make(*((start, end, 2.0, 2) for start, end in pairwise(cuts)))
    even = uniform_indices(times, k, duration_seconds=duration)
    assert torch.equal(any_k(clips, k, times, mode=mode, duration_seconds=duration), even)
    assert torch.equal(any_k(make(), k, times, mode=mode, duration_seconds=duration), even)


@pytest.mark.parametrize(
    ("k", "mode", "says"),
    [(0, "auto", "k=0 and 100 frames"), (1.5, "auto", "k=1.5"), (4, "dense", "'dense'")],
)
def test_a_number_of_frames_or_a_mode_that_cannot_be_used_is_refused(
    k: Any, mode: Any, says: str
) -> None:
    with pytest.raises(InputError, match=says):
        any_k(make(), k, TENTHS, mode=mode)
