"""What was computed of a tensor, kept as long as the tensor is."""

import weakref
from collections.abc import Callable, Hashable
from functools import wraps
from threading import Lock
from typing import Concatenate, ParamSpec, TypeVar

import torch
from torch import Tensor

P = ParamSpec("P")
T = TypeVar("T")


def kept_with_tensor(
    n_most: int,
) -> Callable[[Callable[Concatenate[Tensor, P], T]], Callable[Concatenate[Tensor, P], T]]:
    """Keep what a function of a tensor and of further, hashable values returned last.

    `functools.lru_cache` would hold the tensor, which outlives its video then. Here a value is let
    go with the tensor that it was computed of, so it must not hold that tensor.

    Args:
        n_most: Most values that are kept, of all tensors together.

    Returns:
        A decorator of a function that takes the tensor first. Nobody may change the tensor in
        place.
    """

    def decorate(
        function: Callable[Concatenate[Tensor, P], T],
    ) -> Callable[Concatenate[Tensor, P], T]:
        kept: dict[Hashable, tuple[weakref.ref[Tensor], T]] = {}  # the last one used is last
        lock = Lock()

        @wraps(function)
        def from_kept(tensor: Tensor, /, *args: P.args, **kwargs: P.kwargs) -> T:
            key = id(tensor), args, tuple(sorted(kwargs.items()))
            with lock:
                there = kept.pop(key, None)
                if there is not None and there[0]() is tensor:  # not another one of the same id
                    kept[key] = there
                    return there[1]
            value = function(tensor, *args, **kwargs)
            # Not under the lock: the thread that holds it may be the one that lets a tensor go.
            of_tensor = weakref.ref(tensor, lambda _: kept.pop(key, None))
            with lock:
                kept[key] = of_tensor, value
                for oldest in list(kept)[:-n_most]:  # a list: other threads let tensors go
                    kept.pop(oldest, None)
            return value

        return from_kept

    return decorate


def on_device(tensor: Tensor, device: torch.device) -> Tensor:
    """The tensor on a device, the same one at every call, so that what is kept with it is found."""
    return tensor if tensor.device == device else _copied(tensor, device)


@kept_with_tensor(2)
def _copied(tensor: Tensor, device: torch.device) -> Tensor:
    return tensor.to(device)
