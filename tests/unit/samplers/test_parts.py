"""What a text names, by its words alone."""

import pytest

from keyscore_plugin.config import Split
from keyscore_plugin.samplers.parts import parts_of

OPTIONS = ("a dog", "a red car", "nothing")


@pytest.mark.parametrize(
    "text",
    [
        "What is it?\nA. a dog\nB. a red car\nC. nothing",
        "What is it?\n(A) a dog\n(B) a red car\n(C) nothing\n",
        "What is it? a) a dog b) a red car c) nothing",
        "What is it?\nA: a dog\nB: a red car\nC: nothing",
        "What is it? A. a dog B. a red car C. nothing",
    ],
)
def test_options_are_found_however_they_are_lettered(text: str) -> None:
    assert parts_of(text, "options") == ("What is it?", *OPTIONS)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Who is it? A. The dog B. John", ("Who is it?", "The dog", "John")),
        ("Choose one: A. The dog B. John", ("Choose one:", "The dog", "John")),
        ("Who is it\nA. Smith\nB. Jones", ("Who is it", "Smith", "Jones")),
        ("A. Smith and Jones\nB. Brown", ("Smith and Jones", "Brown")),
        ("Which of them, A. dog or B. cat?", ("Which of them,", "dog or", "cat?")),
    ],
)
def test_options_may_begin_with_a_capital_letter(text: str, parts: tuple[str, ...]) -> None:
    assert parts_of(text, "options") == parts


@pytest.mark.parametrize(
    "text",
    [
        "Who is Mr. A. Smith?",
        "What did vitamin B. do? C. Jones asked",
        "a dog and a cat",
        'What does "A Day" say?',
        "A. a dog",
        "A. Smith and B. Jones walk in",
        "A. Smith meets B. Jones",
        "Do A. Smith, B. Jones and C. Brown walk in?",
        "Who is shown: A. Smith and B. Jones?",
        "Yesterday, A. Éluard met B. Ólafsson",
    ],
)
def test_what_is_no_list_of_options_stays_whole(text: str) -> None:
    assert parts_of(text, "options") == (text,)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a dog runs, and then a red car stops", ("a dog runs", "a red car stops")),
        ("a dog  runs\n and   a red car stops", ("a dog runs", "a red car stops")),
        ("What does he do after the car stops?", ("What does he do", "the car stops")),
        ("the sign “Exit” beside the sign “No way”", ("Exit", "No way")),
        ("red and blue", ("red and blue",)),
        ("sandals", ("sandals",)),
        ("and", ("and",)),
        ("?", ("?",)),
    ],
)
def test_parts_are_what_conjunctions_and_quotation_marks_set_apart(
    text: str, parts: tuple[str, ...]
) -> None:
    assert parts_of(text, "parts") == parts


@pytest.mark.parametrize("split", ["none", "options"])
def test_a_conjunction_splits_only_if_asked_to(split: Split) -> None:
    text = "a dog runs and a red car stops"
    assert parts_of(text, split) == (text,)
    assert parts_of("Which? A. a dog B. a cat", "none") == ("Which? A. a dog B. a cat",)
