"""Rewards of a policy that names clips: how well a frozen model answers from their frames."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Protocol

import torch
from torch import Tensor

from keyscore_plugin import any_k, get_sampler, parse_clips
from keyscore_plugin.errors import InputError, ModelError, shown
from keyscore_trl.prompts import Chat, ShownVideo, VideoPrompts
from keyscore_trl.reading import frame_times, read_frames

UNPARSABLE = -1.0  # the least that tanh can give
_IGNORED = -100  # label of a token that is part of no completion
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def option_reward(log_probs: Tensor, answer: int, *, tau: float = 1.0) -> float:
    """How much surer a model is of the right option than of the others, from -1 to 1.

    K-frames, section 3: ``tanh(1 / tau * log(p(answer) / mean(p(others))))``. The paper does not
    give tau.

    Args:
        log_probs: ``(n_options,)`` log-probabilities of the options.
        answer: Number of the right option.
        tau: Temperature. A larger one gives different rewards to answers that are all nearly
            certain; with 1 they all get about 1.

    Raises:
        InputError: There are fewer than two options, or the answer is not one of them.

    Example:
        >>> option_reward(torch.tensor([0.5, 0.25, 0.25]).double().log(), 0)
        0.6
    """
    n_options = len(log_probs)
    if n_options < 2 or not 0 <= answer < n_options:
        raise InputError(
            f"a reward needs two options or more and the number of the right one, got {n_options} "
            f"options and the answer {answer}; correct the data"
        )
    values = log_probs.double()
    others = torch.cat([values[:answer], values[answer + 1 :]])
    mean_of_others = torch.logsumexp(others, 0) - math.log(n_options - 1)
    return round(math.tanh(float(values[answer] - mean_of_others) / tau), 12)


def lettered(question: str, options: Sequence[str]) -> tuple[str, list[str]]:
    """The text of a question with lettered options, and the letters that may answer it.

    Example:
        >>> lettered("What is it?", ["a cat", "a dog"])
        ('What is it?\\nA. a cat\\nB. a dog\\nAnswer with the letter alone.', ['A', 'B'])
    """
    letters = list(_LETTERS[: len(options)])
    lines = [f"{letter}. {option}" for letter, option in zip(letters, options, strict=True)]
    return "\n".join([question, *lines, "Answer with the letter alone."]), letters


class Answerer(Protocol):
    """A model that says how likely each option is, such as `FrozenAnswerer`."""

    def log_probs(
        self, videos: Sequence[ShownVideo], question: str, options: Sequence[str]
    ) -> Tensor:
        """Return ``(n_videos, n_options)`` log-probabilities of the options.

        Args:
            videos: Frames that the answer has to come from.
            question: Question.
            options: Options, at least two.
        """


class FrozenAnswerer:
    """A Video-LLM that says how likely each option is.

    By default it reads the options with a letter each, and the letters are its possible answers:
    one forward pass for a video. A model that does not know how to answer with a letter can be
    asked the question alone, with the options as its possible answers: one pass for each option.
    The probability of a text falls with its length, so options then have to be of like length.

    Args:
        model: Model of transformers; it stays as it is.
        processor: Processor of the model.
        by_words: Whether the options are the answers themselves, without letters.
    """

    def __init__(self, model: Any, processor: Any, *, by_words: bool = False) -> None:
        self._model = model.eval().requires_grad_(False)
        self._processor = processor
        self._prompts = VideoPrompts(processor)
        self._by_words = by_words

    def log_probs(
        self, videos: Sequence[ShownVideo], question: str, options: Sequence[str]
    ) -> Tensor:
        """Log-probabilities of the options, from the frames of each video.

        Args:
            videos: Frames that the answer has to come from.
            question: Question.
            options: Options, at least two.

        Returns:
            ``(n_videos, n_options)`` float32 on the CPU. That of a text is the sum over its tokens
            and the one that ends the answer.

        Raises:
            InputError: There are fewer than two options, or more than there are letters.
            ModelError: The model writes two letters with one first token.
        """
        if not 2 <= len(options) <= len(_LETTERS):
            raise InputError(
                f"a question needs two options or more, and {len(_LETTERS)} at most, got "
                f"{shown(list(options))}: {shown(question)}; correct the data"
            )
        answer = self._of_words if self._by_words else self._of_letters
        return answer(videos, question, options)

    def _of_letters(
        self, videos: Sequence[ShownVideo], question: str, options: Sequence[str]
    ) -> Tensor:
        text, letters = lettered(question, options)
        tokens = self._first_tokens(letters)
        last = self._log_probs(self._prompts([_chat(video, text) for video in videos]), n_last=1)
        return last[:, -1, tokens]

    def _of_words(
        self, videos: Sequence[ShownVideo], question: str, options: Sequence[str]
    ) -> Tensor:
        chats = [_chat(video, question) for video in videos for _ in options]
        batch = self._prompts(chats, completions=[*options] * len(videos))
        labels = batch.pop("labels")
        # Completions begin in one column, because prompts are padded on the left.
        n_tokens = int((labels != _IGNORED).any(0).sum())
        wanted = labels[:, -n_tokens:]
        log_probs = self._log_probs(batch, n_last=n_tokens + 1)[:, :-1]
        each = log_probs.gather(2, wanted.clamp_min(0)[..., None])[..., 0]
        total = each.masked_fill(wanted == _IGNORED, 0.0).sum(1)
        return total.view(len(videos), len(options))

    def _log_probs(self, batch: Any, *, n_last: int) -> Tensor:
        """``(batch, n_last, vocabulary)`` log-probabilities after each of the last tokens."""
        inputs = {name: _to(value, self._model) for name, value in batch.items()}
        with torch.inference_mode():
            logits: Tensor = self._model(**inputs, logits_to_keep=n_last).logits
        return logits.float().log_softmax(-1).cpu()

    def _first_tokens(self, letters: Sequence[str]) -> list[int]:
        ids = self._processor.tokenizer(list(letters), add_special_tokens=False)["input_ids"]
        tokens = [row[0] for row in ids]
        if len(set(tokens)) != len(tokens):
            raise ModelError(
                f"the answerer writes two of the letters {', '.join(letters)} with one first "
                "token; use another answerer, or ask it for the options themselves (by_words=True, "
                "--by-words)"
            )
        return tokens


def _chat(video: ShownVideo, text: str) -> Chat:
    content = [{"type": "video", "video": video}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def _to(value: Any, model: Any) -> Any:
    if not isinstance(value, Tensor):
        return value
    dtype = model.dtype if value.is_floating_point() else value.dtype
    return value.to(model.device, dtype)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question with its options in a random order."""

    video: str
    question: str
    options: tuple[str, ...]
    answer: int


class ClipReward:
    """Reward function of TRL for completions that name clips of a video.

    The clips of a completion become ``num_frames`` frames, as in inference; the answerer reads
    them, and the reward is `option_reward`. A completion without a clip that can be used gets
    exactly -1. The options are in a random order for each group of completions of one prompt, the
    same for all of the group, so that a preference of the answerer for a letter is no reward.

    The same reward for uniform frames is logged as ``uniform_reward``, with ``parse_rate`` and
    ``covered``, the share of the video in the clips: a policy that names all of the video is
    uniform sampling.

    Rows of the data set need the columns ``video`` (a path), ``question``, ``options`` and
    ``answer``, the number of the right option.

    Args:
        answerer: Frozen model that answers.
        num_frames: Number of frames that it sees.
        tau: Temperature of `option_reward`.
        seed: Seed of the orders of the options.
    """

    def __init__(
        self, answerer: Answerer, *, num_frames: int, tau: float = 1.0, seed: int = 0
    ) -> None:
        self.__name__ = "clip_reward"  # TRL logs a reward by it
        self._answerer = answerer
        self._num_frames = num_frames
        self._tau = tau
        self._seed = seed
        self._kept: dict[tuple[_Asked, tuple[int, ...]], float] = {}

    def __call__(
        self,
        prompts: Sequence[Chat],
        completions: Sequence[Any],
        *,
        video: Sequence[str],
        question: Sequence[str],
        options: Sequence[Sequence[str]],
        answer: Sequence[int],
        trainer_state: Any = None,
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float]:
        """The reward of each completion.

        Args:
            prompts: Prompts, one for each completion; those of a group follow one another.
            completions: Completions, as chats or texts.
            video: Video of each row.
            question: Question of each row.
            options: Options of each row.
            answer: Number of the right option of each row.
            trainer_state: State of the trainer; its step is part of the seed.
            log_metric: Function that logs a number by name.
        """
        self._kept.clear()  # the orders of the options change from step to step
        step = int(getattr(trainer_state, "global_step", 0))
        rows = list(zip(video, question, map(tuple, options), answer, strict=True))
        asked = [
            _shuffled(*row, seed=_group_seed(self._seed, step, rows, at))
            for at, row in enumerate(rows)
        ]
        texts = [_text(completion) for completion in completions]
        parsed = [self._rows(one.video, text) for one, text in zip(asked, texts, strict=True)]
        rewards = [
            UNPARSABLE if chosen is None else self._reward(one, chosen[0])
            for one, chosen in zip(asked, parsed, strict=True)
        ]
        if log_metric is not None:
            uniform = [self._reward(one, self._uniform(one.video)) for one in asked]
            log_metric("uniform_reward", fmean(uniform))
            log_metric("parse_rate", fmean(chosen is not None for chosen in parsed))
            log_metric("covered", fmean(0.0 if one is None else one[1] for one in parsed))
        return rewards

    def _rows(self, video: str, text: str) -> tuple[tuple[int, ...], float] | None:
        """Frame indices of the clips that a text names and the share that they cover, or None."""
        times, duration = frame_times(video)
        answer = parse_clips(text, duration)
        if answer.problem is not None:
            return None
        clips = answer.to_clips(duration_seconds=duration, model=None)
        rows = any_k(clips, self._num_frames, times, duration_seconds=duration)
        covered = sum(end - start for start, end in zip(clips.starts, clips.ends, strict=True))
        return tuple(rows.tolist()), covered / duration

    def _uniform(self, video: str) -> tuple[int, ...]:
        return tuple(get_sampler("uniform")(video, num_frames=self._num_frames).indices)

    def _reward(self, asked: _Asked, indices: tuple[int, ...]) -> float:
        key = (asked, indices)
        if key not in self._kept:
            shown_video = read_frames(asked.video, indices)
            log_probs = self._answerer.log_probs([shown_video], asked.question, asked.options)
            self._kept[key] = option_reward(log_probs[0], asked.answer, tau=self._tau)
        return self._kept[key]


def _group_seed(seed: int, step: int, rows: Sequence[Any], at: int) -> int:
    """A seed that all rows of a group share: those equal to their neighbour."""
    first = at
    while first > 0 and rows[first - 1] == rows[at]:
        first -= 1
    return hash((seed, step, first))


def _shuffled(
    video: str, question: str, options: tuple[str, ...], answer: int, *, seed: int
) -> _Asked:
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(options), generator=generator).tolist()
    return _Asked(video, question, tuple(options[row] for row in order), order.index(answer))


def _text(completion: Any) -> str:
    if isinstance(completion, str):
        return completion
    message: Mapping[str, Any] = completion[0]
    return str(message["content"])
