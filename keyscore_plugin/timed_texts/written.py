"""What is written in the picture, read by RapidOCR, which ships its weights."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.types import TimedText

# Ours: pixels of a frame's shorter side as it is read. RapidOCR's own 736 takes twice as long.
SHORT_SIDE = 480
_NEAR_HEIGHTS = 0.8  # ours: lines of one sign are less than this many of their heights apart


def require_ocr() -> Any:
    """RapidOCR, imported.

    Raises:
        MissingDependencyError: It is not installed, or ONNX Runtime is not.
    """
    require("onnxruntime", extra="ocr")
    return require("rapidocr", extra="ocr")


class PictureReader:
    """Reads the text in pictures.

    Raises:
        MissingDependencyError: RapidOCR is not installed.
    """

    def __init__(self) -> None:
        self._reader = require_ocr().RapidOCR(
            params={
                "Global.log_level": "critical",  # it warns of pictures without text
                "Global.use_cls": False,  # text that stands upside down is left out
                "Det.limit_side_len": SHORT_SIDE,
                "EngineConfig.onnxruntime.intra_op_num_threads": torch.get_num_threads(),
            }
        )

    def read(self, pixels: Tensor) -> list[str]:
        """The signs in a picture from top to bottom, each on one line.

        Args:
            pixels: ``(h, w, 3)`` uint8 RGB.
        """
        found = self._reader(pixels.flip(-1).numpy())  # it takes BGR
        if found.boxes is None or not found.txts:
            return []
        boxes = torch.as_tensor(found.boxes)
        return [" ".join(found.txts[row] for row in rows) for rows in signs(boxes)]


def signs(boxes: Tensor) -> list[list[int]]:
    """Group lines of text into signs: those that stand close below each other.

    Args:
        boxes: ``(n, 4, 2)`` corners of the lines, x and y in pixels.

    Returns:
        The rows of each sign, from top to bottom.

    Example:
        >>> corners = [[[0, y], [9, y], [9, y + 4], [0, y + 4]] for y in (0, 5, 40)]
        >>> signs(torch.tensor(corners, dtype=torch.float32))
        [[0, 1], [2]]
    """
    (left, top), (right, bottom) = boxes.amin(1).unbind(1), boxes.amax(1).unbind(1)
    groups: list[list[int]] = []
    for row in top.argsort(stable=True).tolist():
        for group in groups:
            above = group[-1]
            height = float(torch.minimum(bottom - top, (bottom - top)[above])[row])
            overlaps = left[row] < right[above] and left[above] < right[row]
            if overlaps and top[row] - bottom[above] < _NEAR_HEIGHTS * height:
                group.append(row)
                break
        else:
            groups.append([row])
    return groups


def merged(seen: Iterable[tuple[float, float, Sequence[str]]]) -> tuple[TimedText, ...]:
    """The lines that are seen in frames; one that the next frame has too goes on.

    Args:
        seen: Start and end of the time that a frame stands for, and what is written in it, in time
            order.

    Returns:
        Lines by their start.

    Example:
        >>> merged([(0, 1, ["EXIT"]), (2, 3, ["EXIT", "SALE"])])[0].end
        3
    """
    lines: list[TimedText] = []
    places: dict[str, int] = {}  # in `lines`, of what the last frame shows
    for start, end, texts in seen:
        now = {}
        for text in dict.fromkeys(texts):
            place = places.get(text, len(lines))
            begin = lines[place].start if text in places else start
            lines[place : place + 1] = [TimedText(begin, end, text, "written")]
            now[text] = place
        places = now
    return tuple(lines)


@lru_cache(maxsize=1)
def picture_reader() -> PictureReader:
    """The reader of this process."""
    return PictureReader()
