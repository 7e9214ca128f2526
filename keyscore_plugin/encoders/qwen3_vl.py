"""Qwen3-VL-Embedding: the last hidden state of a Qwen3-VL embeds a frame or a text.

A frame or a text is put into the model's chat, after an instruction, and the hidden state of the
last token is its vector (arXiv 2601.04720, sec. 3.1; the instructions are those of the model card).
The chat is written here, not by the model's processor, which needs torchvision for videos.
"""

import inspect
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from typing_extensions import override

from keyscore_plugin.encoders.hf import TransformersEncoder
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


class Qwen3VLEncoder(TransformersEncoder):
    """A Qwen3-VL-Embedding of transformers, with its own preprocessing.

    Its vectors are as long as its hidden states: 2,048 numbers for the model of 2 billion weights,
    4,096 for the one of 8 billion.
    """

    half_precision = torch.bfloat16  # the number format of the training

    @override
    def _set_up(self) -> None:
        if self._model.config.model_type != "qwen3_vl":
            raise ModelError(
                f"{shown(self.name)} is a {type(self._model).__name__}, and its name is that of a "
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
