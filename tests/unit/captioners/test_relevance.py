"""A language model marks captions by the expected value of its digit; `clips` mixes it in."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keyscore_plugin import Caption, Frames, get_sampler
from keyscore_plugin.captioners.relevance import MARKS, PROMPT, RelevanceScorer, load_scorer
from keyscore_plugin.errors import ModelError
from tests.support.colour_encoder import ColourEncoder
from tests.support.requires import require_or_skip
from tests.support.tiny.llama import save_llama

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama of random weights and its tokenizer of one token a byte."""
    require_or_skip("transformers")
    return save_llama(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def scorer(folder: Path) -> RelevanceScorer:
    return load_scorer(str(folder), torch.device("cpu"))


CAPTIONS = ["a red bus", "a dog on a very long leash runs along the beach", "x"]


def test_a_mark_is_the_expected_value_of_the_digit(folder: Path, scorer: RelevanceScorer) -> None:
    from transformers import AutoTokenizer, LlamaForCausalLM

    model: Any = LlamaForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    marks = scorer.score("what runs?", CAPTIONS)
    for caption, mark in zip(CAPTIONS, marks.tolist(), strict=True):
        prompt = PROMPT.format(text="what runs?", caption=caption) + " "
        with torch.inference_mode():
            logits = model(**tokenizer(prompt, return_tensors="pt")).logits[0, -1]
        digits = torch.stack([logits[tokenizer.encode(str(mark))[0]] for mark in MARKS])
        expected = float(digits.double().softmax(0) @ torch.tensor(MARKS).double())
        assert mark == pytest.approx(expected, abs=1e-4)
    assert len({round(mark, 3) for mark in marks.tolist()}) == 3


def test_a_digit_that_begins_a_text_after_a_space_is_marked_after_the_space(folder: Path) -> None:
    """Llama 2, Mistral and Phi-3 write the space as a token before such a digit."""
    from tokenizers.normalizers import Prepend
    from transformers import AutoTokenizer, LlamaForCausalLM

    model: Any = LlamaForCausalLM.from_pretrained(folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.backend_tokenizer.normalizer = Prepend(" ")
    space, five = tokenizer.encode("5", add_special_tokens=False)
    (mark,) = RelevanceScorer(model, tokenizer).score("what runs?", CAPTIONS[:1])
    prompt = tokenizer(PROMPT.format(text="what runs?", caption=CAPTIONS[0]))["input_ids"]
    with torch.inference_mode():
        logits = model(torch.tensor([[*prompt, space]])).logits[0, -1]
    marks = torch.tensor(MARKS).double()
    probabilities = logits[five - 5 + torch.tensor(MARKS)].double().softmax(0)  # a token a byte
    assert float(mark) == pytest.approx(float(probabilities @ marks), abs=1e-4)


def test_a_caption_is_marked_alike_alone_and_among_others(scorer: RelevanceScorer) -> None:
    together = scorer.score("what runs?", CAPTIONS * 7)
    alone = torch.cat([scorer.score("what runs?", [caption]) for caption in CAPTIONS])
    assert torch.allclose(together, alone.repeat(7), atol=1e-5)


def test_what_is_no_language_model_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match=r"cannot load the language model .* give the folder"):
        load_scorer(str(tmp_path), torch.device("cpu"))


class ColourCaptioner:
    """Names the strongest channel of the frames."""

    name = "colour-words"

    def caption(self, frames: Frames) -> Caption:
        strongest = int(frames.pixels.float().mean((0, 1, 2)).argmax())
        return Caption(("red", "green", "blue")[strongest], origin="generated", model=self.name)


def test_clips_get_the_captions_as_reasons_and_a_share_of_the_marks(folder: Path) -> None:
    colours = np.array([(220, 20, 20), (20, 20, 220), (20, 200, 20), (220, 20, 20)])
    noise = np.random.default_rng(0).integers(-15, 15, (120, 48, 64, 3))
    pixels = (colours.repeat(30, axis=0)[:, None, None] + noise).clip(0, 255).astype(np.uint8)
    chosen = {}
    for share in (0.0, 1.0):
        sampler = get_sampler(
            "clips",
            encoder=ColourEncoder(),
            captioner=ColourCaptioner(),
            config={"clips": {"scorer": str(folder), "scorer_share": share}},
        )
        selection = sampler(pixels, num_frames=4, caption="green", fps=10)
        assert selection.captioner == ColourCaptioner.name
        chosen[share] = selection.clips
    by_encoder, by_marks = chosen[0.0], chosen[1.0]
    assert by_encoder is not None
    assert by_marks is not None
    assert by_encoder.reasons == ("green",)
    marks = load_scorer(str(folder), torch.device("cpu")).score("green", ["red", "blue", "green"])
    best = ("red", "blue", "green")[int(marks.argmax())]
    first = by_marks.weights.index(max(by_marks.weights))
    assert by_marks.reasons[first] == best


def test_a_scorer_without_a_captioner_is_refused(folder: Path) -> None:
    config = {"clips": {"scorer": str(folder)}}
    sampler = get_sampler("clips", encoder=ColourEncoder(), config=config)
    with pytest.raises(ModelError, match="there is no captioner; name one"):
        sampler(np.zeros((4, 48, 64, 3), dtype=np.uint8), num_frames=2, caption="red", fps=2)
