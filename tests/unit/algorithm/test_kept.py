"""What is computed of a tensor is kept with it, and no longer."""

import gc
import weakref

import torch
from torch import Tensor

from keyscore_plugin.algorithm.kept import kept_with_tensor, on_device
from keyscore_plugin.algorithm.repeats import discount_repeats


def test_a_value_is_computed_once_for_a_tensor_and_its_other_arguments() -> None:
    calls = []

    @kept_with_tensor(2)
    def total(tensor: Tensor, factor: int) -> float:
        calls.append(factor)
        return factor * float(tensor.sum())

    one, other = torch.ones(3), torch.ones(4)
    assert [total(one, 1), total(one, 1), total(one, 2), total(one, 1)] == [3, 3, 6, 3]
    assert calls == [1, 2]
    assert total(other, 1) == 4  # in the place of the one that was used longest ago
    assert [total(one, 1), total(one, 2)] == [3, 6]
    assert calls == [1, 2, 1, 2]


def test_another_tensor_of_the_same_id_is_another_tensor() -> None:
    @kept_with_tensor(8)
    def total(tensor: Tensor) -> float:
        return float(tensor.sum())

    assert [total(torch.full((2,), float(n))) for n in range(50)] == [2.0 * n for n in range(50)]


def test_the_histograms_of_a_video_are_let_go_after_its_call() -> None:
    looks = torch.eye(4)[torch.arange(12) % 4]
    alive = weakref.ref(looks)
    discount_repeats(torch.rand(12), torch.arange(12), looks, num_frames=1)
    del looks
    gc.collect()
    assert alive() is None


def test_a_tensor_is_on_a_device_once() -> None:
    tensor = torch.eye(3)
    copied = on_device(tensor, torch.device("meta"))
    assert copied.device.type == "meta"
    assert on_device(tensor, torch.device("meta")) is copied
    assert on_device(tensor, tensor.device) is tensor
