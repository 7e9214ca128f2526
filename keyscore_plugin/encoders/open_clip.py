"""Any CLIP-style dual encoder of OpenCLIP, among them PE-Core (the Perception Encoder).

A model is `open_clip_config.json` and `open_clip_model.safetensors`, as OpenCLIP itself saves and
publishes models, and is loaded from the hub, its cache or a folder. Weights that are a pickle are
not read, and no code that comes with a model is run.
"""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from PIL import Image
from safetensors import SafetensorError
from torch import Tensor
from typing_extensions import override

from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin._runtime.hub import OPEN_CLIP, first_line
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.encoders.base import DualEncoder
from keyscore_plugin.encoders.preprocess import Preparation
from keyscore_plugin.encoders.reading import is_latin, reader_of
from keyscore_plugin.errors import ModelError, shown
from keyscore_plugin.registries import OPEN_CLIP_PREFIX

_EXTRA = "open-clip"

_TOKENIZER_FILES = ("*.json", "*.txt", "*.model")  # of models that bring their own tokenizer
# The options that the models published by OpenCLIP use. Other options would cut texts at random
# places, or run code of the model.
_TOKENIZER_OPTIONS = {"clean", "language", "strip_sep_token"}
_PICTURES = {
    "interpolation": ("bicubic", "bilinear", "random"),
    "resize_mode": ("shortest", "longest", "squash"),
}
_PRECISION = {torch.float32: "fp32", torch.float16: "pure_fp16"}  # OpenCLIP's names


def require_open_clip() -> Any:
    """Import OpenCLIP, which needs a torchvision that loads.

    Raises:
        MissingDependencyError: OpenCLIP or torchvision is not installed, or does not load.
    """
    require("torchvision", extra=_EXTRA)
    return require("open_clip", extra=_EXTRA)


class OpenClipEncoder(DualEncoder):
    """A dual encoder of OpenCLIP, with its own preprocessing and tokenizer.

    On CUDA, frames are preprocessed on the GPU if `Preparation` can do what the model's config
    asks for.

    Args:
        model: Folder or hub model id, without ``open_clip:``.
        device: Device on which the model runs.
        local_files_only: Whether the model's files are loaded without asking the hub. A hub model
            may be built on another one, whose config OpenCLIP looks up on the hub; a folder may
            not.
        dtype: Number format of the weights, float32 or float16; None takes float32 on a CPU and
            float16 elsewhere.

    Raises:
        ModelError: The model cannot be loaded, or is not a dual encoder.
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
        super().__init__(OPEN_CLIP_PREFIX + model, device, dtype)
        self._open_clip: Any = require_open_clip()
        folder = self._folder(model, local_files_only=local_files_only)
        self._load(folder, may_ask_hub=not is_folder(model))

    def _folder(self, model: str, *, local_files_only: bool) -> Path:
        """Folder of the model's files, fetched if they are not on this machine."""
        folder = Path(model)
        if not is_folder(model):
            wanted = [OPEN_CLIP.config, *OPEN_CLIP.weights, *_TOKENIZER_FILES]
            try:
                folder = Path(
                    snapshot_download(
                        model, allow_patterns=wanted, local_files_only=local_files_only
                    )
                )
            except (OSError, ValueError) as error:
                raise self._does_not_load(first_line(error)) from error
        for file in (OPEN_CLIP.config, *OPEN_CLIP.weights):
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
        # OpenCLIP does not check a config before it builds a network from it, so a mistake in a
        # config can raise any of these.
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
            raise ValueError(f"its tokenizer has the option {unknown[0]!r}, which is not known")
        if not text.get("hf_tokenizer_name"):
            return self._open_clip.get_tokenizer(place)
        return self._open_clip.get_tokenizer(place, trust_remote_code=False)

    def _prepare(self, config: dict[str, Any]) -> None:
        """Set up the preprocessing that the model's config describes."""
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
            f"saved ({OPEN_CLIP.config}, {OPEN_CLIP.weights[0]}), or use encoder='conse'"
        )

    @override
    def _image_features(self, pixels: Tensor) -> Tensor:
        if self._on_device is not None:
            prepared = self._on_device(pixels.to(self.device))
        else:
            pictures = map(Image.fromarray, pixels.cpu().numpy())
            prepared = torch.stack([self._transform(picture) for picture in pictures])
        features: Tensor = self._model.encode_image(prepared.to(self.device, self._dtype))
        return features

    @override
    def _text_features(self, text: str) -> Tensor:
        features: Tensor = self._model.encode_text(self._tokenizer([text]).to(self.device))
        return features

    @override
    def _count_tokens(self, text: str) -> int:
        if self._is_bytewise():
            return len(self._tokenizer.encode(text)) + 2  # the marks of the beginning and the end
        cleaned = self._tokenizer.clean_fn(text)
        return len(self._tokenizer.tokenizer(cleaned, verbose=False)["input_ids"])

    @override
    def _reader(self) -> Callable[[str], bool]:
        if self._is_bytewise():
            return is_latin
        reads = reader_of(self._tokenizer.tokenizer)
        return lambda word: reads(self._tokenizer.clean_fn(word))

    def _is_bytewise(self) -> bool:
        """Whether the tokenizer is OpenCLIP's own, for English, which falls back to bytes."""
        return isinstance(self._tokenizer, self._open_clip.SimpleTokenizer)


def _require_no_hub(config: Mapping[str, Any]) -> None:
    """Check that OpenCLIP can build a model without asking a hub how another one is built."""
    text = config.get("text_cfg", {}).get("hf_model_name")
    vision = config.get("vision_cfg", {}).get("timm_model_name")
    source, colon, _ = str(vision).partition(":")
    if text and not is_folder(str(text)):
        raise ValueError(f"its config names {text!r}, which is not a folder, for its texts")
    if colon and source != "local-dir":
        raise ValueError(f"its config names {vision!r}, which is not a folder, for its pictures")


def _require_known(config: Mapping[str, Any]) -> None:
    """Check that a preprocessing config can be carried out."""
    for name, known in _PICTURES.items():
        if config[name] not in known:
            raise ValueError(f"its {name} is {config[name]!r}, not one of: {', '.join(known)}")
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
