"""LLMVS's head: self-attention over the embeddings of all frames of a video, and a score for each.

Parameter by parameter the released head (arXiv 2504.11199, section 3.3): a projection, three layers
of an encoder without a position, and an MLP. It cannot know the order of the frames: permuted
frames get permuted scores. ``position="time"`` is ours and adds the time of each frame.
"""

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from keyscore_plugin.errors import InputError, ModelError, shown

Position = Literal["none", "time"]

# Ours: from what half a second changes to what divides an hour.
_SHORTEST_SECONDS, _LONGEST_SECONDS = 2.0, 4 * 3600.0


@dataclass(frozen=True, slots=True)
class HeadShape:
    """Sizes of a head; the defaults are the published ones, 88.8 M parameters in all.

    Attributes:
        d_in: Length of an embedding of the language model; 5120 for Llama-2-13B.
        width: Length of a frame's vector in the encoder.
        layers: Layers of the encoder.
        heads: Attention heads of a layer; they divide the width.
        feed_forward: Width of the feed-forward part of a layer.
        hidden: Widths of the MLP between the encoder and the score.
        dropout: Share of activations dropped while training.
        position: Place of a frame as the head knows it: ``"none"``, as published, or its ``"time"``
            in seconds.

    Raises:
        InputError: A size is not positive, or the heads do not divide the width.
    """

    d_in: int = 5120
    width: int = 2048
    layers: int = 3
    heads: int = 2
    feed_forward: int = 2048
    hidden: tuple[int, ...] = (1024, 512, 256, 128)
    dropout: float = 0.1
    position: Position = "none"

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(self.hidden))
        sizes = (self.d_in, self.width, self.layers, self.heads, self.feed_forward, *self.hidden)
        if min(sizes) < 1 or self.width % self.heads or self.width % 2:
            raise InputError(
                f"HeadShape needs positive sizes and an even width that its heads divide, got "
                f"{self}; the published ones are the defaults"
            )
        if self.position not in get_args(Position):
            raise InputError(
                f"HeadShape.position must be {'|'.join(get_args(Position))}, "
                f"got {shown(self.position)}"
            )

    def to_dict(self) -> dict[str, Any]:
        """The sizes as plain JSON values."""
        return {**asdict(self), "hidden": list(self.hidden)}


class ImportanceHead(nn.Module):
    """Scores the frames of one video from their embeddings, in [0, 1].

    Args:
        shape: Sizes of the head; None takes the published ones.
        seed: Seed of the initial weights (Xavier on every matrix).
    """

    def __init__(self, shape: HeadShape | None = None, *, seed: int = 0) -> None:
        super().__init__()
        self.shape = shape = shape or HeadShape()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.project = nn.Sequential(
                nn.Linear(shape.d_in, shape.width), nn.LayerNorm(shape.width)
            )
            layer = nn.TransformerEncoderLayer(  # post-norm and ReLU, the defaults of torch
                shape.width, shape.heads, shape.feed_forward, shape.dropout, batch_first=True
            )
            self.encoder = nn.TransformerEncoder(layer, shape.layers, enable_nested_tensor=False)
            self.score = _mlp(shape.width, shape.hidden)
            for weight in self.parameters():
                if weight.ndim > 1:
                    nn.init.xavier_uniform_(weight)

    def forward(self, embeddings: Tensor, pts_seconds: Tensor | None = None) -> Tensor:
        """Score every frame in the context of the whole video.

        Args:
            embeddings: ``(n, d_in)`` embeddings of the frames of one video, of any float type.
            pts_seconds: ``(n,)`` times of the frames; needed with ``position="time"``, else unused.

        Returns:
            ``(n,)`` scores in [0, 1], in the type of the weights.

        Raises:
            ModelError: The embeddings have another length than those of the training.
            InputError: The times are missing.
        """
        weight = next(self.parameters())
        if embeddings.ndim != 2 or embeddings.shape[1] != self.shape.d_in:
            raise ModelError(
                f"the head was trained on embeddings of length {self.shape.d_in}, got "
                f"{tuple(embeddings.shape)}; give the language model that it was trained with, or "
                "train a head for this one (python -m evals.summaries.fit)"
            )
        x = self.project(embeddings.to(weight))
        if self.shape.position == "time":
            if pts_seconds is None:
                raise InputError('a head with position="time" needs pts_seconds of each frame')
            x = x + _time_signal(pts_seconds.to(weight), self.shape.width)
        scores: Tensor = self.score(self.encoder(x[None])[0]).squeeze(1).sigmoid()
        return scores


def _mlp(width: int, hidden: tuple[int, ...]) -> nn.Sequential:
    """Linear layers with ReLU between them; the first, the third ... are followed by a LayerNorm.

    The publication does not say on which side of the ReLU the norm is; ours: before it.
    """
    parts: list[nn.Module] = []
    for number, size in enumerate(hidden):
        parts.append(nn.Linear(width, size))
        if number % 2 == 0:
            parts.append(nn.LayerNorm(size))
        parts.append(nn.ReLU())
        width = size
    return nn.Sequential(*parts, nn.Linear(width, 1))


def _time_signal(seconds: Tensor, width: int) -> Tensor:
    """``(n, width)`` sines and cosines of ``(n,)`` times, of periods from 2 s to 4 h."""
    steps = torch.linspace(0, 1, width // 2, dtype=seconds.dtype, device=seconds.device)
    ratio = math.log(_LONGEST_SECONDS / _SHORTEST_SECONDS)
    periods = _SHORTEST_SECONDS * (ratio * steps).exp()
    angles = 2 * math.pi * seconds[:, None] / periods
    return torch.cat([angles.sin(), angles.cos()], dim=1)
