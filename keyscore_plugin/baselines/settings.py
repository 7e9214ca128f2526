"""What the published selectors share: settings of their own, stretched scores, a full budget."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor

from keyscore_plugin.algorithm.numeric import min_max
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.pad_selection import pad_by_score
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.samplers.text import Picked
from keyscore_plugin.types.numbers import plain

_SCORE_NOISE = 1e-6  # a spread below this share of the scores' size is float32 noise


class Settings(Protocol):
    """A frozen dataclass of plain values."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


SettingsT = TypeVar("SettingsT", bound=Settings)


class PublishedSampler(SamplerTemplate, Generic[SettingsT]):
    """A sampler with the settings of a published method beside our own `SamplerConfig`.

    `Selection.config` holds them under ``"method"``.
    """

    defaults: SettingsT

    def __init__(
        self,
        config: SamplerConfig | Mapping[str, Any] | None = None,
        *,
        settings: SettingsT | None = None,
        encoder: str | Encoder = "auto",
        captioner: str | Captioner | None = None,
        decoder: str = "auto",
        device: str = "auto",
    ) -> None:
        """See `keyscore_plugin.samplers.base.get_sampler` for the other arguments.

        Args:
            config: The grid and the encoder's budget; see `SamplerConfig`.
            settings: Of the method; None takes those of its paper or code.
            encoder: As there.
            captioner: As there.
            decoder: As there.
            device: As there.
        """
        super().__init__(
            config, encoder=encoder, captioner=captioner, decoder=decoder, device=device
        )
        self.settings = self.defaults if settings is None else _with_plain_numbers(settings)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "method": asdict(self.settings)}


def _with_plain_numbers(settings: SettingsT) -> SettingsT:
    """The same settings, numbers of numpy and its like as Python's own."""
    values: dict[str, Any] = asdict(settings)
    return replace(settings, **{name: plain(value) for name, value in values.items()})


def require_range(
    settings: Settings, name: str, *, low: float = -math.inf, high: float = math.inf
) -> None:
    """Check that a number of some settings lies in [low, high].

    Raises:
        InputError: It does not, or is not finite.
    """
    value = getattr(settings, name)
    if not (math.isfinite(value) and low <= value <= high):
        raise InputError(
            f"{type(settings).__name__}: {name} {value} is not a number in [{low}, {high}]"
        )


def stretched(scores: Tensor) -> Tensor:
    """``(n,)`` float64 scores stretched to [0, 1]; constant ones become zero."""
    values = scores.double()
    return min_max(values, tolerance=_SCORE_NOISE * float(values.abs().max()))


def padded_by_score(rows: Tensor, scores: Tensor, num_frames: int, *, reason: str) -> Picked:
    """Complete what a method found to the budget, with a note.

    Args:
        rows: ``(m,)`` rows that it found.
        scores: ``(n,)`` the best of the others are added.
        num_frames: The budget.
        reason: Why it found fewer, a clause.
    """
    full = pad_by_score(rows, scores, num_frames)
    n_added = len(full) - len(rows)
    note = f"{n_added} of {len(full)} frames were added by their score: {reason}"
    return Picked(full, (note,) if n_added else ())
