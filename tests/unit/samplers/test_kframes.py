"""K-frames end to end: a tiny Video-LLM whose weights write a given answer chooses the clips."""

from typing import Any

import numpy as np
import pytest

from keyscore_plugin import Sampler, Selection, VlmCaptioner, get_sampler
from keyscore_plugin.captioners import load_captioner
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.samplers.within import within
from tests.support.colour_encoder import ColourEncoder
from tests.support.tiny.scripted import scripted

FPS = 10
COLOURS = ((220, 20, 20), (20, 200, 20), (20, 20, 220))  # four seconds of each
QUESTION = "Where is it green ?"
GREEN = '[{"start": 4.6, "end": 7.5, "priority": 1, "reason": "The picture is green."}]'
CONFIG = {"judge": {"num_frames": 8, "short_side": 32}}  # a frame every 1.5 s


@pytest.fixture(scope="module")
def video() -> Any:
    noise = np.random.default_rng(0)
    frames = [
        np.array(colour) + noise.integers(-15, 15, (48, 64, 3))
        for colour in COLOURS
        for _ in range(40)
    ]
    return np.stack(frames).clip(0, 255).astype(np.uint8)


def judge(answer: str, *, stops: bool = True) -> VlmCaptioner:
    processor, model = scripted(answer, stops=stops)
    return VlmCaptioner(model, processor)


def sampler(captioner: Any, **settings: Any) -> Sampler:
    config = {**CONFIG, **settings}
    return get_sampler("kframes", config=config, encoder=ColourEncoder(), captioner=captioner)


@pytest.fixture(scope="module")
def chosen(video: Any) -> Selection:
    return sampler(judge(GREEN))(video, num_frames=6, question=QUESTION, fps=FPS)


def test_the_frames_are_of_the_clip_that_the_model_named(chosen: Selection) -> None:
    assert all(4 <= seconds < 8 for seconds in chosen.pts_seconds)
    assert len(chosen) == 6
    assert (chosen.question, chosen.caption, chosen.scores, chosen.fallback) == (
        *(QUESTION, None, None, None),
    )


def test_a_clip_begins_and_ends_at_the_cuts_that_the_model_could_not_see(
    chosen: Selection,
) -> None:
    assert chosen.clips is not None
    assert chosen.clips.starts == pytest.approx((4.0,), abs=0.1)
    assert chosen.clips.ends == pytest.approx((8.0,), abs=0.1)
    assert chosen.clips.reasons == ("The picture is green.",)
    assert chosen.clips.origin == "predicted"
    assert Selection.from_json(chosen.to_json()).clips == chosen.clips


def test_every_budget_takes_exactly_its_frames_of_one_answer(video: Any) -> None:
    processor, model = scripted(GREEN)
    kframes = sampler(VlmCaptioner(model, processor))
    first = kframes(video, num_frames=1, question=QUESTION, fps=FPS)
    model.generate = None  # to ask it again would fail
    for k in (2, 7, 16, 40, 120, 500):
        more = kframes(video, num_frames=k, question=QUESTION, fps=FPS)
        assert len(more) == min(k, len(video))
        assert more.clips == first.clips


UNUSABLE = [
    ("It is green after four seconds.", True, "no list"),
    ("green ", False, "no list"),
    ("", True, "empty"),
    ('[{"start": 4.6, "end": 7', True, "no entry"),
    ('[{"start": 46, "end": 75}]', True, "out of range"),
    ('[{"start": "46%", "end": "75%"}]', True, "wrong unit"),
    ("[]", True, "no clip"),
]


@pytest.mark.parametrize(("answer", "stops", "problem"), UNUSABLE)
def test_an_answer_without_a_clip_is_no_error_but_a_fallback_that_says_why(
    video: Any, answer: str, stops: bool, problem: str
) -> None:
    captioner = judge(answer, stops=stops)
    fallen = sampler(captioner)(video, num_frames=6, question=QUESTION, fps=FPS)
    assert fallen.fallback is not None
    assert f"({problem})" in fallen.fallback
    assert "the sampler clips chose instead" in fallen.fallback
    assert fallen.captioner == captioner.name
    clips = get_sampler("clips", config=CONFIG, encoder=ColourEncoder())
    same = clips(video, num_frames=6, question=QUESTION, fps=FPS)
    assert (fallen.indices, fallen.clips) == (same.indices, same.clips)
    assert fallen.sampler == "kframes"


def test_a_part_of_an_answer_that_cannot_be_used_is_noted(video: Any) -> None:
    reversed_twice = '{"start": 9, "end": 2}, {"start": 9, "end": 2}'
    answer = f'{GREEN[:-1]}, {reversed_twice}, {{"start": '
    noted = sampler(judge(answer))(video, num_frames=4, question=QUESTION, fps=FPS)
    assert noted.fallback is None
    assert [note.partition(":")[0] for note in noted.notes if "the model" in note] == [
        "the model named a clip that cannot be used (reversed)",
        "the answer of the model was cut off; the clips before that are used",
    ]


def test_clips_of_a_part_count_from_the_first_frame_of_the_video(
    video: Any, chosen: Selection
) -> None:
    answer = '[{"start": 3.4, "end": 6.6, "priority": 1, "reason": "It is green."}]'
    part = within(sampler(judge(answer)), start_seconds=1.0, end_seconds=11.0)
    selection = part(video, num_frames=6, question=QUESTION, fps=FPS)
    assert selection.clips is not None
    assert selection.clips.starts == pytest.approx((4.0,), abs=0.1)
    assert selection.clips.ends == pytest.approx((8.0,), abs=0.1)
    assert all(4 <= seconds < 8 for seconds in selection.pts_seconds)


def test_a_video_of_one_frame_is_that_frame(video: Any) -> None:
    one = sampler(judge('[{"start": 0, "end": 0.1}]'))(video[:1], question=QUESTION, fps=FPS)
    assert one.indices == [0]


def test_a_caption_is_asked_for_as_a_question_is(video: Any) -> None:
    by_caption = sampler(judge(GREEN))(video, num_frames=2, caption="a green wall", fps=FPS)
    assert by_caption.caption is not None
    assert (by_caption.caption.text, by_caption.question) == ("a green wall", None)


def test_a_missing_question_is_one_line_and_no_captioner_writes_it(video: Any) -> None:
    with pytest.raises(InputError, match=r"no text was given; give a question"):
        sampler(judge(GREEN))(video, num_frames=2, fps=FPS)


@pytest.mark.parametrize("captioner", [None, "labels"])
def test_a_model_that_cannot_be_asked_is_one_line(video: Any, captioner: str | None) -> None:
    loaded = load_captioner(captioner, device="cpu")
    with pytest.raises(ModelError, match=r"use the sampler 'clips', which needs none"):
        sampler(loaded)(video, num_frames=2, question=QUESTION, fps=FPS)
