"""Returns to a look count less where the budget cannot show each of them, and nothing else does."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin.algorithm.repeats import _runs, discount_repeats
from keyscore_plugin.algorithm.selection import select


def shots(*looks: int, n: int = 3) -> torch.Tensor:
    """``(n * len(looks), 8)`` histograms of shots of n frames, each of one colour."""
    return torch.eye(8)[torch.tensor(looks).repeat_interleave(n)]


@given(st.lists(st.integers(0, 7), min_size=1, max_size=24), st.integers(0, 2**32 - 1))
def test_looks_that_can_be_shown_every_time_are_not_touched(looks: list[int], seed: int) -> None:
    runs = [look for look, last in zip(looks, [-1, *looks], strict=False) if look != last]
    scores = torch.rand(3 * len(looks), generator=torch.Generator().manual_seed(seed))
    rows = torch.arange(len(scores))
    enough = max(runs.count(look) for look in runs)
    kept = discount_repeats(scores, rows, shots(*looks), num_frames=enough)
    assert kept.equal(scores)
    less = discount_repeats(scores, rows, shots(*looks), num_frames=enough - 1)
    assert (less <= scores).all()
    assert less.equal(scores) == (enough == 1)


def test_the_best_time_of_a_look_keeps_its_scores_and_the_others_do_not() -> None:
    scores = torch.tensor([0.0, 0.5, 0.6, 0.2, 0.2, 0.2, 0.6, 1.0, 0.9])
    less = discount_repeats(scores, torch.arange(9), shots(1, 2, 1), num_frames=1)
    assert less.tolist() == pytest.approx([0.0, 0.2, 0.24, *scores[3:].tolist()])


def test_of_equal_times_the_first_keeps_its_score() -> None:
    scores = torch.tensor([0.8, 0.0, 0.8, 0.0, 0.8])
    less = discount_repeats(scores, torch.arange(5), shots(1, 2, 1, 3, 1, n=1), num_frames=2)
    assert less.tolist() == pytest.approx([0.8, 0.0, 0.32, 0.0, 0.32])


def test_a_look_comes_as_often_as_the_grid_shows_it_embedded_or_not() -> None:
    looks, rows = shots(1, 2, 1, 2, 1, n=1), torch.tensor([0, 1, 2])
    scores = torch.tensor([1.0, 0.0, 0.5])
    less = discount_repeats(scores, rows, looks, num_frames=2)
    assert less.tolist() == pytest.approx([1.0, 0.0, 0.2])
    assert discount_repeats(scores, rows, looks, num_frames=3).equal(scores)


def test_what_comes_once_is_chosen_among_returns_of_what_scores_better() -> None:
    looks = shots(*[1, 2] * 20, 3, *[1, 2] * 20, n=2)
    scores = torch.where(looks[:, 1] > 0, 1.0, torch.where(looks[:, 3] > 0, 0.7, 0.1))
    times = 5.0 * torch.arange(len(looks))
    once = (looks[:, 3] > 0).nonzero().flatten().tolist()
    plain = select(scores, times, num_frames=8).tolist()
    worth = discount_repeats(scores, torch.arange(len(looks)), looks, num_frames=8)
    assert not set(once) & set(plain)
    assert set(once) & set(select(worth, times, num_frames=8).tolist())


def test_looks_are_compared_in_full_precision_whatever_the_host_has_set() -> None:
    near = torch.tensor([[0.5, 0.5, 0, 0], [0.425, 0.425, 0.075, 0.075]])  # they overlap by .922
    looks, scores = near[[0, 1, 0, 1, 0]], torch.tensor([0.2, 0.9, 0.5, 0.1, 1.0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert discount_repeats(scores, torch.arange(5), looks, num_frames=1).equal(scores)


def test_what_is_kept_of_a_video_does_not_grow_with_its_grid() -> None:
    kept = _runs(torch.eye(8)[torch.arange(1000) % 8], tuple(range(4)))
    assert [one.untyped_storage().nbytes() for one in kept] == [one.nbytes for one in kept]
