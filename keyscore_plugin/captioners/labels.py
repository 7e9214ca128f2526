"""A caption with no download: a sentence that names the ImageNet classes seen in the frames."""

import torch
from torch.nn import functional as F

from keyscore_plugin.encoders.base import require_frames
from keyscore_plugin.encoders.conse.imagenet import load_classifier
from keyscore_plugin.types import Caption, Frames

# Ours: smaller probabilities of the 118 breeds of dog would add up to a dog in every frame.
_MIN_PROBABILITY = 0.02
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
        probabilities = self._classifier.probabilities(require_frames(frames).pixels)
        shares = F.threshold(probabilities, _MIN_PROBABILITY, 0.0).mean(0)
        totals = dict.fromkeys(self._words, 0.0)
        for word, share in zip(self._words, shares.tolist(), strict=True):
            totals[word] += share  # all breeds of dog count for "dog"
        ranked = sorted(totals, key=lambda word: -totals[word])[:_MAX_LABELS]
        labels = [word for word in ranked if totals[word] >= _MIN_SHARE * totals[ranked[0]]]
        text = f"A video that seems to show {_enumerate(labels)}."
        if totals[ranked[0]] == 0:
            text = "A video whose content is hard to name."
        return Caption(text=text, origin="generated", model=self.name)


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
