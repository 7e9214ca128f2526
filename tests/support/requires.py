"""Skips that can be seen and can be made fatal."""

import os
import sys
from pathlib import Path

import pytest
import torch

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import MissingDependencyError


def require_or_skip(module: str) -> None:
    """Skip the test where a package is missing; fail if ``KEYSCORE_REQUIRE`` names it.

    Example: ``KEYSCORE_REQUIRE=decord,torchcodec pytest``
    """
    package = module.partition(".")[0]
    try:
        require(module, extra=package)
    except MissingDependencyError as error:
        if package in os.environ.get("KEYSCORE_REQUIRE", "").split(","):
            pytest.fail(f"KEYSCORE_REQUIRE names {package}, but {error}")
        pytest.skip(str(error))


def aside_or_skip(package: str) -> Path:
    """Folder of a package that cannot be installed with the others, see its ``requirements.txt``.

    The test is skipped where it is not there, and fails if ``KEYSCORE_REQUIRE`` names it.
    """
    module = package.replace("-", "_")
    folder = Path(os.environ.get(f"KEYSCORE_{module.upper()}", Path(sys.prefix, package)))
    if not folder.is_dir():
        how = f"tests/support/{module}/requirements.txt says how to install it"
        reason = f"{package} is not in {folder}; {how}"
        if module in os.environ.get("KEYSCORE_REQUIRE", "").split(","):
            pytest.fail(f"KEYSCORE_REQUIRE names {module}, but {reason}")
        pytest.skip(reason)
    return folder


def environment_or_skip(package: str) -> Path:
    """Folder of the environment of a package that cannot share one with ours.

    ``make .venv-PACKAGE`` sets it up. The test is skipped where it is not there, and fails if
    ``KEYSCORE_REQUIRE`` names the package.
    """
    default = Path(__file__).parents[2] / f".venv-{package}"
    folder = Path(os.environ.get(f"KEYSCORE_{package.upper()}", default))
    if not (folder / "bin" / "python").exists():
        reason = f"{package} is not in {folder}; `make {folder.name}` installs it"
        if package in os.environ.get("KEYSCORE_REQUIRE", "").split(","):
            pytest.fail(f"KEYSCORE_REQUIRE names {package}, but {reason}")
        pytest.skip(reason)
    return folder


def require_decoder(name: str) -> None:
    """Skip the test where a decoder has not what it needs; ``KEYSCORE_REQUIRE=gpu`` as above."""
    if name == "pyav":
        return
    require_or_skip(name.removesuffix("-cuda"))
    if name.endswith("-cuda"):
        require_gpu_or_skip()


def require_gpu_or_skip() -> None:
    """Skip the test where there is no GPU; fail if ``KEYSCORE_REQUIRE`` names ``gpu``."""
    if torch.cuda.is_available():
        return
    if "gpu" in os.environ.get("KEYSCORE_REQUIRE", "").split(","):
        pytest.fail(f"KEYSCORE_REQUIRE names gpu, but torch {torch.__version__} sees none")
    pytest.skip("needs a GPU")
