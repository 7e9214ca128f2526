"""A video whose frames name themselves."""

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

# Frame i is a flat colour: red and green are the digits of i in base 12, blue is a check digit, so
# that a mixture of two frames names none. Two digits lie 20 of 255 levels apart; a lossless yuv444
# round trip is off by at most 2.
_BASE = 12
_FIRST = 16
_STEP = 20
_TOLERANCE = 4

MAX_FRAMES = _BASE * _BASE


def colour(index: int) -> tuple[int, int, int]:
    """Red, green and blue of frame ``index``."""
    low, high = index % _BASE, index // _BASE
    check = (5 * low + 7 * high) % _BASE
    return _FIRST + _STEP * low, _FIRST + _STEP * high, _FIRST + _STEP * check


def numbered_frames(n: int = 120, size: tuple[int, int] = (112, 112)) -> npt.NDArray[np.uint8]:
    """``(n, height, width, 3)`` uint8; frame i is flat `colour` (i).

    Args:
        n: Frames, at most `MAX_FRAMES`.
        size: ``(height, width)``.
    """
    if n > MAX_FRAMES:
        raise ValueError(f"only {MAX_FRAMES} frames have an own colour, asked for {n}")
    colours = np.array([colour(i) for i in range(n)], dtype=np.uint8)
    return np.broadcast_to(colours[:, None, None, :], (n, *size, 3)).copy()


def numbered_video(
    path: str | os.PathLike[str],
    n: int = 120,
    fps: int = 10,
    size: tuple[int, int] = (112, 112),
    *,
    seconds: Sequence[float] | None = None,
) -> Path:
    """Write `numbered_frames` losslessly as H.264; returns the path.

    Args:
        path: Where to.
        n: Frames.
        fps: Frames a second.
        size: ``(height, width)``.
        seconds: Presentation time of each frame, to the millisecond, instead of a constant rate.
    """
    path = Path(path)
    tick = Fraction(1, fps if seconds is None else 1000)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.height, stream.width = size
        stream.pix_fmt = "yuv444p"
        stream.options = {"crf": "0", "g": "24"}
        stream.codec_context.time_base = tick
        for i, pixels in enumerate(numbered_frames(n, size)):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts = i if seconds is None else round(seconds[i] / tick)
            frame.time_base = tick
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def frame_numbers(colours: Tensor) -> list[int]:
    """Frames that have these colours.

    Args:
        colours: ``(n, 3)`` mean red, green and blue on the scale 0 to 255.

    Raises:
        ValueError: A colour is no frame's, as when frames were mixed.
    """
    digits = ((colours.double() - _FIRST) / _STEP).round().long()
    numbers: list[int] = (digits[:, 0] + _BASE * digits[:, 1]).tolist()
    exact = torch.tensor([colour(i) for i in numbers], dtype=torch.float64)
    if (colours.double() - exact).abs().max() > _TOLERANCE:
        raise ValueError(f"no frames have the colours {colours.round().tolist()}")
    return numbers
