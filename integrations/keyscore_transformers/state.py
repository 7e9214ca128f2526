"""How a processor was enabled, and what it chose last."""

import threading
from dataclasses import dataclass, field
from typing import Any

from keyscore_plugin import Sampler
from keyscore_plugin.hosts import DownloadLimits, SamplerPool
from keyscore_plugin.types import Selection
from keyscore_transformers.families import Times


class Memory:
    """The selections of each thread's last call."""

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self._of_any: list[Selection] = []

    @property
    def selections(self) -> list[Selection]:
        """The selections of this thread's last call, or of any thread's if this one made none."""
        selections: list[Selection] = getattr(self._of_thread, "selections", self._of_any)
        return selections

    @selections.setter
    def selections(self, selections: list[Selection]) -> None:
        self._of_thread.selections = self._of_any = selections

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle it empty: its selections belong to calls of this process."""
        return Memory, ()


@dataclass(slots=True, kw_only=True)
class State:
    """How a processor was enabled. It is kept in the class: the instance is saved to disk.

    Attributes:
        sampler: Sampler for calls that name none; None leaves those untouched.
        samplers: Samplers by name, with their encoder, captioner and settings.
        limits: Limits of the download of a URL; None refuses URLs.
        times: Place of the times of frames in the model's inputs.
        model: Model that will answer; None if it is unknown.
        captions_itself: Whether the captioner was made here from the model.
        memory: Selections of the last calls.
    """

    sampler: str | Sampler | None
    samplers: SamplerPool
    limits: DownloadLimits | None
    times: Times
    model: Any = None
    captions_itself: bool = False
    memory: Memory = field(default_factory=Memory)

    def __str__(self) -> str:
        pool = self.samplers
        captioner = getattr(pool.captioner, "name", pool.captioner)
        return (
            f"KeyScore enabled: sampler={self.sampler!r}, encoder={pool.encoder!r}, "
            f"captioner={captioner!r}, decoder={pool.decoder!r}, device={pool.device!r}, "
            f"limits={self.limits!r}"
        )
