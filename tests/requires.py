"""Skips that can be seen and can be made fatal."""

import os

import pytest

from keyscore_plugin._optional import require
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
