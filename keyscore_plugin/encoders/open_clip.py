"""Any CLIP-style dual encoder of OpenCLIP, among them PE-Core (the Perception Encoder).

From the hub, its cache or a folder: `open_clip_config.json` and `open_clip_model.safetensors`, as
OpenCLIP itself saves and publishes models. Weights that are a pickle are not read, and no code that
comes with a model is run.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.hub import Layout, first_line
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.encoders.base import require_frames, require_text
from keyscore_plugin.encoders.precision import suited_batching, suited_dtype, unit_vectors
from keyscore_plugin.encoders.preprocess import Preparation
from keyscore_plugin.encoders.reading import is_latin, reader_of, reading_of
from keyscore_plugin.errors import ModelError, shown
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding

PREFIX = "open_clip:"  # of the names that `load_encoder` hands to this module
LAYOUT = Layout(config="open_clip_config.json", weights=("open_clip_model.safetensors",))
_EXTRA = "open-clip"

_TOKENIZER_FILES = ("*.json", "*.txt", "*.model")  # where a model does not use OpenCLIP's own
# All that the models published by OpenCLIP give. Others would cut texts at random, or run code of
# the model.
_TOKENIZER_OPTIONS = {"clean", "language", "strip_sep_token"}
_PICTURES = {
    "interpolation": ("bicubic", "bilinear", "random"),
    "resize_mode": ("shortest", "longest", "squash"),
}
_PRECISION = {torch.float32: "fp32", torch.float16: "pure_fp16"}  # as OpenCLIP calls them


def require_open_clip() -> Any:
    """OpenCLIP, which imports torchvision and dies with one that does not load.

    Raises:
        MissingDependencyError: One of them is not installed, or does not load.
    """
    require("torchvision", extra=_EXTRA)
    return require("open_clip", extra=_EXTRA)


class OpenClipEncoder:
    """A dual encoder of OpenCLIP, with its own preprocessing and tokenizer.

    Half precision on a GPU, float32 on a CPU; what comes out is float32 and made unit length in
    float32. On CUDA pictures are prepared there too, where it is known how (`Preparation`).

    Args:
        model: A folder or a hub model id, without `PREFIX`.
        device: Where it runs.
        local_files_only: Do not ask the hub for the model's files. One of the hub may be built on
            another one, whose config OpenCLIP then looks up there; a folder may not.
        dtype: Of the weights, float32 or float16; None is what suits the device.

    Raises:
        ModelError: It cannot be loaded, or is not a dual encoder.
        MissingDependencyError: OpenCLIP or its torchvision is not installed, or does not load.
    """

    def __init__(
        self,
        model: str,
        device: torch.device,
        *,
        local_files_only: bool,
        dtype: torch.dtype | None = None,
    ) -> None:
        self.name = PREFIX + model
        self.device = device
        self._dtype = dtype or suited_dtype(device)
        self._open_clip: Any = require_open_clip()
        folder = self._folder(model, local_files_only=local_files_only)
        self._load(folder, may_ask_hub=not is_folder(model))
        self._batching = suited_batching(device)

    def _folder(self, model: str, *, local_files_only: bool) -> Path:
        """Where the files lie; fetched if they are not here yet."""
        folder = Path(model)
        if not is_folder(model):
            wanted = [LAYOUT.config, *LAYOUT.weights, *_TOKENIZER_FILES]
            try:
                folder = Path(
                    snapshot_download(
                        model, allow_patterns=wanted, local_files_only=local_files_only
                    )
                )
            except (OSError, ValueError) as error:
                raise self._does_not_load(first_line(error)) from error
        for file in (LAYOUT.config, *LAYOUT.weights):
            if not (folder / file).is_file():
                raise self._does_not_load(f"it has no {file}")
        return folder

    def _load(self, folder: Path, *, may_ask_hub: bool) -> None:
        place = f"local-dir:{folder}"
        try:
            if not may_ask_hub:
                _require_no_hub(self._open_clip.get_model_config(place) or {})
            model = self._open_clip.create_model(
                place,
                precision=_PRECISION[self._dtype],
                device=self.device,
                require_pretrained=True,
            )
            self._tokenizer = self._load_tokenizer(place)
            self._prepare(self._open_clip.get_model_preprocess_cfg(model))
        # OpenCLIP builds networks from a config as it comes: what is wrong in it shows as any of
        # these.
        except (
            OSError,
            ValueError,
            RuntimeError,
            LookupError,
            ArithmeticError,
            TypeError,
            AttributeError,
            AssertionError,
            SafetensorError,
        ) as error:
            raise self._does_not_load(first_line(error)) from error
        if not hasattr(model, "encode_image") or not hasattr(model, "encode_text"):
            raise self._does_not_load(f"a {type(model).__name__} does not embed images and texts")
        self._model = model.eval()

    def _load_tokenizer(self, place: str) -> Any:
        text = self._open_clip.get_model_config(place)["text_cfg"]
        unknown = sorted(set(text.get("tokenizer_kwargs", {})) - _TOKENIZER_OPTIONS)
        if unknown:
            raise ValueError(f"its tokenizer is to be made with {unknown[0]!r}, which is not known")
        if not text.get("hf_tokenizer_name"):
            return self._open_clip.get_tokenizer(place)
        return self._open_clip.get_tokenizer(place, trust_remote_code=False)

    def _prepare(self, config: dict[str, Any]) -> None:
        """Take over what is done to a picture."""
        _require_known(config)
        size = config["size"]
        self.short_side = int(size if isinstance(size, int) else min(size))
        self._max_tokens = int(self._tokenizer.context_length)
        self._on_device = Preparation.of_open_clip(config) if self.device.type == "cuda" else None
        transform = self._open_clip.transform
        self._transform = transform.image_transform_v2(
            transform.PreprocessCfg(**config), is_train=False
        )

    def _does_not_load(self, reason: str) -> ModelError:
        return ModelError(
            f"cannot load the encoder {shown(self.name)}: {reason}; give a model that OpenCLIP "
            f"saved ({LAYOUT.config}, {LAYOUT.weights[0]}), or use encoder='conse'"
        )

    @torch.inference_mode()
    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed frames; see `keyscore_plugin.encoders.base.Encoder`."""
        batches = self._batching.run(self._embed_pixels, require_frames(frames).pixels)
        vectors = torch.cat(list(progress.track("encode", batches, total=len(frames))))
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    @torch.inference_mode()
    def encode_text(self, text: str) -> TextEmbedding:
        """Embed one text; see `keyscore_plugin.encoders.base.Encoder`."""
        n_tokens = self._count_tokens(require_text(text))
        with exact_arithmetic(self.device):
            features = self._model.encode_text(self._tokenizer([text]).to(self.device))
        return TextEmbedding(
            vector=unit_vectors(features, encoder=self.name)[0],
            model=self.name,
            n_tokens=n_tokens,
            max_tokens=self._max_tokens,
            reading=reading_of(text, self._reads),
        )

    def _reads(self, word: str) -> bool:
        if isinstance(self._tokenizer, self._open_clip.SimpleTokenizer):  # English, byte by byte
            return is_latin(word)
        return reader_of(self._tokenizer.tokenizer)(self._tokenizer.clean_fn(word))

    def _count_tokens(self, text: str) -> int:
        """Tokens of the whole text, which OpenCLIP's tokenizers cut without a word."""
        if isinstance(self._tokenizer, self._open_clip.SimpleTokenizer):
            return len(self._tokenizer.encode(text)) + 2  # the marks of the beginning and the end
        cleaned = self._tokenizer.clean_fn(text)
        return len(self._tokenizer.tokenizer(cleaned, verbose=False)["input_ids"])

    def _embed_pixels(self, pixels: Tensor) -> Tensor:
        """``(n, h, w, 3)`` uint8 to ``(n, d)`` unit vectors."""
        if self._on_device is not None:
            prepared = self._on_device(pixels.to(self.device))
        else:
            pictures = map(Image.fromarray, pixels.cpu().numpy())
            prepared = torch.stack([self._transform(picture) for picture in pictures])
        with exact_arithmetic(self.device):
            features = self._model.encode_image(prepared.to(self.device, self._dtype))
        return unit_vectors(features, encoder=self.name)


def _require_no_hub(config: Mapping[str, Any]) -> None:
    """See that OpenCLIP builds a model without asking a hub how another one is built."""
    text = config.get("text_cfg", {}).get("hf_model_name")
    vision = config.get("vision_cfg", {}).get("timm_model_name")
    source, colon, _ = str(vision).partition(":")
    if text and not is_folder(str(text)):
        raise ValueError(f"its config names {text!r}, which is no folder, for its texts")
    if colon and source != "local-dir":
        raise ValueError(f"its config names {vision!r}, which is no folder, for its pictures")


def _require_known(config: Mapping[str, Any]) -> None:
    """See that a preprocessing config says something that can be done to a picture."""
    for name, known in _PICTURES.items():
        if config[name] not in known:
            raise ValueError(f"its {name} is {config[name]!r}, none of: {', '.join(known)}")
    for name in ("mean", "std"):
        if not _are_three_numbers(config[name]) or (name == "std" and min(config[name]) <= 0):
            wanted = "three numbers" if name == "mean" else "three positive numbers"
            raise ValueError(f"its {name} is {config[name]!r}, not {wanted}")


def _are_three_numbers(values: Any) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == 3
        and all(isinstance(value, int | float) and math.isfinite(value) for value in values)
    )
