"""What a model names in a text: its answer, and what becomes of an answer that is no list."""

import re

import pytest
import torch

from keyscore_plugin import VlmCaptioner
from keyscore_plugin.captioners.named_things import (
    LanguageModel,
    load_writer,
    parse_things,
    require_writer,
)
from keyscore_plugin.errors import InputError, ModelError
from tests.support.importance import language_model_folder
from tests.support.requires import require_or_skip
from tests.support.tiny.llama import language_model
from tests.support.tiny.scripted import scripted

TEXT = "Does the dog come before the red car?"


@pytest.mark.parametrize(
    ("answer", "things", "note"),
    [
        ("a dog\na red car", ("a dog", "a red car"), "the things that m named .* in its place$"),
        ("1. a dog\n2) a red car", ("a dog", "a red car"), "score in its place"),
        ("- 3 dogs\n* A. car", ("3 dogs", "A. car"), "score in its place"),
        (
            "the dog and the car",
            (TEXT,),
            "the text scores as a whole: .* m named in it is 1",
        ),
        ("\n  a dog \n\na  red car\n", ("a dog", "a red car"), "score in its place"),
        ("a dog\na red car\nA dog", ("a dog", "a red car"), "; 1 came again and count once"),
        ("", (TEXT,), "the number of things that m named in it is 0"),
        (" \n\n- \n", (TEXT,), "named in it is 0"),
        ("Here they are:\n\n- **a dog**\n- a red car", ("a dog", "a red car"), "in its place$"),
        ("```\na dog\na red car\n```", ("a dog", "a red car"), "in its place$"),
        ("<think>\nTwo.\n</think>\na dog\na red car", ("a dog", "a red car"), "in its place$"),
        ("<think>\nFirst, the user asks\nfor things", (TEXT,), "named in it is 0"),
        ("\n".join("abcdefgh"), tuple("abcdefgh"), "score in its place"),
        ("\n".join("abcdefghi"), (TEXT,), "named in it is 9, and 2 to 8 would"),
    ],
)
def test_a_line_is_a_thing_and_anything_else_leaves_the_text_whole(
    answer: str, things: tuple[str, ...], note: str
) -> None:
    found = parse_things(answer, TEXT, model="m")
    assert found.texts == things
    assert [one for one in found.notes if re.search(note, one)] == [*found.notes]


def test_a_language_model_answers_what_generate_writes_after_its_chat_template() -> None:
    model, tokenizer = language_model(chats=True)
    chat = [{"role": "user", "content": TEXT}]
    inputs = tokenizer.apply_chat_template(
        chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    tokens = model.generate(**inputs, max_new_tokens=12, do_sample=False)
    expected = tokenizer.decode(tokens[0, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    writer = load_writer(language_model_folder(), torch.device("cpu"))
    assert LanguageModel(model, tokenizer).write(TEXT, max_new_tokens=12) == expected
    assert writer.write(TEXT, max_new_tokens=12) == expected
    with pytest.raises(InputError, match=r"the text takes 1\d+ .* reads 1012; give a shorter"):
        LanguageModel(model, tokenizer).write("dog " * 280, max_new_tokens=12)


def test_a_video_llm_answers_without_a_video() -> None:
    require_or_skip("torchvision")
    processor, model = scripted("a dog\na red car")
    writer = require_writer(VlmCaptioner(model, processor))
    assert writer.write(TEXT, max_new_tokens=8) == "a dog\na red car"


def test_what_answers_no_prompt_is_one_clear_line() -> None:
    _, tokenizer = language_model()
    with pytest.raises(ModelError, match="has no chat template"):
        LanguageModel(language_model()[0], tokenizer)
    with pytest.raises(ModelError, match=r"split='model' asks .* and none is given; set llmvs\."):
        require_writer(None)
