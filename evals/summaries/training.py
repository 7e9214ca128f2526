"""Train LLMVS's head on embeddings, by its published recipe, on any device (arXiv 2504.11199)."""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin import HeadShape, ImportanceHead
from keyscore_plugin.errors import InputError

RATES = {"summe": 1.19e-4, "tvsum": 7e-5}  # published

SelectOn = Literal["train", "test"]


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """A video to learn from.

    Attributes:
        key: Key of the video.
        embeddings: ``(n, d)`` embeddings.
        pts_seconds: ``(n,)`` times.
        targets: ``(n,)`` scores to learn, in [0, 1].
    """

    key: str
    embeddings: Tensor
    pts_seconds: Tensor
    targets: Tensor


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a head is trained; the defaults are published unless they say otherwise.

    Attributes:
        rate: Learning rate of AdamW.
        epochs: Passes over the videos.
        period: Epochs in which the cosine falls to 0. It is half of the epochs, so the rate rises
            again in the second half, as published.
        accumulate: Videos of a step.
        clip: Largest norm of the gradient.
        held_out: Share of the training videos that choose the checkpoint. Ours: the published
            recipe chooses it on the test videos.

    Raises:
        InputError: A value is out of range.
    """

    rate: float
    epochs: int = 200
    period: int = 100
    accumulate: int = 10
    clip: float = 0.01
    held_out: float = 0.2

    def __post_init__(self) -> None:
        counts = (self.epochs, self.period, self.accumulate)
        if min(counts) < 1 or not 0 < self.held_out < 1 or min(self.rate, self.clip) <= 0:
            raise InputError(
                f"a recipe needs counts of 1 or more, positive rate and clip, and a held_out "
                f"between 0 and 1, got {self}; the published values are the defaults"
            )

    def to_dict(self) -> dict[str, Any]:
        """The recipe as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A trained head.

    Attributes:
        head: The head of the epoch that was chosen.
        epoch: That epoch, from 1.
        value: Value by which it was chosen; larger is better.
    """

    head: ImportanceHead
    epoch: int
    value: float


def divide(examples: Sequence[Example], recipe: Recipe, *, seed: int) -> tuple[list[Example], ...]:
    """Divide training videos into those that are learned from, and those that choose the epoch.

    Raises:
        InputError: There are fewer than two videos.
    """
    if len(examples) < 2:
        raise InputError(
            f"a split trains on {len(examples)} videos; it needs two or more, one of which chooses "
            "the checkpoint"
        )
    order = torch.randperm(len(examples), generator=torch.Generator().manual_seed(seed)).tolist()
    n_held = min(len(examples) - 1, max(1, round(recipe.held_out * len(examples))))
    held = set(order[:n_held])
    learned = [one for row, one in enumerate(examples) if row not in held]
    return learned, [examples[row] for row in sorted(held)]


def fit(
    shape: HeadShape,
    examples: Sequence[Example],
    recipe: Recipe,
    *,
    judge: Callable[[ImportanceHead], float],
    seed: int,
    device: torch.device,
) -> Fit:
    """Train a head, and keep the epoch that the judge likes best; of equal ones the first.

    Args:
        shape: Sizes of the head.
        examples: Videos to learn from, in a fixed order, as published.
        recipe: Recipe of the training.
        judge: Value of a head after an epoch.
        seed: Seed of the weights and of dropout.
        device: Device to train on.

    Raises:
        InputError: The loss is not finite.
    """
    head = ImportanceHead(shape, seed=seed).to(device)
    optimizer = torch.optim.AdamW(head.parameters(), lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=recipe.period)
    moved = [
        (one.embeddings.to(device), one.pts_seconds.to(device), one.targets.to(device))
        for one in examples
    ]
    best: dict[str, Tensor] = {}
    best_epoch, best_value = 0, -math.inf
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for epoch in range(1, recipe.epochs + 1):
            _one_epoch(head.train(), optimizer, moved, recipe)
            schedule.step()
            value = judge(head.eval())
            if value > best_value:
                best_epoch, best_value = epoch, value
                best = {name: tensor.clone() for name, tensor in head.state_dict().items()}
    head.load_state_dict(best)
    return Fit(head.eval(), best_epoch, best_value)


def _one_epoch(
    head: ImportanceHead,
    optimizer: torch.optim.Optimizer,
    examples: Sequence[tuple[Tensor, Tensor, Tensor]],
    recipe: Recipe,
) -> None:
    for start in range(0, len(examples), recipe.accumulate):
        some = examples[start : start + recipe.accumulate]
        optimizer.zero_grad()
        for embeddings, pts_seconds, targets in some:
            loss = F.mse_loss(head(embeddings, pts_seconds), targets) / len(some)
            if not bool(loss.isfinite()):
                raise InputError(
                    "the loss is not finite; look for NaN in the embeddings, or give a smaller "
                    "rate, such as --recipe '{\"rate\": 1e-5}'"
                )
            torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(head.parameters(), recipe.clip)
        optimizer.step()
