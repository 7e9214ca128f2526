"""Batches sized to memory, with a network that runs out of it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from keyscore_plugin.encoders.batching import Batching
from keyscore_plugin.errors import MemoryEndedError

_FRAME = 1000  # bytes that the network takes for a frame
_ONCE = 5000  # and for its first pass


class Card:
    """A memory that others use too, and an allocator that keeps what it once took."""

    def __init__(self, n_bytes: int) -> None:
        self.left = n_bytes
        self.kept = 0
        self.once = 0  # taken by the first pass, and never given back

    def free_bytes(self) -> int:
        return self.left - self.kept - self.once

    def give_back(self) -> None:
        self.kept = 0


class Network(nn.Module):
    """Doubles numbers, and says that the memory has ended where a GPU would."""

    error: RuntimeError = torch.OutOfMemoryError("CUDA out of memory")

    def __init__(self, card: Card) -> None:
        super().__init__()
        self.card = card
        self.batches: list[int] = []

    def forward(self, frames: Tensor) -> Tensor:
        if len(frames) * _FRAME > self.card.left:
            raise self.error
        self.card.kept = max(self.card.kept, len(frames) * _FRAME)
        self.card.once = _ONCE
        self.batches.append(len(frames))
        return 2 * frames


def _doubled(batching: Batching, network: Network, n: int) -> Tensor:
    return torch.cat(list(batching.run(network, torch.arange(n))))


@pytest.mark.parametrize(
    ("room", "size"), [(10_000_000, 60), (135_000, 60), (120_000, 30), (45_000, 15), (14_000, 4)]
)
def test_a_batch_takes_half_of_the_memory_at_most(room: int, size: int) -> None:
    card = Card(room)
    network, batching = Network(card), Batching(60, card)
    assert _doubled(batching, network, 600).equal(2 * torch.arange(600))
    probes, batches = network.batches[:2], network.batches[2:]
    assert probes == [8, 8]
    assert set(batches[:-1]) == {size}


@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 300))
def test_every_frame_is_answered_once_however_little_fits(n: int, fit: int, fit_later: int) -> None:
    card = Card(fit * _FRAME)
    network, batching = Network(card), Batching(60, card)
    assert _doubled(batching, network, n).equal(2 * torch.arange(n))
    card.left = fit_later * _FRAME  # somebody else takes memory, or gives it back
    assert _doubled(batching, network, n).equal(2 * torch.arange(n))
    assert max(network.batches) <= max(fit, fit_later)


@pytest.mark.parametrize(
    "message",
    ["CUDA error: out of memory", "MPS backend out of memory (MPS allocated: 1 GB)"],
)
def test_a_memory_that_ends_in_a_library_ends_too(message: str) -> None:
    network = Network(Card(3 * _FRAME))
    network.error = RuntimeError(message)
    assert _doubled(Batching(16, None), network, 20).equal(2 * torch.arange(20))


def test_another_error_of_the_network_is_its_own() -> None:
    network = Network(Card(0))
    network.error = RuntimeError("shapes do not match")
    with pytest.raises(RuntimeError, match="shapes"):
        _doubled(Batching(16, None), network, 20)


def test_the_size_is_found_once_and_halved_where_memory_ends() -> None:
    card = Card(1_000_000)
    network, batching = Network(card), Batching(60, card)
    _doubled(batching, network, 480)
    assert network.batches == [8, 8, *[60] * 8]
    card.left = 25_000
    network.batches.clear()
    _doubled(batching, network, 60)
    assert network.batches == [15] * 4
    assert batching.n_frames == 15


def test_without_a_measure_every_batch_has_the_size_given() -> None:
    network = Network(Card(10_000_000))
    _doubled(Batching.of(torch.device("cpu"), n_frames=8), network, 20)
    assert network.batches == [8, 8, 8]


def test_a_memory_too_small_for_one_frame_is_one_clear_error() -> None:
    card = Card(_FRAME - 1)
    with pytest.raises(MemoryEndedError, match=r"one frame; free some .*device='cpu'"):
        _doubled(Batching(60, card), Network(card), 5)


def test_another_error_of_the_network_is_not_taken_for_a_lack_of_memory() -> None:
    def broken(frames: Tensor) -> Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        list(Batching(4, None).run(broken, torch.arange(3)))
