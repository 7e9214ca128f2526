"""A caption with no download: a sentence that names the ImageNet classes seen in the frames."""

import torch
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin.encoders.base import require_frames
from keyscore_plugin.encoders.conse.imagenet import load_classifier
from keyscore_plugin.types import Caption, Frames

# Ours: smaller probabilities of the 118 breeds of dog would add up to a dog in every frame.
_MIN_PROBABILITY = 0.02
# Ours: of a single frame, the first label has .05 on black, .03 on white and .02 on grey.
_SURE = 0.1
_MAX_LABELS = 3  # ours: on real clips the fourth label is a guess
_MIN_SHARE = 0.3  # ours: least probability of a label, as a share of the first label's
_TOO_GENERAL = "food"  # the name of the dish says more than this kind


class LabelsCaptioner:
    """Names what an ImageNet classifier sees: 1,000 kinds of things, no actions and no people.

    Args:
        device: Device on which the classifier runs.

    Attributes:
        name: Name of the captioner, ``"labels"``.

    Raises:
        MissingDependencyError: A package of the extra ``offline`` is not installed.
    """

    name = "labels"

    def __init__(self, device: torch.device) -> None:
        self._classifier = load_classifier(device)
        self._words = [
            _word(name, kind)
            for name, kind in zip(self._classifier.names, self._classifier.kinds, strict=True)
        ]

    def caption(self, frames: Frames) -> Caption:
        """Name what the frames show in one sentence; each frame counts the same.

        Args:
            frames: Frames of one video. Their pixels may lie on any device.

        Returns:
            A sentence with at most three labels, such as "A video that seems to show a dog."

        Raises:
            InputError: There are no frames.
            MemoryEndedError: The memory of the device is too small for one frame.
        """
        shares = self._shares(frames).mean(0)
        named = self._named(shares)
        text = f"A video that seems to show {named}."
        if not named:
            text = "A video whose content is hard to name."
        return Caption(text=text, origin="generated", model=self.name)

    def caption_each(self, frames: Frames) -> list[str]:
        """Name what each frame shows in a sentence; ``""`` for a frame without a known thing.

        Args:
            frames: Frames of one video. Their pixels may lie on any device.

        Raises:
            InputError: There are no frames.
            MemoryEndedError: The memory of the device is too small for one frame.
        """
        named = [self._named(shares, least=_SURE) for shares in self._shares(frames)]
        return [f"A picture that seems to show {things}." if things else "" for things in named]

    def _shares(self, frames: Frames) -> Tensor:
        """``(n, 1000)`` probability of each class in each frame; small ones are 0."""
        probabilities = self._classifier.probabilities(require_frames(frames).pixels)
        return F.threshold(probabilities, _MIN_PROBABILITY, 0.0)

    def _named(self, shares: Tensor, *, least: float = 0.0) -> str:
        """At most three labels in one phrase; empty if none has more than this probability."""
        totals = dict.fromkeys(self._words, 0.0)
        for word, share in zip(self._words, shares.tolist(), strict=True):
            totals[word] += share  # all breeds of dog count for "dog"
        ranked = sorted(totals, key=lambda word: -totals[word])[:_MAX_LABELS]
        if totals[ranked[0]] <= least:
            return ""
        labels = [word for word in ranked if totals[word] >= _MIN_SHARE * totals[ranked[0]]]
        return _enumerate(labels)


def _word(name: str, kind: str) -> str:
    """Return the label of a class: its kind, or its name without explanations."""
    if kind and kind != _TOO_GENERAL:
        return kind
    for explanation in (" (", " / ", ", ", " or "):
        name = name.partition(explanation)[0]
    return name


def _enumerate(words: list[str]) -> str:
    """Join words as in ``"a tram, an umbrella and jeans"``."""
    phrases = [_with_article(word) for word in words]
    return " and ".join(filter(None, [", ".join(phrases[:-1]), phrases[-1]]))


def _with_article(word: str) -> str:
    if word.endswith("s") and not word.endswith("ss"):  # jeans, sunglasses
        return word
    sounds_open = word[0].lower() in "aeiou" and not word.startswith("uni")
    return f"{'an' if sounds_open else 'a'} {word}"
