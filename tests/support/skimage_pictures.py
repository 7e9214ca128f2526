"""Real pictures that come with scikit-image."""

from pathlib import Path

import skimage
import torch
from PIL import Image
from torch import Tensor


def picture(name: str) -> Tensor:
    """``(h, w, 3)`` uint8, of a file in scikit-image's data folder."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as image:
        return torch.frombuffer(bytearray(image.convert("RGB").tobytes()), dtype=torch.uint8).view(
            image.height, image.width, 3
        )
