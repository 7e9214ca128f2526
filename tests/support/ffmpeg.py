"""The command ``ffmpeg``, which says what is right."""

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.support.clips import Image

QUIET = ("-loglevel", "error", "-y")


def require_ffmpeg() -> None:
    """Skip the test if the command is not installed; fail if ``KEYSCORE_REQUIRE`` names it."""
    if shutil.which("ffmpeg"):
        return
    if "ffmpeg" in os.environ.get("KEYSCORE_REQUIRE", "").split(","):
        pytest.fail("KEYSCORE_REQUIRE names ffmpeg, and the command is not installed")
    pytest.skip("needs the command ffmpeg")


def make(path: Path, *arguments: str | Path) -> Path:
    """Write a video by the command; the path comes last."""
    subprocess.run(["ffmpeg", *QUIET, *map(str, arguments), str(path)], check=True)
    return path


def shown(path: Path, size: tuple[int, int], *, filters: str = "null") -> Image:
    """``(n, height, width, 3)``: every frame that the command shows.

    Args:
        path: The video.
        size: ``(height, width)`` of what comes out.
        filters: A chain of its filters.
    """
    output = ("-fps_mode", "passthrough", "-pix_fmt", "rgb24", "-f", "rawvideo", "-")
    command = ["ffmpeg", *QUIET, "-i", str(path), "-vf", filters, *output]
    raw = subprocess.run(command, check=True, capture_output=True).stdout
    return np.frombuffer(raw, dtype=np.uint8).reshape(-1, *size, 3)
