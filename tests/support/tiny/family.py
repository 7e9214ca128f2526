"""What a tiny family is: how to build it, and how to read what its inputs tell the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from packaging.version import Version

Inputs = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """One model family of transformers, small and random.

    Attributes:
        name: The family's folder in transformers.
        classes: Classes that have to exist in the installed transformers.
        frames_per_patch: Frames that share one visual token.
        processor: Makes the processor.
        model: Makes the model for a processor.
        read_back: Numbers of the frames in the inputs, in order, all videos after one another;
            the video must be a `tests.support.tiny.videos.numbered_video`.
        read_times: Seconds that the prompt or the position ids give the model, in order; None for
            a family that gives it none.
        expected_times: What `read_times` must return for frames at these times, by the family's
            own rule; None as above.
        since: Release of transformers from which on the family can be done.
    """

    name: str
    classes: tuple[str, ...]
    frames_per_patch: int
    processor: Callable[[], Any]
    model: Callable[[Any], Any]
    read_back: Callable[[Inputs], list[int]]
    read_times: Callable[[Inputs, Any, Any], list[float]] | None
    expected_times: Callable[[Sequence[float]], list[float]] | None
    since: str = "0"

    @property
    def missing(self) -> list[str]:
        """Classes that the installed transformers does not have, or not as they have to be."""
        if installed_before(self.since):
            return [f"{name} of {self.since}" for name in self.classes]
        return [name for name in self.classes if not hasattr(transformers, name)]

    def build(self) -> tuple[Any, Any]:
        """The processor and the model; the same weights every time."""
        processor = self.processor()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            model = self.model(processor).eval()
        # A random model would stop at a random place; asked for n tokens it must give n.
        model.generation_config.eos_token_id = None
        model.generation_config.pad_token_id = processor.tokenizer.pad_token_id
        return processor, model


def hf(name: str) -> Any:
    """A class of transformers by name: which ones exist, and with which types, is the version's."""
    return getattr(transformers, name)


def installed_before(version: str) -> bool:
    """Whether the installed transformers is older than ``version``."""
    return Version(transformers.__version__) < Version(version)
