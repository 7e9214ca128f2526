"""Joining the scores of several texts: by hand, and the laws of each join."""

from typing import get_args

import pytest
import torch

from keyscore_plugin.algorithm.texts import join_scores, stretch_each, text_weights
from keyscore_plugin.types import Join

DOG = [0.0, 1.0, 0.2, 0.9]
CAR = [0.8, 0.0, 1.0, 0.1]


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("all", [0.8, 1.0, 1.0, 0.9]),
        ("any", [0.8, 1.0, 1.0, 0.9]),
        ("at_once", [0.0, 0.0, 0.2, 0.09]),
        # dog: each score times the best car from there on; car: times the best dog up to there
        ("then", [0.0, 1.0, 1.0, 0.1]),
    ],
)
def test_two_texts_are_joined_as_computed_by_hand(join: Join, expected: list[float]) -> None:
    joined = join_scores(torch.tensor([DOG, CAR]), join)
    torch.testing.assert_close(joined, torch.tensor(expected))


def test_a_chain_of_three_goes_through_the_middle() -> None:
    first, middle, last = torch.eye(3, 5)[:, [0, 3, 1, 4, 2]]  # at frames 0, 2 and 4
    scores = torch.stack([first, middle, last])
    assert join_scores(scores, "then").tolist() == [1, 0, 1, 0, 1]
    assert join_scores(scores.flip(0), "then").tolist() == [0, 0, 0, 0, 0]


@pytest.mark.parametrize("join", get_args(Join))
def test_one_text_stays_as_it_is(join: Join) -> None:
    scores = torch.rand(1, 50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(join_scores(scores, join), scores[0])


@pytest.mark.parametrize("join", ["all", "any", "at_once"])
def test_only_then_depends_on_the_order_of_the_texts(join: Join) -> None:
    scores = torch.rand(4, 50, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(join_scores(scores, join), join_scores(scores.flip(0), join))
    assert not torch.equal(join_scores(scores, "then"), join_scores(scores.flip(0), "then"))


def test_each_text_reaches_its_own_best_frame_whatever_its_scale() -> None:
    cosines = torch.tensor([[0.30, 0.50, 0.31], [0.11, 0.10, 0.12]])
    assert stretch_each(cosines).max(dim=1).values.tolist() == [1, 1]
    assert stretch_each(torch.tensor([[0.2, 0.2, 0.2]])).tolist() == [[0, 0, 0]]


def test_a_text_without_a_peak_counts_less_and_one_alone_fully() -> None:
    named, nothing = [0.1, 0.1, 0.5], [0.20, 0.20, 0.21]
    weights = text_weights(torch.tensor([named, nothing]))
    assert weights[0] == 1
    assert 0 < weights[1] < 0.2
    assert text_weights(torch.tensor([nothing])).tolist() == [1]
    assert text_weights(torch.full((2, 3), 0.4)).tolist() == [1, 1]
