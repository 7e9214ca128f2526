"""Train the tiny Video-LLM to read the colour of a frame from the pictures that it is shown."""

import argparse
import hashlib
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from tqdm import tqdm

from evals.answers.material import COLOURS, Question, framed
from evals.answers.tiny import make_model, make_processor
from evals.needle.sources import TUNING, Split
from keyscore_plugin.video.samples.sources import film_look
from keyscore_trl.prompts import ShownVideo, VideoPrompts

_STEPS = 250
_BATCH = 32
_RATE = 3e-3
_WARM_UP = 30
_VIEWS = 6  # pictures of each source
_MOST_FRAMES = 8
# Share of the examples in which no picture has a frame and the answer is drawn, so that the model
# learns to be unsure if it has not seen the frame.
_UNSEEN = 0.1
_SECONDS = 40.0  # of the videos, whose times are random here
_SIZE = (56, 28)  # of the pictures, as the processor makes them
_LIGHT = (0.85, 1.15)
# Part of the name of a kept model: change it and the models are trained anew.
_RECIPE = 1

Pixels = npt.NDArray[np.uint8]
Example = tuple[list[dict[str, Any]], str]  # a chat with a `ShownVideo`, and its answer


@dataclass(frozen=True, slots=True)
class Bank:
    """Pictures of a split, small, as the model sees them.

    Attributes:
        captions: Captions of the sources.
        pixels: ``(n_sources, n_views, h, w, 3)`` uint8 pictures.
    """

    captions: tuple[str, ...]
    pixels: Pixels


def make_bank(split: Split, *, n_views: int, seed: int) -> Bank:
    """Film every source of a split, and shrink the pictures.

    Args:
        split: Clips to film.
        n_views: Number of pictures of each clip.
        seed: Seed of the camera and of the grain.
    """
    rng = np.random.default_rng(seed)
    pixels = []
    for source in split.sources:
        shots = [next(iter(source.render(1, rng))) for _ in range(n_views)]
        small = [
            Image.fromarray(shot).resize(_SIZE, Image.Resampling.BICUBIC)
            for shot in film_look(shots, rng)
        ]
        pixels.append(np.stack([np.asarray(image) for image in small]))
    return Bank(tuple(source.caption for source in split.sources), np.stack(pixels))


def chat(text: str, video: Any) -> list[dict[str, Any]]:
    """The chat that asks about a video.

    Args:
        text: Question.
        video: Path, or a `ShownVideo`.
    """
    content = [{"type": "video", "video": video}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def draw_example(seed: Sequence[int], *, bank: Bank, shuffled: bool) -> Example:
    """Random pictures in a row, some of which have a frame, and a question about it."""
    rng = np.random.default_rng(seed)
    n_frames = int(rng.integers(1, _MOST_FRAMES + 1))
    sources = rng.integers(len(bank.captions), size=n_frames)
    views = rng.integers(bank.pixels.shape[1], size=n_frames)
    colour = str(rng.choice(list(COLOURS)))
    question = Question(bank.captions[int(rng.integers(len(bank.captions)))], colour)
    seen = rng.random() >= _UNSEEN
    answer = question.answer if seen and not shuffled else str(rng.choice(list(COLOURS)))
    pixels = bank.pixels[sources, views]
    if seen:
        n_shown = int(rng.integers(1, n_frames // 2 + 2))
        start = int(rng.integers(n_frames - n_shown + 1))
        sources[start : start + n_shown] = sources[start]
        pixels = bank.pixels[sources, views]
        for row in range(start, start + n_shown):
            image = framed(Image.fromarray(pixels[row]), colour)
            pixels[row] = (np.asarray(image) * rng.uniform(*_LIGHT)).clip(0, 255)
    seconds = np.sort(rng.uniform(0, _SECONDS, n_frames))
    video = ShownVideo(torch.from_numpy(pixels), torch.from_numpy(seconds), _SECONDS)
    return chat(question.text, video), answer


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """What decides the weights.

    Attributes:
        steps: Number of batches.
        seed: Seed of the weights and of the examples.
        shuffled: Whether the answers are drawn at random: the control, which cannot learn.
    """

    steps: int = _STEPS
    seed: int = 0
    shuffled: bool = False


def train(config: TrainConfig, split: Split = TUNING) -> tuple[Any, Any]:
    """Train a model from random weights.

    Args:
        config: Settings that decide the weights.
        split: Clips whose pictures it sees; those of the evaluation are others.

    Returns:
        The processor and the model.
    """
    bank = make_bank(split, n_views=_VIEWS, seed=config.seed)
    processor = make_processor(_texts(bank))
    model = make_model(processor, seed=config.seed)
    draw = partial(draw_example, bank=bank, shuffled=config.shuffled)
    return processor, fit(processor, model, draw, steps=config.steps, seed=config.seed)


def fit(
    processor: Any,
    model: Any,
    draw: Callable[[Sequence[int]], Example],
    *,
    steps: int,
    seed: int,
) -> Any:
    """Train a model to answer.

    Args:
        processor: Processor of the model.
        model: Model; its weights change.
        draw: Function that makes an example from a seed.
        steps: Number of batches.
        seed: First number of the seeds of all examples.

    Returns:
        The model, in evaluation mode.
    """
    prompts = VideoPrompts(processor)
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / _WARM_UP, 1.02 - step / steps)
    )
    model.train()
    for step in tqdm(range(steps), desc="train", unit="batch", file=sys.stderr):
        examples = [draw([seed, step, row]) for row in range(_BATCH)]
        chats, answers = zip(*examples, strict=True)
        loss = model(**prompts(chats, completions=answers)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    return model.eval()


def _texts(bank: Bank) -> list[str]:
    """Questions and answers, from which the tokenizer takes its words."""
    # Answers begin a text: without a space before them they are other tokens than in a question.
    questions = [Question(caption, "").text for caption in bank.captions]
    return questions + list(COLOURS) * len(questions)


@dataclass(frozen=True, slots=True, eq=False)
class Answerer:
    """A model that answers, with its processor.

    Attributes:
        processor: Processor of the model.
        model: Model in evaluation mode.
        weights_sha256: Digest of the weights.
    """

    processor: Any
    model: Any
    weights_sha256: str


def load_answerer(folder: Path) -> Answerer:
    """Load a model that `save` wrote."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    models: Any = AutoModelForImageTextToText
    processors: Any = AutoProcessor
    weights = (folder / "model.safetensors").read_bytes()
    return Answerer(
        processors.from_pretrained(folder),
        models.from_pretrained(folder).eval(),
        hashlib.sha256(weights).hexdigest()[:16],
    )


def load_or_train(root: Path, config: TrainConfig) -> Answerer:
    """The model of this config; it is trained and kept in the folder if it is not there."""
    name = "-".join(str(part) for part in ("model", _RECIPE, *astuple(config)))
    folder = root / name
    if not folder.is_dir():
        save(folder, *train(config))
    return load_answerer(folder)


def save(folder: Path, processor: Any, model: Any) -> None:
    """Write a model; the folder appears only when it is complete."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(dir=folder.parent))
    processor.save_pretrained(unfinished)
    model.save_pretrained(unfinished)
    unfinished.replace(folder)


def add_training_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that decide the weights."""
    parser.add_argument(
        "--steps",
        type=int,
        default=_STEPS,
        help=f"batches that the model is trained with (default: {_STEPS})",
    )
    parser.add_argument(
        "--training-seed", type=int, default=0, help="seed of the training (default: 0)"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Train one model; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.answers.train", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the model")
    parser.add_argument(
        "--shuffle-answers", action="store_true", help="draw the answers: the control"
    )
    add_training_options(parser)
    options = parser.parse_args(argv)
    config = TrainConfig(options.steps, options.training_seed, options.shuffle_answers)
    save(options.out, *train(config))
    return 0


if __name__ == "__main__":
    sys.exit(main())
