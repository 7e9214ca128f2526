"""The offline captioner, and captioners by name."""

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from keyscore_plugin.captioners import Captioner, load_captioner
from keyscore_plugin.captioners.labels import _enumerate, _word
from keyscore_plugin.captioners.vlm import VlmCaptioner
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.types import Frames
from tests.support import tiny
from tests.support.skimage_pictures import picture


def _frames(*pixels: torch.Tensor) -> Frames:
    n = len(pixels)
    return Frames(torch.stack(pixels), torch.arange(n), torch.arange(float(n)))


def _labels() -> Captioner:
    captioner = load_captioner("labels", device="cpu")
    assert captioner is not None
    return captioner


def test_sentence_says_what_is_there_and_that_it_was_generated() -> None:
    caption = _labels().caption(_frames(picture("chelsea.png")))
    assert caption.text == "A video that seems to show a cat."
    assert (caption.origin, caption.model) == ("generated", "labels")


def test_every_frame_counts() -> None:
    cat = picture("chelsea.png")[:300, :400]
    coffee = picture("coffee.png")[:300, 100:500]
    text = _labels().caption(_frames(cat, coffee, cat)).text
    assert "a cat" in text
    assert "espresso" in text


def test_nothing_is_claimed_about_noise() -> None:
    grey = torch.full((64, 64, 3), 127, dtype=torch.uint8)
    noise = torch.randint(0, 256, (64, 64, 3), generator=torch.Generator().manual_seed(0))
    for pixels in (grey, noise.to(torch.uint8)):
        assert " dog" not in _labels().caption(_frames(pixels)).text


def test_no_frames_are_refused() -> None:
    empty = Frames(torch.zeros(0, 4, 4, 3, dtype=torch.uint8), torch.arange(0), torch.zeros(0))
    with pytest.raises(InputError, match="no frames"):
        _labels().caption(empty)


@pytest.mark.parametrize(
    ("words", "phrase"),
    [
        (["tram"], "a tram"),
        (["umbrella", "jeans"], "an umbrella and jeans"),
        (
            ["unicycle", "Egyptian Mau", "water glass"],
            "a unicycle, an Egyptian Mau and a water glass",
        ),
    ],
)
def test_words_become_a_phrase(words: list[str], phrase: str) -> None:
    assert _enumerate(words) == phrase


@pytest.mark.parametrize(
    ("name", "kind", "word"),
    [
        ("Egyptian Mau", "cat", "cat"),
        ("espresso", "food", "espresso"),
        ("handrail / baluster", "", "handrail"),
        ("military hat (bearskin or shako)", "", "military hat"),
        ("gas mask or respirator", "", "gas mask"),
    ],
)
def test_class_is_called_by_a_plain_word(name: str, kind: str, word: str) -> None:
    assert _word(name, kind) == word


def test_captioner_object_and_none_are_handed_back() -> None:
    labels = _labels()
    assert load_captioner(labels) is labels
    assert load_captioner(None) is None


@pytest.fixture(scope="module")
def vlm_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.save("qwen2_5_vl", tmp_path_factory.mktemp("vlm"))


def test_a_video_llm_is_loaded_from_its_folder(vlm_folder: Path) -> None:
    captioner = load_captioner(str(vlm_folder), device="cpu")
    assert isinstance(captioner, VlmCaptioner)
    assert captioner.name == str(vlm_folder)
    frames = _frames(picture("chelsea.png"), picture("chelsea.png").flip(1))
    processor, model = tiny.build("qwen2_5_vl")
    assert captioner.caption(frames).text == VlmCaptioner(model, processor).caption(frames).text


def test_a_model_that_reads_no_videos_is_refused(tmp_path: Path) -> None:
    processor, model = tiny.build("qwen2_5_vl")
    model.save_pretrained(tmp_path)
    of_stills: Any = transformers.LlavaProcessor
    of_stills(processor.image_processor, processor.tokenizer).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match=r"reads no videos; give a Video-LLM"):
        load_captioner(str(tmp_path), device="cpu")


def test_a_video_llm_that_the_memory_does_not_hold_is_one_line(
    vlm_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nAdvice")

    monkeypatch.setattr(torch.nn.Module, "to", full)
    with pytest.raises(ModelError, match=r"cannot load the captioner .*out of memory") as error:
        load_captioner(str(vlm_folder), device="cpu")
    assert "\n" not in str(error.value)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot load the captioner .*captioner='labels'"):
        load_captioner(str(tmp_path), device="cpu")


def test_unknown_captioner_is_one_line_that_names_the_offline_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match=r"no captioner 'poet': .* use captioner='labels'"):
        load_captioner("poet")
