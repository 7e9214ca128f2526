"""Questions about a video as a whole: which they are, and the frames that they get."""

from typing import Any

import pytest

from keyscore_plugin import KeyScoreSampler, get_sampler
from keyscore_plugin.samplers.routing import is_about_the_whole
from keyscore_plugin.types import TextEmbedding
from keyscore_plugin.video.samples import sample_video
from tests.support.colour_encoder import ColourEncoder

QUESTION = "How does the video end?"


class AnyWord(ColourEncoder):
    """Reads a text without a colour word as "white"."""

    def encode_text(self, text: str) -> TextEmbedding:
        return super().encode_text(f"{text} white")


@pytest.mark.parametrize(
    "question",
    [
        "How does it end?",
        "Summarise the video.",
        "How many scenes are there?",
        "What is the main topic of this clip?\nA. cooking\nB. red cars",
        "In which order do the events take place?",
        "Describe the video in detail.",
        "What's the video's topic?",
        "What\u2019s happening in this video?",
    ],
)
def test_a_question_whose_words_name_nothing_is_about_the_whole(question: str) -> None:
    assert is_about_the_whole(question)


@pytest.mark.parametrize(
    "question",
    [
        "What does the dog do at the end?",
        "Summarise what the woman says.",
        "How many birds are there?",
        "What's the dog's name?",
        "Which of these is shown?\nA. a dog\nB. a red car",
        "is it red ?",
        "视频是怎么结束的?",
        "?",
    ],
)
def test_a_question_that_names_something_or_has_options_that_do_is_not(question: str) -> None:
    assert not is_about_the_whole(question)


@pytest.mark.parametrize("num_frames", [1, 4, 8, 500])
def test_it_gets_the_frames_of_uniform_and_a_note(num_frames: int) -> None:
    video = sample_video("bikes")
    sampler = KeyScoreSampler(encoder=ColourEncoder())
    chosen = sampler(video, num_frames=num_frames, question=QUESTION)
    assert chosen.indices == get_sampler("uniform")(video, num_frames=num_frames).indices
    assert chosen.question == QUESTION
    assert "about the video as a whole, so the frames are spread evenly" in chosen.notes[0]


@pytest.mark.parametrize(
    ("route", "call"),
    [
        (False, {"num_frames": 4, "question": QUESTION}),
        (True, {"threshold": 0.5, "question": QUESTION}),
        (True, {"num_frames": 4, "question": QUESTION, "caption": "it is red"}),
        (True, {"num_frames": 4, "question": [QUESTION, "is it red ?"]}),
    ],
    ids=["off", "threshold", "caption", "two questions"],
)
def test_frames_are_scored_where_the_question_does_not_choose_alone_or_routing_is_off(
    route: bool, call: dict[str, Any]
) -> None:
    sampler = KeyScoreSampler(encoder=AnyWord(), config={"route": route})
    assert sampler(sample_video("bikes"), **call).scores is not None
