"""What the plugin of SGLang computes without SGLang: positions."""

import torch

from keyscore_sglang.times import retimed


def test_each_patch_is_at_its_own_time_and_what_follows_comes_after() -> None:
    # A token of text, three patches of two tokens 1/12 s apart, as SGLang places them, one of text.
    stock = torch.tensor(
        [[0, 1, 1, 1, 1, 1, 1, 3], [0, 1, 1, 1, 1, 1, 1, 3], [0, 1, 2, 1, 2, 1, 2, 3]]
    )
    seconds = torch.tensor([1.5, 4.5, 7.5], dtype=torch.float64)
    made, moved = retimed(stock, torch.arange(1, 7), [(3, 2)], [seconds], tokens_per_second=2)
    assert made[0].tolist() == [0, 1, 1, 7, 7, 13, 13, 14]
    assert made[1].tolist() == [0, 1, 1, 1, 1, 1, 1, 14]
    assert made[2].tolist() == [0, 1, 2, 1, 2, 1, 2, 14]
    assert moved == 11


def test_a_stock_video_keeps_its_positions_and_moves_behind_a_chosen_one() -> None:
    stock = torch.tensor([0, 0, 1, 1]).expand(3, 4)
    seconds = [torch.tensor([0.0, 4.0], dtype=torch.float64), None]
    made, moved = retimed(stock, torch.arange(4), [(2, 1), (2, 1)], seconds, tokens_per_second=1)
    assert made[0].tolist() == [0, 4, 5, 5]
    assert moved == 4
    assert torch.equal(
        retimed(stock, torch.arange(4), [(4, 1)], [None], tokens_per_second=1)[0], stock
    )
