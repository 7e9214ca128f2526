"""Where chosen frames go into a model of lmms-eval."""

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lmms_eval import protocol
from PIL import Image
from torch import Tensor

from keyscore_lmms_eval.model_table import Host
from keyscore_lmms_eval.planned_video import plan_of
from keyscore_lmms_eval.planning import Plan, read_shown
from keyscore_plugin.hosts import Fold
from keyscore_qwen_vl_utils import install
from keyscore_qwen_vl_utils.reader import FRAMES_PER_PATCH
from keyscore_transformers.families import processor_fold


def fold_of(host: Host, processor: Any) -> Fold:
    """How this host folds the frames that it gets into visual tokens."""
    if host.seam == "fetch_video":  # reads whole patches, for hosts that fold and hosts that do not
        return Fold(FRAMES_PER_PATCH)
    if host.seam == "processor":
        return processor_fold(processor)
    return Fold()


def open_seam(model: Any, host: Host) -> "PlannedLoader | None":
    """Prepare the place where frames go in; returns the loader that needs each document's plans."""
    if host.seam == "fetch_video":
        install()
    elif host.seam == "segments":
        install_segments(type(model))
    elif host.seam == "load_video":
        model.load_video = loader = PlannedLoader(model.load_video)
        return loader
    return None


@contextmanager
def fresh_images(host: Host) -> Iterator[None]:
    """Inside the block every image of a message is encoded by itself.

    The message builders of lmms-eval (0.7.3) remember encoded images by ``id(image)`` and drop the
    images, so that a later frame which happens to get the same address is sent as the earlier one.
    """
    if host.seam != "fetch_video" or host.processor is not None:
        yield
        return
    builders: Any = protocol
    stock = builders.encode_image_to_base64

    def encode(*args: Any, **kwargs: Any) -> Any:
        return stock(*args, **{**kwargs, "cache": None})

    builders.encode_image_to_base64 = encode
    try:
        yield
    finally:
        builders.encode_image_to_base64 = stock


class PlannedLoader:
    """The method ``load_video`` of a model that recognises strings by ``type(x) is str``.

    Such a host loses what a path carries, so the plans are set here before each document.

    Args:
        stock: Method of the model, for files that the host takes for videos by mistake.
    """

    def __init__(self, stock: Callable[[Any, int], npt.NDArray[np.uint8]]) -> None:
        self._stock = stock
        self.plans: Sequence[Plan] = ()

    def __call__(self, video: Any, max_frames: int) -> npt.NDArray[np.uint8]:
        """``(n, height, width, 3)`` uint8 frames of the first video; a host asks for no other."""
        path = video if isinstance(video, str) else video[0]
        plan = next((plan for plan in self.plans if plan.span.path == path), None)
        if plan is None:
            return self._stock(video, max_frames)
        pixels: npt.NDArray[np.uint8] = read_shown(plan).pixels.numpy()
        return pixels


@dataclass(frozen=True, slots=True)
class Segments:
    """The function ``load_video`` of InternVL's modules, which cuts frames into tiles.

    Attributes:
        stock: Function of the module.
        module: Module with the functions for tiles.
    """

    stock: Callable[..., tuple[Tensor, list[int]]]
    module: Any

    def __call__(
        self,
        video_path: str,
        bound: tuple[float, float] | None = None,
        input_size: int = 448,
        max_num: int = 1,
        num_segments: int = 32,
    ) -> tuple[Tensor, list[int]]:
        """The tiles of all frames, and the number of tiles of each frame, as the stock function."""
        plan = plan_of(video_path)
        if plan is None:
            return self.stock(video_path, bound, input_size, max_num, num_segments)
        transform = self.module.build_transform(input_size=input_size)
        frames = [
            torch.stack([transform(tile) for tile in self._tiles(pixels, input_size, max_num)])
            for pixels in read_shown(plan).pixels
        ]
        return torch.cat(frames), [len(tiles) for tiles in frames]

    def _tiles(self, pixels: Tensor, input_size: int, max_num: int) -> list[Image.Image]:
        tiles: list[Image.Image] = self.module.dynamic_preprocess(
            Image.fromarray(pixels.numpy()),
            image_size=input_size,
            use_thumbnail=True,
            max_num=max_num,
        )
        return tiles


def install_segments(model_class: type[Any]) -> None:
    """Put `Segments` before the function of the module that the class takes it from."""
    for base in model_class.__mro__:
        module: Any = importlib.import_module(base.__module__)
        stock = getattr(module, "load_video", None)
        if stock is not None and not isinstance(stock, Segments):
            module.load_video = Segments(stock, module)
