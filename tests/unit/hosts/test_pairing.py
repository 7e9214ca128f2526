"""Which frames share a visual token, by hand-computed tables."""

import pytest
import torch

from keyscore_plugin.hosts.pairing import Fold, Pair, keyframes_for_budget, pair_frames

FOLD = Fold(frames_per_patch=2, spacing_seconds=0.5)


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("duplicate", [2, 2, 3, 3, 9, 9]),
        ("neighbor", [2, 2, 3, 4, 9, 10]),  # the next keyframe is the limit
        ("pack", [2, 3, 9, 9]),  # half a second apart, then three seconds
        ("plain", [2, 3, 9, 9]),  # an odd one out is repeated
    ],
)
def test_pairs_of_three_keyframes(pair: Pair, expected: list[int]) -> None:
    pts = torch.arange(12) / 2
    assert pair_frames([2, 3, 9], pts, pair, FOLD) == expected


@pytest.mark.parametrize("pair", ["duplicate", "neighbor", "pack", "plain"])
@pytest.mark.parametrize("budget", [1, 2, 7, 8])
def test_the_budget_is_never_exceeded_by_more_than_one_patch(pair: Pair, budget: int) -> None:
    n = keyframes_for_budget(budget, 2, pair=pair)
    frames = [20 * i for i in range(n)]
    shown = pair_frames(frames, torch.arange(400.0), pair, FOLD)
    assert budget <= len(shown) <= budget + budget % 2


def test_plain_keyframes_far_apart_share_a_patch_and_packed_ones_do_not() -> None:
    pts = torch.arange(100.0)
    shown = {pair: pair_frames([0, 50], pts, pair, FOLD) for pair in ("plain", "pack")}
    assert shown == {"plain": [0, 50], "pack": [0, 0, 50, 50]}
