"""Rewards of clips: the paper's formula, a floor for what names no clip, options shuffled."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import normalizers
from torch import Tensor

from keyscore_plugin.errors import InputError, ModelError
from keyscore_trl import ClipReward, FrozenAnswerer, ShownVideo, VideoPrompts, option_reward
from keyscore_trl.rewards import lettered
from tests.support.bright_second import write_videos
from tests.support.tiny import build


def test_the_reward_is_the_papers_formula() -> None:
    probabilities = torch.tensor([0.6, 0.3, 0.1])
    wanted = math.tanh(math.log(0.6 / 0.2) / 2)
    assert option_reward(probabilities.log(), 0, tau=2.0) == pytest.approx(wanted)


def test_a_model_that_does_not_know_gets_nothing() -> None:
    assert option_reward(torch.full((4,), -1.5), 2) == 0


@pytest.mark.parametrize(("n_options", "answer"), [(1, 0), (0, 0), (3, 3), (3, -1)])
def test_a_question_without_a_right_and_a_wrong_option_is_refused(
    n_options: int, answer: int
) -> None:
    with pytest.raises(InputError, match="two options"):
        option_reward(torch.zeros(n_options), answer)


class Brightness:
    """An answerer that is sure of the first option as far as the frames are bright."""

    def log_probs(
        self, videos: Sequence[ShownVideo], question: str, options: Sequence[str]
    ) -> Tensor:
        light = [
            float((video.pixels.float().mean((1, 2, 3)) > 90).float().mean()) for video in videos
        ]
        sure = torch.tensor(light) * 0.9 + 0.05
        columns = [sure if option == "light" else 1 - sure for option in options]
        return torch.stack(columns, 1).log()


class Recording(Brightness):
    """The answerer, and the options that it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

    def log_probs(
        self, videos: Sequence[ShownVideo], question: str, options: Sequence[str]
    ) -> Tensor:
        self.asked.append(tuple(options))
        return super().log_probs(videos, question, options)


OPTIONS = ["light", "dark", "grey", "none"]


def rewards_of(
    video: Path, texts: Sequence[str], answerer: Brightness | None = None, **more: Any
) -> list[float]:
    reward = ClipReward(answerer or Brightness(), num_frames=2)
    n = len(texts)
    return reward(
        prompts=[[]] * n,
        completions=[[{"role": "assistant", "content": text}] for text in texts],
        video=[str(video)] * n,
        question=["?"] * n,
        options=[OPTIONS] * n,
        answer=[0] * n,
        **more,
    )


@pytest.fixture(scope="module")
def bright_at_two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    videos = write_videos(tmp_path_factory.mktemp("rewards"), 1)
    return next(video.path for video in videos if video.second == 2)


def clip(start: float, end: float) -> str:
    return f'[{{"start": {start}, "end": {end}, "priority": 1, "reason": ""}}]'


def test_frames_of_the_right_clip_are_worth_more_than_others(bright_at_two: Path) -> None:
    right, half, wrong = rewards_of(bright_at_two, [clip(2, 3), clip(1, 3), clip(0, 1)])
    assert right > half > wrong > -1


@pytest.mark.parametrize("text", ["", "The light.", "[", "[]", clip(9, 12)])
def test_what_names_no_clip_of_the_video_gets_exactly_minus_one(
    bright_at_two: Path, text: str
) -> None:
    assert rewards_of(bright_at_two, [text]) == [-1.0]


def test_the_reward_of_uniform_frames_is_logged_too(bright_at_two: Path) -> None:
    logged: dict[str, float] = {}
    rewards_of(bright_at_two, [clip(2, 3), "?"], log_metric=logged.__setitem__)
    assert logged["parse_rate"] == 0.5
    assert logged["covered"] == 0.125
    (everything,) = rewards_of(bright_at_two, [clip(0, 4)])
    assert logged["uniform_reward"] == everything


def test_options_are_shuffled_alike_for_a_group_and_change_from_step_to_step(
    bright_at_two: Path,
) -> None:
    class State:
        global_step = 0

    orders = []
    for step in range(4):
        State.global_step = step
        answerer = Recording()
        rewards_of(bright_at_two, [clip(2, 3), clip(0, 1)], answerer, trainer_state=State)
        assert len(set(answerer.asked)) == 1
        orders.append(answerer.asked[0])
    assert len(set(orders)) > 1
    assert {frozenset(order) for order in orders} == {frozenset(OPTIONS)}


@pytest.mark.slow
def test_a_frozen_model_gives_the_probabilities_of_its_next_token() -> None:
    processor, model = build("qwen2_5_vl")
    pixels = torch.zeros(2, 56, 56, 3, dtype=torch.uint8)
    video = ShownVideo(pixels, torch.arange(2).double(), 2.0)
    found = FrozenAnswerer(model, processor).log_probs([video, video], "?", ["a", "b", "c"])
    assert found.shape == (2, 3)
    assert torch.allclose(found[0], found[1], atol=1e-5)
    assert (found.exp().sum(1) < 1).all()
    assert not any(parameter.requires_grad for parameter in model.parameters())


@pytest.mark.slow
def test_an_option_without_a_letter_is_as_likely_as_its_text_and_the_end_of_it() -> None:
    processor, model = build("qwen2_5_vl")
    video = ShownVideo(torch.zeros(2, 56, 56, 3, dtype=torch.uint8), torch.arange(2).double(), 2.0)
    options = ["red", "a rose"]
    found = FrozenAnswerer(model, processor, by_words=True).log_probs([video], "?", options)
    asked = [{"type": "video", "video": video}, {"type": "text", "text": "?"}]
    for option, log_prob in zip(options, found[0], strict=True):
        chats = [[{"role": "user", "content": asked}]]
        batch = VideoPrompts(processor)(chats, completions=[option])
        n_tokens = int((batch["labels"] != -100).sum())
        assert float(log_prob) == pytest.approx(-float(model(**batch).loss) * n_tokens, abs=1e-3)


@pytest.mark.slow
def test_letters_that_begin_alike_are_one_clear_line() -> None:
    processor, model = build("qwen2_5_vl")
    video = ShownVideo(torch.zeros(2, 56, 56, 3, dtype=torch.uint8), torch.arange(2).double(), 2.0)
    answerer = FrozenAnswerer(model, processor)
    with pytest.raises(InputError, match="two options"):
        answerer.log_probs([video], "?", ["red"])
    processor.tokenizer.backend_tokenizer.normalizer = normalizers.Prepend("_")
    with pytest.raises(ModelError, match="one first token"):
        answerer.log_probs([video], "?", ["red", "rose"])


def test_options_get_letters() -> None:
    text, letters = lettered("Which?", ["x", "y"])
    assert letters == ["A", "B"]
    assert "B. y" in text
