"""Any CLIP-style or SigLIP-style dual encoder of transformers, from the hub, its cache or a folder.

This covers every model whose `get_image_features` and `get_text_features` give one vector each:
CLIP, SigLIP, SigLIP 2 (fixed size and naflex), MetaCLIP 2, ALIGN, AltCLIP, ChineseCLIP ... The
Perception Encoder is not among them (transformers 5.23 has PE for audio and for whole videos only);
use `keyscore_plugin.encoders.open_clip` for it.
Code that comes with a model is never run: `trust_remote_code` stays off, and pickled weights are
read by torch's reader of plain tensors, the default of transformers.
"""

import importlib.util
import math
from abc import abstractmethod
from collections.abc import Callable
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from typing_extensions import override

from keyscore_plugin._runtime.hub import first_line
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.encoders.base import DualEncoder
from keyscore_plugin.encoders.preprocess import Preparation
from keyscore_plugin.encoders.reading import reader_of
from keyscore_plugin.errors import ModelError, shown

# These were trained on texts padded to the full length, so the padding matters to them.
_READ_PADDING = ("align", "siglip", "siglip2")


def require_sound_torchvision() -> None:
    """Check that torchvision loads if it is installed; a broken one breaks transformers' import.

    Raises:
        MissingDependencyError: torchvision is installed and does not load.
    """
    if importlib.util.find_spec("torchvision") is not None:
        require("torchvision", extra="transformers")


def _load_parts(
    name: str, dtype: torch.dtype, device: torch.device, *, local_files_only: bool
) -> tuple[Any, Any, Any]:
    """Load a model without its heads, its tokenizer and its image processor.

    Raises:
        ModelError: One of them cannot be loaded.
    """
    import transformers

    # The PIL processors need no torchvision and give the same pixels on every machine. Their
    # argument was renamed within transformers 5.
    by_backend = importlib.util.find_spec("transformers.image_processing_backends") is not None
    pil: dict[str, Any] = {"backend": "pil"} if by_backend else {"use_fast": False}
    auto_image_processor: Any = transformers.AutoImageProcessor
    try:
        loaded: Any = transformers.AutoModel.from_pretrained(
            name, dtype=dtype, local_files_only=local_files_only
        )
        model = loaded.eval().to(device)  # fails if the device's memory is too small
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            name, local_files_only=local_files_only
        )
        image_processor = auto_image_processor.from_pretrained(
            name, local_files_only=local_files_only, **pil
        )
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"cannot load the encoder {shown(name)}: {first_line(error)}; give a model "
            "with image processor and tokenizer, or use encoder='conse'"
        ) from error
    return model, tokenizer, image_processor


class TransformersEncoder(DualEncoder):
    """Base class of the encoders whose network, tokenizer and image processor transformers loads.

    A subclass checks the network and reads its sizes in `_set_up`.

    Args:
        model: Folder or hub model id.
        device: Device on which the model runs.
        local_files_only: Whether the model is loaded without asking the hub.
        dtype: Number format of the weights; None takes float32 on a CPU and the `half_precision`
            of the class elsewhere.

    Raises:
        ModelError: The model cannot be loaded, or is not of the kind that the class takes.
        MissingDependencyError: The installed torchvision does not load, so transformers cannot be
            imported.
    """

    def __init__(
        self,
        model: str,
        device: torch.device,
        *,
        local_files_only: bool,
        dtype: torch.dtype | None = None,
    ) -> None:
        require_sound_torchvision()
        super().__init__(model, device, dtype)
        self._model, self._tokenizer, self._image_processor = _load_parts(
            model, self._dtype, device, local_files_only=local_files_only
        )
        self._set_up()

    @override
    def _reader(self) -> Callable[[str], bool]:
        return reader_of(self._tokenizer)

    @abstractmethod
    def _set_up(self) -> None:
        """Check the network that was loaded, and set `short_side` and what the features need.

        Raises:
            ModelError: The network is not of the kind that the class takes.
        """


class HFEncoder(TransformersEncoder):
    """A CLIP-style or SigLIP-style dual encoder of transformers, with its own preprocessing.

    Half precision moves raw cosines by less than 2e-3 and keeps the best frame (measured on the
    pictures and tiny models of tests/unit/encoders/test_encoders.py; the order of other frames may
    change). On CUDA, frames are preprocessed on the GPU if `Preparation` can do what the model's
    image processor does.
    """

    @override
    def _set_up(self) -> None:
        towers = ("get_image_features", "get_text_features")
        if not all(hasattr(self._model, tower) for tower in towers):
            raise ModelError(
                f"{shown(self.name)} is a {type(self._model).__name__}, which does not embed "
                "images and texts into one space; give a CLIP- or SigLIP-style model, or use "
                "encoder='conse'"
            )
        is_on_gpu = self.device.type == "cuda"
        self._prepare = Preparation.of(self._image_processor) if is_on_gpu else None
        self.short_side = _short_side(self._image_processor)
        self._max_tokens = min(
            self._tokenizer.model_max_length, self._model.config.text_config.max_position_embeddings
        )
        self._padding = (
            "max_length" if self._model.config.model_type in _READ_PADDING else "do_not_pad"
        )

    @override
    def _image_features(self, pixels: Tensor) -> Tensor:
        if self._prepare is not None:
            inputs = {"pixel_values": self._prepare(pixels.to(self.device)).to(self._dtype)}
        else:
            inputs = self._image_processor(
                images=list(pixels.cpu().numpy()),
                return_tensors="pt",
                input_data_format="channels_last",
            ).to(self.device, self._dtype)
        return self._vectors(self._model.get_image_features(**inputs))

    @override
    def _text_features(self, text: str) -> Tensor:
        inputs = self._tokenizer(
            text,
            padding=self._padding,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        )
        return self._vectors(self._model.get_text_features(**inputs.to(self.device)))

    @override
    def _count_tokens(self, text: str) -> int:
        return len(self._tokenizer(text, verbose=False)["input_ids"])

    def _vectors(self, features: Any) -> Tensor:
        """Return ``(n, d)`` features; transformers 4 gives a tensor, 5 an object that holds it."""
        vectors = features if isinstance(features, Tensor) else features.pooler_output
        if not isinstance(vectors, Tensor) or vectors.ndim != 2:
            raise ModelError(
                f"{shown(self.name)} does not give exactly one vector for each image or text; "
                "give a CLIP- or SigLIP-style model, or use encoder='conse'"
            )
        return vectors


def _short_side(image_processor: Any) -> int:
    """Pixels of the shorter side to which a frame is resized."""
    if hasattr(image_processor, "max_num_patches"):  # naflex: a number of patches in any shape
        return math.isqrt(int(image_processor.max_num_patches)) * int(image_processor.patch_size)
    size = dict(image_processor.size)
    return int(size.get("shortest_edge") or min(size["height"], size["width"]))
