"""A device that computes on the CPU but is not it: it shows without a GPU what a GPU waits for.

Its tensors say that they are not on the CPU, so code takes the path it takes on a GPU. As on a GPU,
tensors of two devices do not mix, and reading a value makes the host wait: such reads are counted.
As on a GPU, dividing by a number of the host is multiplying by its inverse.
Memory and speed are the CPU's and mean nothing. It can be made without float64, as MPS is.
"""

from collections import Counter
from contextlib import ExitStack
from types import TracebackType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from typing_extensions import Self

# Torch knows it, needs no driver for it, and no tensor of ours is really there.
DEVICE = torch.device("meta")

# What waits for a GPU: the size of a result, or its value, has to be known to go on.
_READS = (
    *("_local_scalar_dense", "nonzero", "masked_select", "bincount", "equal", "histc"),
    *("_unique", "_unique2", "unique_dim", "unique_consecutive", "repeat_interleave"),
)
# What a GPU may do with 10 bits of a float32.
_PRODUCTS = ("mm", "addmm", "bmm", "baddbmm", "mv", "addmv", "dot")
_INDEXING = ("index", "index_put_", "_index_put_impl_")


def _outside(cls: type, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
    raise RuntimeError(f"{function} on a pretended device, outside of PretendGpu")


class PretendTensor(Tensor):
    """A tensor of the device; ``held`` is where its values are."""

    held: Tensor
    __torch_dispatch__: Any = classmethod(_outside)

    @staticmethod
    def __new__(cls, held: Tensor) -> "PretendTensor":
        made: PretendTensor = Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            device=DEVICE,
        )
        made.held = held
        return made


class PretendGpu:
    """While entered, tensors can be made on `DEVICE` and moved there.

    Args:
        has_float64: Whether a result may be one.

    Attributes:
        reads: How often the host waited, by operation.
        uploads: Numbers of values in each tensor that went there.
        inexact: How often float32 was multiplied while torch allowed fewer bits, by operation.
    """

    def __init__(self, *, has_float64: bool = True) -> None:
        self._has_float64 = has_float64
        self.reads: Counter[str] = Counter()
        self.uploads: list[int] = []
        self.inexact: Counter[str] = Counter()
        self._entered = ExitStack()

    @property
    def n_reads(self) -> int:
        """How often the host waited."""
        return sum(self.reads.values())

    def __enter__(self) -> Self:
        def on_operation(mode: Any, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
            return self._run(function, args, dict(kwargs or {}))

        # No class statement: the base is untyped.
        operations: Any = type(
            "Operations", (TorchDispatchMode,), {"__torch_dispatch__": on_operation}
        )
        self._entered.enter_context(_Functions())
        self._entered.enter_context(operations())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._entered.close()

    def _run(self, function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """An operation, on the CPU tensors that are held."""
        name = function.overloadpacket.__name__
        leaves = tree_leaves((args, kwargs))
        stays = any(isinstance(leaf, PretendTensor) for leaf in leaves)
        if stays:
            _refuse_mixing(name, args)
            self.reads[name] += _waits(name, args, kwargs.get("device"))
            if name in _PRODUCTS and _held(args[0]).dtype == torch.float32:
                self.inexact[name] += _allows_tf32()
        if kwargs.get("device") is not None:
            moves = name == "_to_copy" and not stays and kwargs["device"] == DEVICE
            self.uploads.extend([args[0].numel()] if moves else [])
            stays = kwargs["device"] == DEVICE
            kwargs["device"] = torch.device("cpu")
        if stays and name == "div" and not kwargs and not isinstance(args[1], PretendTensor):
            function, args = torch.ops.aten.mul.Tensor, _by_inverse(*args)
        out = function(*tree_map(_held, args), **tree_map(_held, kwargs))
        if stays and not self._has_float64:
            _refuse_float64(name, out)
        return tree_map(_wrapped, out) if stays else out


class _Functions(TorchFunctionMode):
    """What torch does without an operation: `torch.tensor` and `tolist` go by way of the CPU."""

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = dict(kwargs or {})
        if function is torch.tensor and given.get("device") == DEVICE:
            del given["device"]
            return torch.tensor(*args, **given).to(DEVICE)
        if function is Tensor.tolist and isinstance(args[0], PretendTensor):
            return args[0].cpu().tolist()
        return function(*args, **given)


def _refuse_mixing(name: str, args: Any) -> None:
    """As a GPU does; copies go between devices, and indices may come from the host."""
    compared = (args[0], *args[2:]) if name in _INDEXING else args
    tensors = [leaf for leaf in tree_leaves(compared) if isinstance(leaf, Tensor) and leaf.ndim]
    there = {isinstance(tensor, PretendTensor) for tensor in tensors}
    if len(there) > 1 and name not in ("copy_", "_to_copy"):
        raise RuntimeError(f"{name}: expected all tensors on one device")
    if name in _INDEXING and there == {False}:
        raise RuntimeError(f"{name}: a tensor on the CPU is indexed by one that is not")


def _refuse_float64(name: str, out: Any) -> None:
    if any(isinstance(one, Tensor) and one.dtype == torch.float64 for one in tree_leaves(out)):
        raise TypeError(f"{name}: the device has no float64")


def _waits(name: str, args: Any, device: torch.device | None) -> bool:
    """Whether the host waits for the result."""
    if name == "_to_copy":
        return device is not None and device != DEVICE
    if name == "copy_":
        return not isinstance(args[0], PretendTensor)
    if name in _INDEXING:
        return any(index is not None and index.dtype == torch.bool for index in args[1])
    return name in _READS


def _allows_tf32() -> bool:
    products: Any = torch.backends.cuda.matmul
    if hasattr(torch.backends.cudnn, "conv"):  # from torch 2.9 on
        return bool(products.fp32_precision == "tf32")
    return bool(products.allow_tf32)


def _by_inverse(dividend: Any, divisor: Any) -> tuple[Tensor, Tensor]:
    held = _held(dividend)
    return held, 1 / torch.tensor(float(divisor), dtype=torch.result_type(held, 1.0))


def _held(value: Any) -> Any:
    return value.held if isinstance(value, PretendTensor) else value


def _wrapped(value: Any) -> Any:
    return PretendTensor(value) if isinstance(value, Tensor) else value
