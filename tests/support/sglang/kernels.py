"""SGLang's kernels, which exist for CUDA only, replaced by objects that stand for anything.

With them SGLang starts on a CPU; its attention there is torch's own, so that answers are real.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

import torch

_PACKAGE = "sgl_kernel"


class _Kernels(ModuleType):
    """A module that has every name."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = MagicMock(name=f"{self.__name__}.{name}")
        setattr(self, name, made)
        return made


class _Finder(MetaPathFinder, Loader):
    """Finds the package of the kernels, and every module in it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] != _PACKAGE:
            return None
        return ModuleSpec(name, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        made = _Kernels(spec.name)
        made.__path__ = []
        return made

    def exec_module(self, module: ModuleType) -> None:
        """Let torch know every operator of the package for CPUs."""
        if module.__name__ != _PACKAGE:
            return
        operators = type(torch.ops.sgl_kernel)
        original = operators.__getattr__

        def find(self: Any, name: str) -> Any:
            try:
                return original(self, name)
            except AttributeError:
                if self.name != _PACKAGE or not name.endswith("_cpu"):
                    raise
                return MagicMock(name=f"torch.ops.{_PACKAGE}.{name}")

        vars_of: Any = operators
        vars_of.__getattr__ = find


def install() -> None:
    """Put the replacements in the way of the import."""
    sys.meta_path.insert(0, _Finder())
