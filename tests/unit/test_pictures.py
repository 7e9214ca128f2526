"""Pictures prepared as tensors, against the processors of transformers, which use PIL."""

from typing import Any

import pytest
import torch
from torch import Tensor

from keyscore_plugin.encoders.pictures import Preparation
from tests.tiny.encoders import image_processor

_SIDE = {"height": 24, "width": 24}
_PROCESSORS: dict[str, tuple[str, dict[str, Any]]] = {
    "clip": ("CLIP", {"size": {"shortest_edge": 24}, "crop_size": _SIDE}),
    "clip, smaller crop": (
        "CLIP",
        {"size": {"shortest_edge": 30}, "crop_size": {"height": 21, "width": 24}},
    ),
    "clip, no crop": ("CLIP", {"size": {"shortest_edge": 24}, "do_center_crop": False}),
    "siglip": ("Siglip", {"size": _SIDE}),
    "siglip, bilinear": ("Siglip", {"size": {"height": 19, "width": 31}, "resample": 2}),
}


def _pixels(height: int, width: int) -> Tensor:
    coarse = torch.rand(2, 3, 9, 9, generator=torch.Generator().manual_seed(0)) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic")
    return smooth.clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8)


@pytest.mark.parametrize("shape", [(24, 24), (60, 91), (91, 60), (17, 40), (33, 24)])
@pytest.mark.parametrize("name", _PROCESSORS)
def test_pictures_are_those_of_pil_to_one_level(name: str, shape: tuple[int, int]) -> None:
    family, settings = _PROCESSORS[name]
    processor = image_processor(family)(**settings)
    prepare = Preparation.of(processor)
    assert prepare is not None
    pixels = _pixels(*shape)
    expected = processor(images=list(pixels.numpy()), return_tensors="pt")["pixel_values"]
    actual = prepare(pixels)
    assert actual.shape == expected.shape
    assert actual.dtype == torch.float32
    levels = (actual - expected).abs() * 255 * torch.tensor(prepare.std)[:, None, None]
    assert float(levels.max()) < 1.01
    assert float(levels.mean()) < 0.3  # newer versions of PIL do the columns first at times


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("Siglip2", {"patch_size": 8, "max_num_patches": 16}),
        ("CLIP", {"size": {"shortest_edge": 20}, "crop_size": _SIDE}),
        ("CLIP", {"size": {"shortest_edge": 24}, "crop_size": _SIDE, "do_normalize": False}),
        ("CLIP", {"size": {"shortest_edge": 24, "longest_edge": 40}, "crop_size": _SIDE}),
        ("Siglip", {"size": _SIDE, "resample": 1}),
    ],
)
def test_what_is_not_known_here_is_left_to_transformers(
    family: str, settings: dict[str, Any]
) -> None:
    assert Preparation.of(image_processor(family)(**settings)) is None
