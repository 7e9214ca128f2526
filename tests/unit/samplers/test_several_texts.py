"""Several texts in one call: what they choose, what the selection says, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keyscore_plugin import KeyScoreSampler, Selection, get_sampler, list_samplers
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.config import ScoreConfig
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.report import write_report
from keyscore_plugin.report.text import summary
from keyscore_plugin.samplers.query import Query, cosines_with, score_texts
from keyscore_plugin.types import Caption, Embeddings, Frames, TextEmbedding
from keyscore_plugin.video.samples import sample_video
from tests.support.colour_encoder import ColourEncoder
from tests.support.importance import language_model_folder

RED, GREEN, BLUE = (220, 20, 20), (20, 200, 20), (20, 20, 220)
# 10 s of each: red, green, blue, red
PIXELS = np.concatenate([np.full((20, 32, 32, 3), c, np.uint8) for c in (RED, GREEN, BLUE, RED)])
PARTS = {"red": (0, 10), "green": (10, 20), "blue": (20, 30), "late red": (30, 40)}
COMPARING = sorted(
    name
    for name in list_samplers()
    if get_sampler(name).needs_text and name not in ("kframes", "focus")
)


def choose(name: str = "keyscore", *, guide: str = "given", **call: Any) -> Selection:
    noise = np.random.default_rng(0).integers(0, 12, PIXELS.shape, dtype=np.uint8)
    sampler = get_sampler(name, encoder=ColourEncoder(), config={"guide": guide})
    return sampler(PIXELS + noise, fps=2, **{"num_frames": 4, **call})


def shown(selection: Selection) -> set[str]:
    return {
        name
        for name, (start, end) in PARTS.items()
        if any(start <= seconds < end for seconds in selection.pts_seconds)
    }


@pytest.mark.parametrize("name", COMPARING)
def test_each_of_several_texts_is_shown_by_every_sampler(name: str) -> None:
    selection = choose(name, question=["something green", "something blue"], num_frames=8)
    assert {"green", "blue"} <= shown(selection)
    assert [text.text for text in selection.texts] == ["something green", "something blue"]
    assert selection.join == "all"
    assert selection.chosen_for is not None
    assert len(selection.chosen_for) == len(selection)
    assert Selection.from_json(selection.to_json()).chosen_for == selection.chosen_for


def test_each_frame_names_the_text_that_it_shows() -> None:
    selection = choose(caption=["a green one", "a blue one"], num_frames=6)
    assert selection.chosen_for is not None
    for seconds, place in zip(selection.pts_seconds, selection.chosen_for, strict=True):
        if 10 <= seconds < 30:
            assert place == (seconds >= 20)
    assert all(len(frame.by_text) == 2 for frame in selection.curves)
    assert "2 texts, joined by all" in summary(selection)


@pytest.mark.parametrize("name", COMPARING)
def test_a_list_of_one_text_chooses_what_the_text_chooses(name: str) -> None:
    one, listed = choose(name, caption="something blue"), choose(name, caption=["something blue"])
    assert one.to_dict() | {"seconds": {}} == listed.to_dict() | {"seconds": {}}
    assert (one.texts, one.join, one.chosen_for) == ((), None, None)


def test_one_text_has_the_scores_of_the_paper_bit_for_bit() -> None:
    vectors = torch.nn.functional.normalize(torch.rand(30, 3), dim=1)
    frames = Embeddings(vectors, torch.arange(30), torch.arange(30.0), "colour")
    query = Query(embeddings=(ColourEncoder().encode_text("red"),))
    scores, by_text = score_texts(frames, query, ScoreConfig())
    assert by_text is None
    assert torch.equal(scores.total, score(frames, query.embeddings[0]).total)
    assert torch.equal(cosines_with(frames, query)[0], vectors @ query.embeddings[0].vector)


def test_then_shows_only_what_follows_in_this_order() -> None:
    after = choose("topk", question=["something green", "something red"], join="then")
    assert shown(after) <= {"green", "late red"}
    before = choose("topk", question=["something red", "something green"], join="then")
    assert shown(before) <= {"red", "green"}


def test_at_once_wants_one_frame_for_all() -> None:
    white = np.full((6, 32, 32, 3), 235, np.uint8)
    video = np.concatenate([PIXELS[:20], white, PIXELS[20:60]])
    sampler = KeyScoreSampler(encoder=ColourEncoder(), config={"select": {"policy": "top"}})
    selection = sampler(video, fps=2, num_frames=2, caption=["red", "blue"], join="at_once")
    assert all(10 <= seconds < 13 for seconds in selection.pts_seconds)


def test_caption_and_question_are_both_shown() -> None:
    selection = choose(guide="both", caption="it is green", question="is it blue")
    assert {"green", "blue"} <= shown(selection)
    assert [text.role for text in selection.texts] == ["caption", "question"]


def test_the_options_of_a_question_are_shown_and_the_question_stays_whole() -> None:
    question = "Is it white ?\nA. green\nB. blue"
    selection = choose(question=question, num_frames=6)
    assert {"green", "blue"} <= shown(selection)
    assert [text.text for text in selection.texts] == ["Is it white ?", "green", "blue"]
    assert (selection.question, selection.join) == (question, "any")


class Answers:
    """A model that gives one answer to every prompt."""

    name = "answers"

    def __init__(self, answer: str) -> None:
        self.answer = answer
        self.prompts: list[str] = []

    def caption(self, frames: Frames) -> Caption:
        raise AssertionError("a text was given")

    def write(self, prompt: str, *, max_new_tokens: int) -> str:
        self.prompts.append(prompt)
        return self.answer


@pytest.mark.parametrize("name", ["keyscore", "clips", "bolt"])
def test_what_a_model_names_in_a_text_scores_in_its_place(name: str) -> None:
    asked = "Is it green first, or blue?"
    model = Answers("something green\nsomething blue")
    sampler = get_sampler(name, encoder=ColourEncoder(), captioner=model, config={"split": "model"})
    selection, again = (sampler(PIXELS, fps=2, num_frames=8, question=asked) for _ in range(2))
    assert {"green", "blue"} <= shown(selection)
    assert [text.text for text in selection.texts] == ["something green", "something blue"]
    assert (selection.join, selection.question, again.indices) == ("any", asked, selection.indices)
    assert "the things that answers named in the text score in its place" in selection.notes
    assert len(model.prompts) == 1
    assert asked in model.prompts[0]


def test_a_list_of_texts_is_not_split_by_a_model() -> None:
    model = Answers("nothing")
    sampler = get_sampler(
        "keyscore", encoder=ColourEncoder(), captioner=model, config={"split": "model"}
    )
    selection = sampler(PIXELS, fps=2, question=["a green one", "a blue one"])
    assert (len(selection.texts), model.prompts) == (2, [])


class AnyText(ColourEncoder):
    """Reads a text without a colour word as "white"."""

    def encode_text(self, text: str) -> TextEmbedding:
        return super().encode_text(f"white {text}")


def test_a_language_model_of_transformers_splits_the_text_of_a_call() -> None:
    config = {"split": "model", "llmvs": {"model": language_model_folder()}}
    sampler = get_sampler("keyscore", encoder=AnyText(), config=config, device="cpu")
    selection = sampler(PIXELS, fps=2, question="something green")
    assert [note for note in selection.notes if language_model_folder() in note]
    none = get_sampler("keyscore", encoder=ColourEncoder(), config={"split": "model"})
    with pytest.raises(ModelError, match=r"none is given; set llmvs\.model"):
        none(PIXELS, fps=2, question="something green")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"question": []}, "the question is an empty list"),
        ({"caption": ["red", " "]}, "the caption is empty"),
        ({"caption": ["red", 3]}, "the caption must be a text or a list of texts"),
        ({"caption": "red", "join": "then"}, "join='then' needs two texts or more"),
        ({"caption": ["red"], "join": "at_once"}, "join='at_once' needs two texts or more"),
        ({"caption": ["red", "blue"], "join": "or"}, r"join 'or' is not all\|any\|then\|at_once"),
    ],
)
def test_texts_that_cannot_be_joined_are_refused(call: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose(**call)


def test_a_text_twice_and_more_texts_than_frames_are_noted() -> None:
    twice = choose(caption=["red", "blue", "red"])
    assert "the caption 'red' is given twice; it counts once" in twice.notes
    assert twice.indices == choose(caption=["red", "blue"]).indices
    many = choose(caption=[f"red {n}" for n in range(100)])
    assert len(many) == 4
    assert "100 captions are more than the budget of 4 frames" in " ".join(many.notes)


def test_the_report_draws_a_curve_for_each_text(tmp_path: Path) -> None:
    path = tmp_path / "why.svg"
    sampler = get_sampler("keyscore", encoder=ColourEncoder())
    texts = ["red bus", "green tree"]
    write_report(sampler(sample_video("bikes"), num_frames=2, question=texts), path)
    drawn = path.read_text()
    assert "red bus" in drawn
    assert "green tree" in drawn
