"""Make `import torchvision` work on a CPU torch when torchvision is a CUDA build. Tests only.

The wheels of torchvision on PyPI are CUDA builds: with a CPU torch their extension does not load,
and then the import dies, because it registers shapes for two operators that nobody declared. The
video processors of transformers need torchvision, but neither of these operators.

Python imports this file by itself when its folder is on ``PYTHONPATH``, which is how a subprocess
gets the cure; ``tests/conftest.py`` calls `install` for the tests themselves.
"""

import ctypes
import importlib.abc
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_OPERATORS = ("nms", "qnms")
_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


class _BeforeTorchvision(importlib.abc.MetaPathFinder):
    """Declares what is missing just before torchvision is imported, and only then."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torchvision":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.submodule_search_locations is not None:
            declare_missing_operators(Path(next(iter(spec.submodule_search_locations))))
        return spec


def declare_missing_operators(torchvision_folder: Path) -> None:
    """Declare torchvision's operators unless its own extension can do it.

    Args:
        torchvision_folder: Where the package is installed.
    """
    import torch

    for extension in torchvision_folder.glob("_C.*"):
        try:
            ctypes.CDLL(str(extension))
        except OSError:
            continue
        return
    for name in _OPERATORS:
        if not hasattr(torch.ops.torchvision, name):
            torch.library.define(f"torchvision::{name}", _SCHEMA)


def install() -> None:
    """Wait for the import of torchvision; nothing to do once it is imported."""
    waiting = any(isinstance(finder, _BeforeTorchvision) for finder in sys.meta_path)
    if not waiting and "torchvision" not in sys.modules:
        sys.meta_path.insert(0, _BeforeTorchvision())


install()
