"""Any CLIP-style or SigLIP-style dual encoder of transformers, from the hub, its cache or a folder.

CLIP, SigLIP, SigLIP 2 (fixed size and naflex), MetaCLIP 2, ALIGN, AltCLIP, ChineseCLIP ...: what
has `get_image_features` and `get_text_features` with one vector each. The Perception Encoder is not
among them (transformers 5.23 has PE for audio and for whole videos, none for single images): that
is `keyscore_plugin.encoders.open_clip`.
Code that comes with a model is never run: `trust_remote_code` stays off, and weights that are a
pickle are read by torch's own reader of plain tensors, the default of transformers.
"""

import importlib.util
import math
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.hub import first_line
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.encoders.base import require_frames, require_text
from keyscore_plugin.encoders.precision import suited_batching, suited_dtype, unit_vectors
from keyscore_plugin.encoders.preprocess import Preparation
from keyscore_plugin.encoders.reading import reader_of, reading_of
from keyscore_plugin.errors import ModelError, shown
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding

# These were trained on texts padded to the full length and read the padding.
_READ_PADDING = ("align", "siglip", "siglip2")


def require_sound_torchvision() -> None:
    """See that torchvision loads where there is one: transformers imports it, and dies with it.

    Raises:
        MissingDependencyError: It does not load.
    """
    if importlib.util.find_spec("torchvision") is not None:
        require("torchvision", extra="transformers")


class HFEncoder:
    """A dual encoder of transformers, with its own preprocessing.

    Half precision on a GPU, float32 on a CPU: raw cosines differ by less than 2e-3, and the best
    frame is the same (of the pictures and tiny models in tests/unit/encoders/test_encoders.py;
    other frames may change places). What comes out is float32 and made unit length in float32;
    cosines, pooling and scores are float64 (`keyscore_plugin.algorithm.scoring`). On CUDA pictures
    are prepared there too, where it is known how (`Preparation`).

    Args:
        model: A folder or a hub model id.
        device: Where it runs.
        local_files_only: Do not ask the hub for anything.
        dtype: Of the weights; None is what suits the device.

    Raises:
        ModelError: It cannot be loaded, or is not a dual encoder.
        MissingDependencyError: A torchvision is installed that does not load, without which
            transformers cannot be imported.
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
        self.name = model
        self.device = device
        self._dtype = dtype or suited_dtype(device)
        self._load(local_files_only=local_files_only)
        self._batching = suited_batching(device)
        self._prepare = Preparation.of(self._image_processor) if device.type == "cuda" else None
        self.short_side = _short_side(self._image_processor)
        self._max_tokens = min(
            self._tokenizer.model_max_length, self._model.config.text_config.max_position_embeddings
        )
        self._padding = (
            "max_length" if self._model.config.model_type in _READ_PADDING else "do_not_pad"
        )

    def _load(self, *, local_files_only: bool) -> None:
        import transformers

        # The PIL processors need no torchvision and give every machine the same pixels. The
        # argument that asks for them changed its name within transformers 5.
        by_backend = importlib.util.find_spec("transformers.image_processing_backends") is not None
        pil: dict[str, Any] = {"backend": "pil"} if by_backend else {"use_fast": False}
        auto_image_processor: Any = transformers.AutoImageProcessor
        try:
            loaded: Any = transformers.AutoModel.from_pretrained(
                self.name, dtype=self._dtype, local_files_only=local_files_only
            )
            model = loaded.eval().to(self.device)  # whose memory may not hold it
            self._tokenizer = transformers.AutoTokenizer.from_pretrained(
                self.name, local_files_only=local_files_only
            )
            self._image_processor = auto_image_processor.from_pretrained(
                self.name, local_files_only=local_files_only, **pil
            )
        except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
            raise ModelError(
                f"cannot load the encoder {shown(self.name)}: {first_line(error)}; give a model "
                "with image processor and tokenizer, or use encoder='conse'"
            ) from error
        if not hasattr(model, "get_image_features") or not hasattr(model, "get_text_features"):
            raise ModelError(
                f"{shown(self.name)} is a {type(model).__name__}, which does not embed images and "
                "texts into one space; give a CLIP- or SigLIP-style model, or use encoder='conse'"
            )
        self._model = model

    @torch.inference_mode()
    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed frames; see `keyscore_plugin.encoders.base.Encoder`."""
        batches = self._batching.run(self._embed_pixels, require_frames(frames).pixels)
        vectors = torch.cat(list(progress.track("encode", batches, total=len(frames))))
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    @torch.inference_mode()
    def encode_text(self, text: str) -> TextEmbedding:
        """Embed one text; see `keyscore_plugin.encoders.base.Encoder`."""
        tokens = self._tokenizer(require_text(text), verbose=False)["input_ids"]
        inputs = self._tokenizer(
            text,
            padding=self._padding,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        )
        with exact_arithmetic(self.device):
            features = self._model.get_text_features(**inputs.to(self.device))
        return TextEmbedding(
            vector=self._unit(features)[0],
            model=self.name,
            n_tokens=len(tokens),
            max_tokens=self._max_tokens,
            reading=reading_of(text, reader_of(self._tokenizer)),
        )

    def _embed_pixels(self, pixels: Tensor) -> Tensor:
        """``(n, h, w, 3)`` uint8 to ``(n, d)`` unit vectors."""
        if self._prepare is not None:
            inputs = {"pixel_values": self._prepare(pixels.to(self.device)).to(self._dtype)}
        else:
            inputs = self._image_processor(
                images=list(pixels.cpu().numpy()),
                return_tensors="pt",
                input_data_format="channels_last",
            ).to(self.device, self._dtype)
        with exact_arithmetic(self.device):
            return self._unit(self._model.get_image_features(**inputs))

    def _unit(self, features: Any) -> Tensor:
        """Unit float32 vectors; transformers 4 hands out a tensor, 5 an object that holds it."""
        vectors = features if isinstance(features, Tensor) else features.pooler_output
        if vectors is None or vectors.ndim != 2:
            raise ModelError(
                f"{shown(self.name)} does not give one vector for an image or a text; "
                "give a CLIP- or SigLIP-style model, or use encoder='conse'"
            )
        return unit_vectors(vectors, encoder=self.name)


def _short_side(image_processor: Any) -> int:
    """Pixels of the shorter side that a frame is brought to."""
    if hasattr(image_processor, "max_num_patches"):  # naflex: so many patches, in any shape
        return math.isqrt(int(image_processor.max_num_patches)) * int(image_processor.patch_size)
    size = dict(image_processor.size)
    return int(size.get("shortest_edge") or min(size["height"], size["width"]))
