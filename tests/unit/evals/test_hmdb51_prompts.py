"""Classes as texts, and as vectors."""

from pathlib import Path

import numpy as np
import pytest
import torch

from evals.hmdb51.prompts import DEFAULT_TEMPLATES, ClassPrompts, prompt, read_templates
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding

# Unit vectors; every other text is refused.
VECTORS = {
    "a kick ball.": (1.0, 0.0),
    "one kick ball": (0.6, 0.8),
    "a sit.": (0.0, 1.0),
    "one sit": (0.0, -1.0),
}


class Dictionary:
    """An encoder of four texts that counts what it is asked."""

    name = "dictionary"
    device = torch.device("cpu")
    short_side = 8

    def __init__(self) -> None:
        self.n_asked = 0

    def encode_frames(self, frames: Frames) -> Embeddings:
        raise NotImplementedError

    def encode_text(self, text: str) -> TextEmbedding:
        self.n_asked += 1
        return TextEmbedding(torch.tensor(VECTORS[text]), self.name, n_tokens=1, max_tokens=8)


def test_a_class_is_written_as_words() -> None:
    (template,) = DEFAULT_TEMPLATES
    assert prompt(template, "shake_hands") == "a video of a person shake hands."


def test_a_class_is_the_normalised_mean_of_its_prompts() -> None:
    vectors = ClassPrompts(["kick_ball"], ["a {c}.", "one {c}"]).vectors(Dictionary())
    expected = np.array([1.6, 0.8]) / np.hypot(1.6, 0.8)
    np.testing.assert_allclose(vectors.numpy(), expected[None], atol=1e-6)


def test_vectors_are_made_once_for_each_encoder() -> None:
    prompts = ClassPrompts(["kick_ball", "sit"], ["a {c}."])
    one, two = Dictionary(), Dictionary()
    for _ in range(3):
        assert prompts.vectors(one).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    prompts.vectors(two)
    assert (one.n_asked, two.n_asked) == (2, 2)


def test_templates_come_as_texts_and_from_files(tmp_path: Path) -> None:
    path = tmp_path / "templates.txt"
    path.write_text("a clip of {c}\n\n  somebody, {c}. \n")
    assert read_templates(["a {c}", str(path)]) == ("a {c}", "a clip of {c}", "somebody, {c}.")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a clip of {c}\na clip\n", "holds 'a clip'; expected one template per line, with {c}"),
        ("\n", "holds no template; expected"),
        ("a {c}\nb {c}\na {c}\n", "the template 'a {c}' was given twice"),
    ],
)
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "templates.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_templates([str(path)])


def test_a_text_without_a_slot_that_is_no_file_is_refused() -> None:
    with pytest.raises(InputError, match=r"a video: neither a template with {c} .* nor a file"):
        read_templates(["a video"])
