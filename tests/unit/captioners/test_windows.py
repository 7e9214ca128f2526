"""Windows of captions through a language model: LLMVS's embeddings, and scores without a head."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from keyscore_plugin.captioners.windows import (
    PROMPT_FILE,
    WindowPrompt,
    WindowReader,
    number_of,
    windows,
)
from keyscore_plugin.errors import InputError, ModelError
from tests.support.tiny.llama import language_model

CAPTIONS = ["A dog.", "A dog runs along a long beach.", "", "A dog.", "It jumps.", "A cat sleeps."]
PROMPT = WindowPrompt("Judge frame 0.\nFrames:\n-1: x\n0: y\nDigit: 3\nFrames:\n", "\nDigit:")
FAMILIES = ["Llama", "Qwen2"]


def reader(family: str = "Llama", **settings: Any) -> WindowReader:
    model, tokenizer = language_model(family, positions=settings.pop("positions", 1024), chats=True)
    given: dict[str, Any] = {"prompt": PROMPT, "window": 3, **settings}
    return WindowReader(model, tokenizer, **given)


def by_hand(family: str, row: int, *, answer: bool) -> tuple[Tensor, str, Tensor]:
    """Embedding, answer and logits of one window, by `generate` over the whole prompt."""
    model, tokenizer = language_model(family, chats=True)
    window = windows(CAPTIONS, 3)[row] + PROMPT.after
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": PROMPT.before + window}],
        tokenize=False,
        add_generation_prompt=True,
    )
    inputs = tokenizer(prompt, return_tensors="pt", add_special_tokens=False)
    done = model.generate(
        **inputs,
        max_new_tokens=9,
        do_sample=False,
        output_hidden_states=True,
        output_logits=True,
        return_dict_in_generate=True,
        pad_token_id=0,
    )
    start = len(tokenizer(prompt[: prompt.rindex(window)], add_special_tokens=False)["input_ids"])
    states = done.hidden_states[0][-1][0, start : start + len(window.encode())]
    written = done.sequences[0, inputs["input_ids"].shape[1] :]
    ends = [*(written == tokenizer.eos_token_id).nonzero().flatten().tolist(), 8]
    if answer:  # step i + 1 reads token i of the answer
        states = torch.cat([states, *(done.hidden_states[i + 1][-1][0] for i in range(ends[0]))])
    text = tokenizer.decode(written[: ends[0]], skip_special_tokens=True)
    return states.amax(0), text, done.logits[0][0]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("answer", ["none", "generate"])
def test_an_embedding_is_the_maximum_over_window_question_and_answer(
    family: str, answer: Any
) -> None:
    """Tokens of the instruction, the examples and the template are not among them."""
    found = reader(family).embed(CAPTIONS, answer=answer)
    expected = [by_hand(family, row, answer=answer == "generate")[0] for row in range(6)]
    assert torch.allclose(found, torch.stack(expected), atol=1e-5)
    assert found.dtype == torch.float32
    assert len({tuple(row) for row in found.tolist()}) == 6


@pytest.mark.parametrize("family", FAMILIES)
def test_batches_and_kept_prefixes_change_no_embedding(family: str) -> None:
    many = [f"Caption {row} {'and more ' * (row % 5)}" for row in range(20)]
    kept, read_again = reader(family), reader(family, caches=False)
    together = kept.embed(many, answer="generate")
    assert torch.allclose(together, read_again.embed(many, answer="generate"), atol=1e-5)
    assert torch.allclose(kept.embed(many[:2]), read_again.embed(many[:2]), atol=1e-5)
    alone = reader(family, window=1)
    single = torch.cat([alone.embed([one]) for one in many])
    assert torch.allclose(alone.embed(many), single, atol=1e-5)


def test_the_kept_prefix_is_read_once_and_equal_windows_are_too() -> None:
    kept, read_again = reader(), reader(caches=False)
    for one in (kept, read_again):
        one.embed(CAPTIONS)
    n_prefix = len(f"<{'|im_start|>user'}\n{PROMPT.before}") - len("<|im_start|>") + 1
    assert read_again.n_tokens - kept.n_tokens == 5 * n_prefix
    before = kept.n_tokens
    still = kept.embed(["A dog."] * 30)
    assert kept.n_tokens - before < 3 * 150  # the first, the last, and those in between
    assert len(still) == 30


def test_a_score_is_the_expected_digit_over_nine() -> None:
    _, tokenizer = language_model(chats=True)
    digits = [tokenizer.encode(str(digit))[0] for digit in range(10)]
    for row, score in enumerate(reader().expect(CAPTIONS).tolist()):
        logits = by_hand("Llama", row, answer=False)[2][digits]
        expected = float(logits.double().softmax(0) @ torch.arange(10.0).double()) / 9
        assert score == pytest.approx(expected, abs=1e-5)


def test_an_answer_is_what_generate_writes() -> None:
    assert reader().answers(CAPTIONS) == [by_hand("Llama", row, answer=True)[1] for row in range(6)]


def test_one_pass_reads_each_caption_once_and_knows_only_the_past() -> None:
    one, other = reader(positions=4096), reader(positions=4096)
    found = one.embed_in_one_pass(CAPTIONS)
    assert one.n_tokens < 400
    changed = other.embed_in_one_pass([*CAPTIONS[:4], "Something else.", CAPTIONS[5]])
    assert torch.allclose(found[:4], changed[:4], atol=1e-5)
    assert not torch.allclose(found[4], changed[4], atol=1e-2)


def test_one_pass_over_more_than_the_context_goes_on_in_parts() -> None:
    many = [f"This is the caption of frame number {row}." for row in range(40)]
    found = reader(positions=512).embed_in_one_pass(many)
    whole = reader(positions=8192).embed_in_one_pass(many)
    assert found.shape == whole.shape == (40, 32)
    assert torch.allclose(found[:5], whole[:5], atol=1e-5)


def test_windows_end_where_the_video_does() -> None:
    assert windows(["a", "b"], 7) == ["0: a\n+1: b", "-1: a\n0: b"]
    assert windows(["a"], 7) == ["0: a"]


def test_the_prompt_is_one_file_that_ends_with_the_question(tmp_path: Path) -> None:
    text = PROMPT_FILE.read_text()
    prompt = WindowPrompt.read()
    assert f"{prompt.before}{{window}}{prompt.after}" == text.strip()
    assert text.count("Digit for frame 0:") == 4  # three examples (LLMVS) and the question
    assert all(len(line) <= 100 for line in text.splitlines())
    (tmp_path / "no_place.txt").write_text("How important is it?")
    with pytest.raises(InputError, match=r"holds \{window\} 0 times; write it once"):
        WindowPrompt.read(tmp_path / "no_place.txt")
    with pytest.raises(InputError, match="cannot read the prompt"):
        WindowPrompt.read(tmp_path / "nowhere.txt")


def test_a_model_that_cannot_be_asked_is_one_line_that_says_what_to_do() -> None:
    model, tokenizer = language_model()
    with pytest.raises(ModelError, match=r"has no chat template, .*; give one"):
        WindowReader(model, tokenizer)
    with pytest.raises(InputError, match="odd number of captions, got 4; give 7"):
        reader(window=4)
    with pytest.raises(ModelError, match=r"context of 'Llama.*' holds 96 tokens.*llmvs\.window"):
        reader(positions=96).embed(CAPTIONS)


@pytest.mark.parametrize(
    ("answer", "number"),
    [(" 7", 7.0), ("I say 10/10.", 10.0), ("6.5", 6.5), ("", None), ("a lot", None), ("99", None)],
)
def test_a_number_is_read_from_an_answer(answer: str, number: float | None) -> None:
    assert number_of(answer) == number


def test_nothing_of_the_window_is_in_the_kept_beginning() -> None:
    """Windows that differ in their last letter alone have different embeddings, in any batch."""
    found = reader(window=1).embed(["A dog runs", "A dog rung", "A dog runs"])
    assert torch.equal(found[0], found[2])
    assert all(not torch.equal(one, other) for one, other in pairwise(found))
