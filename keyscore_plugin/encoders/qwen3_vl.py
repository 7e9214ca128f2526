"""Qwen3-VL-Embedding: the last hidden state of a Qwen3-VL embeds a frame or a text.

A frame or a text is put into the model's chat, after an instruction, and the hidden state of the
last token is its vector (arXiv 2601.04720, sec. 3.1; the instructions are those of the model card).
The chat is written here, not by the model's processor, which needs torchvision for videos.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.encoders.base import DualEncoder
from keyscore_plugin.encoders.hf import load_parts, require_sound_torchvision
from keyscore_plugin.encoders.reading import reader_of
from keyscore_plugin.errors import ModelError, shown

QWEN3_VL_EMBEDDING = "qwen3-vl-embedding"  # in the name of every such model, in any case of letters
_BEFORE = "<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n"
_AFTER = "<|im_end|>\n<|im_start|>assistant\n"
_FRAME = "Represent the user's input."
_TEXT = "Retrieve images or text relevant to the user's query."
_MAX_TOKENS = 8192  # of the model card: those of the chat and of the text
_FEWEST_FRAME_TOKENS = 4  # of the model card
# Ours: the model card allows 1,800 a picture. A grid has hundreds of frames, and 128 tokens show a
# 16:9 frame in 270 lines.
_MOST_FRAME_TOKENS = 128


class Qwen3VLEncoder(DualEncoder):
    """A Qwen3-VL-Embedding of transformers, with its own preprocessing.

    Its vectors are as long as its hidden states: 2,048 numbers for the model of 2 billion weights,
    4,096 for the one of 8 billion.

    Args:
        model: Folder or hub model id.
        device: Device on which the model runs.
        local_files_only: Whether the model is loaded without asking the hub.
        dtype: Number format of the weights; None takes float32 on a CPU and bfloat16, in which the
            model was trained, elsewhere.

    Raises:
        ModelError: The model cannot be loaded, or is no Qwen3-VL.
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
        trained = None if device.type == "cpu" else torch.bfloat16
        super().__init__(model, device, dtype or trained)
        self._model, self._tokenizer, self._image_processor = load_parts(
            model, self._dtype, device, local_files_only=local_files_only
        )
        if self._model.config.model_type != "qwen3_vl":
            raise ModelError(
                f"{shown(model)} is a {type(self._model).__name__}, and its name is that of a "
                "Qwen3-VL-Embedding; give a folder of another name, or encoder='conse'"
            )
        side = self._image_processor.patch_size * self._image_processor.merge_size
        self.short_side = math.isqrt(_MOST_FRAME_TOKENS) * side
        self._size = {
            "shortest_edge": _FEWEST_FRAME_TOKENS * side**2,
            "longest_edge": _MOST_FRAME_TOKENS * side**2,
        }
        self._before_text = self._ids(_BEFORE.format(instruction=_TEXT))
        self._before_frame = self._ids(_BEFORE.format(instruction=_FRAME))
        self._after = self._ids(_AFTER)
        n_most = min(_MAX_TOKENS, self._tokenizer.model_max_length)
        self._max_tokens = n_most - len(self._before_text) - len(self._after)

    @override
    def _image_features(self, pixels: Tensor) -> Tensor:
        inputs = self._image_processor(
            images=list(pixels.cpu().numpy()),
            size=self._size,
            return_tensors="pt",
            input_data_format="channels_last",
        ).to(self.device, self._dtype)
        config = self._model.config
        # All frames of a batch have one size, and so as many tokens.
        n_patches = int(inputs["image_grid_thw"][0].prod())
        n_tokens = n_patches // self._image_processor.merge_size**2
        frame = [config.image_token_id] * n_tokens
        chat = [
            *self._before_frame,
            config.vision_start_token_id,
            *frame,
            config.vision_end_token_id,
            *self._after,
        ]
        return self._last_hidden([chat] * len(pixels), **inputs)

    @override
    def _text_features(self, text: str) -> Tensor:
        # Where one token ends and the next begins depends on both, so the text is not read alone.
        chat = self._ids(_BEFORE.format(instruction=_TEXT) + text)
        n_most = len(self._before_text) + self._max_tokens
        return self._last_hidden([[*chat[:n_most], *self._after]])

    @override
    def _count_tokens(self, text: str) -> int:
        chat = self._ids(_BEFORE.format(instruction=_TEXT) + text)
        return len(chat) - len(self._before_text)

    @override
    def _reader(self) -> Callable[[str], bool]:
        return reader_of(self._tokenizer)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]
        return ids

    def _last_hidden(self, chats: Sequence[Sequence[int]], **pictures: Any) -> Tensor:
        """The hidden states ``(n, d)`` of the last tokens of n chats of one length."""
        ids = torch.tensor(chats, device=self.device)
        if "mm_token_type_ids" in inspect.signature(self._model.forward).parameters:
            # transformers 5 does not look for the pictures by itself
            pictures["mm_token_type_ids"] = (ids == self._model.config.image_token_id).int()
        states: Tensor = self._model(
            input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False, **pictures
        ).last_hidden_state
        return states[:, -1]
