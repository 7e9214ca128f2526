"""The preprocessing of CLIP and SigLIP models, computed with tensors on any device.

The processors of transformers that need no torchvision work on the CPU, one picture at a time, and
so do the transforms of OpenCLIP. A GPU would wait for them, and frames decoded on a GPU would first
have to be copied to the CPU.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

_FAMILIES = ("CLIPImageProcessor", "SiglipImageProcessor")
_MODES = {2: "bilinear", 3: "bicubic"}  # PIL's number and torch's name of an interpolation
_STEPS = ("do_resize", "do_rescale", "do_normalize")


@dataclass(frozen=True, slots=True)
class Preparation:
    """The steps that turn frames into a network's input: resize, crop the centre, normalise.

    Attributes:
        size: ``(height, width)`` in pixels; or the shorter side alone, which keeps the aspect
            ratio.
        crop: ``(height, width)`` of the centre crop in pixels; None crops nothing.
        mode: Name of the interpolation, ``"bilinear"`` or ``"bicubic"``.
        factor: Factor that scales pixel values of 0 to 255.
        mean: Mean of each channel after scaling.
        std: Standard deviation of each channel after scaling.
        crop_rounds: Whether a crop that begins at half a pixel is rounded to the even pixel, as
            torchvision does, instead of down, as transformers does.
    """

    size: tuple[int, int] | int
    crop: tuple[int, int] | None
    mode: str
    factor: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    crop_rounds: bool = False

    @classmethod
    def of(cls, processor: Any) -> "Preparation | None":
        """Return the steps of a processor of transformers; None if it has others.

        Args:
            processor: Image processor of a model.
        """
        name = type(processor).__name__.removesuffix("Pil").removesuffix("Fast")
        mode = _MODES.get(int(getattr(processor, "resample", None) or 0))
        steps = all(getattr(processor, step, False) for step in _STEPS)
        if name not in _FAMILIES or mode is None or not steps:
            return None
        size, crop = _size(processor.size), None
        if size is None:
            return None
        if getattr(processor, "do_center_crop", False):
            wanted = _size(processor.crop_size)
            height, width = (size, size) if isinstance(size, int) else size
            if not isinstance(wanted, tuple) or wanted[0] > height or wanted[1] > width:
                return None  # the crop would have to be padded
            crop = wanted
        mean, std = (tuple(map(float, v)) for v in (processor.image_mean, processor.image_std))
        return cls(size, crop, mode, float(processor.rescale_factor), mean, std)

    @classmethod
    def of_open_clip(cls, config: Mapping[str, Any]) -> "Preparation | None":
        """Return the steps of OpenCLIP's preprocessing; None if the config asks for others.

        Args:
            config: Fields of OpenCLIP's `PreprocessCfg`.
        """
        given, how = config["size"], config["resize_mode"]
        height, width = (given, given) if isinstance(given, int) else given
        size: tuple[int, int] | int
        if how == "squash":
            size, crop = (height, width), None
        elif how == "shortest" and height == width:
            size, crop = height, (height, width)
        else:
            return None  # "longest" pads the picture
        mode = "bilinear" if config["interpolation"] == "bilinear" else "bicubic"
        mean, std = (tuple(map(float, config[name])) for name in ("mean", "std"))
        return cls(size, crop, mode, 1 / 255, mean, std, crop_rounds=True)

    def __call__(self, pixels: Tensor) -> Tensor:
        """Map ``(n, h, w, 3)`` uint8 to ``(n, 3, h', w')`` float32, on the same device."""
        height, width = self._target(*pixels.shape[1:3])
        planes = pixels.permute(0, 3, 1, 2).float()
        # PIL resizes the width, then the height, and rounds to whole values after each.
        for size in ((planes.shape[2], width), (height, width)):
            if size != tuple(planes.shape[2:]):
                planes = F.interpolate(planes, size, mode=self.mode, antialias=True)
                planes = (planes + 0.5).floor().clamp(0, 255)
        if self.crop is not None:
            whole = round if self.crop_rounds else math.floor
            top, left = whole((height - self.crop[0]) / 2), whole((width - self.crop[1]) / 2)
            planes = planes[:, :, top : top + self.crop[0], left : left + self.crop[1]]
        mean, std = (
            torch.tensor(values, device=pixels.device)[:, None, None]
            for values in (self.mean, self.std)
        )
        return (planes * self.factor - mean) / std

    def _target(self, height: int, width: int) -> tuple[int, int]:
        if isinstance(self.size, tuple):
            return self.size
        short = min(height, width)
        return int(self.size * height / short), int(self.size * width / short)


def _size(given: Mapping[str, Any]) -> tuple[int, int] | int | None:
    """Return ``(height, width)`` or the shorter side; None if the size has another form."""
    size = {name: int(value) for name, value in dict(given).items() if value}
    if set(size) == {"shortest_edge"}:
        return size["shortest_edge"]
    return (size["height"], size["width"]) if set(size) == {"height", "width"} else None
