"""What an enabled processor knows besides its own: how it was enabled, and what it chose last."""

import threading
from dataclasses import dataclass, field
from typing import Any

from keyscore_plugin.samplers.base import Sampler
from keyscore_plugin.types import Selection
from keyscore_transformers.choosing import Chooser


class Memory:
    """The selections of the last call, of each thread its own."""

    def __init__(self) -> None:
        self._of_thread = threading.local()
        self._of_any: list[Selection] = []

    @property
    def selections(self) -> list[Selection]:
        """Those of this thread's last call; of any thread's if this one made none."""
        found: list[Selection] = getattr(self._of_thread, "selections", self._of_any)
        return found

    @selections.setter
    def selections(self, selections: list[Selection]) -> None:
        self._of_thread.selections = self._of_any = selections

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled empty: it is about calls of this process."""
        return Memory, ()


@dataclass(slots=True, kw_only=True)
class State:
    """What an enabled processor knows besides its own. Kept off the instance: that is saved."""

    sampler: str | Sampler | None
    chooser: Chooser
    model: Any
    captions_itself: bool = False  # the captioner is this model's, made here
    memory: Memory = field(default_factory=Memory)

    def __str__(self) -> str:
        chooser = self.chooser
        captioner = getattr(chooser.captioner, "name", chooser.captioner)
        return (
            f"KeyScore enabled: sampler={self.sampler!r}, encoder={chooser.encoder!r}, "
            f"captioner={captioner!r}, decoder={chooser.decoder!r}, device={chooser.device!r}, "
            f"limits={chooser.limits!r}"
        )
