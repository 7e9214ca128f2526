"""Pictures prepared as tensors, against transformers and OpenCLIP, which use PIL."""

from dataclasses import asdict
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.encoders.preprocess import Preparation
from tests.support.requires import require_or_skip
from tests.support.tiny.encoders import image_processor

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


_OPEN_CLIP: dict[str, dict[str, Any]] = {
    "PE-Core": {"size": (24, 24), "resize_mode": "squash", "interpolation": "bilinear"},
    "squash, not square": {"size": (19, 31), "resize_mode": "squash", "interpolation": "bilinear"},
    "CLIP": {"size": 24, "resize_mode": "shortest", "interpolation": "bicubic"},
}


@pytest.mark.parametrize("shape", [(24, 24), (60, 91), (91, 60), (17, 40), (24, 31), (33, 24)])
@pytest.mark.parametrize("name", _OPEN_CLIP)
def test_pictures_are_those_of_open_clip_to_one_level(name: str, shape: tuple[int, int]) -> None:
    require_or_skip("open_clip")
    transform = require("open_clip", extra="open-clip").transform
    config = transform.PreprocessCfg(**_OPEN_CLIP[name])
    prepare = Preparation.of_open_clip(asdict(config))
    assert prepare is not None
    pixels = _pixels(*shape)
    by_hand = transform.image_transform_v2(config, is_train=False)
    expected = torch.stack([by_hand(Image.fromarray(picture.numpy())) for picture in pixels])
    actual = prepare(pixels)
    assert actual.shape == expected.shape
    assert actual.dtype == torch.float32
    levels = (actual - expected).abs() * 255 * torch.tensor(prepare.std)[:, None, None]
    assert float(levels.max()) < 1.01
    assert float(levels.mean()) < 0.3


@pytest.mark.parametrize(
    "how", [{"size": 24, "resize_mode": "longest"}, {"size": (24, 30), "resize_mode": "shortest"}]
)
def test_what_is_not_known_here_is_left_to_open_clip(how: dict[str, Any]) -> None:
    config = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", **how}
    assert Preparation.of_open_clip(config) is None
