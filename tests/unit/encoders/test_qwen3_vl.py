"""Qwen3-VL-Embedding against the processor and the model of transformers by hand."""

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.errors import ModelError
from keyscore_plugin.types import Frames
from tests.support.tiny.encoders import SAVE, image_processor, save_qwen3_vl_embedding
from tests.support.tiny.family import hf
from tests.support.tiny.qwen import QWEN3_VL

QUERY = "Retrieve images or text relevant to the user's query."
DOCUMENT = "Represent the user's input."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("tiny-Qwen3-VL-Embedding")
    save_qwen3_vl_embedding(made)
    return made


def _vector(folder: Path, instruction: str, content: dict[str, Any]) -> torch.Tensor:
    """The recipe of the model card, by the model's own processor and chat template."""
    processor, _ = QWEN3_VL.build()
    processor.image_processor = image_processor("Qwen2VL").from_pretrained(folder)
    model = hf("Qwen3VLModel").from_pretrained(folder).eval()
    chat = [
        {"role": "system", "content": [{"type": "text", "text": instruction}]},
        {"role": "user", "content": [content]},
    ]
    text = processor.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
    pictures = [content["image"]] if "image" in content else None
    with torch.inference_mode():
        states = model(**processor(text=[text], images=pictures, return_tensors="pt"))
    return F.normalize(states.last_hidden_state[0, -1], dim=-1)


def test_texts_are_those_of_the_model_card(folder: Path) -> None:
    text = "\n a dog chases the red car"
    expected = _vector(folder, QUERY, {"type": "text", "text": text})
    actual = load_encoder(str(folder), device="cpu").encode_text(text)
    torch.testing.assert_close(actual.vector, expected, atol=1e-6, rtol=0)
    assert actual.n_tokens == len(text)  # the tiny tokenizer has one token a letter


def test_frames_are_those_of_the_model_card(folder: Path) -> None:
    chance = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (3, 96, 160, 3), dtype=torch.uint8, generator=chance)
    actual = load_encoder(str(folder), device="cpu").encode_frames(
        Frames(pixels, torch.arange(3), torch.arange(3.0))
    )
    for vector, picture in zip(actual.vectors, pixels, strict=True):
        image = Image.fromarray(picture.numpy())
        expected = _vector(folder, DOCUMENT, {"type": "image", "image": image})
        torch.testing.assert_close(vector, expected, atol=1e-6, rtol=0)


def test_another_model_of_this_name_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "qwen3-vl-embedding"
    folder.mkdir()
    SAVE["clip"](folder)
    with pytest.raises(ModelError, match=r"is a CLIPModel, and its name is that of a Qwen3-VL"):
        load_encoder(str(folder), device="cpu")
