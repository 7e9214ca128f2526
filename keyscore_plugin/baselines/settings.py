"""The common part of the published selectors: their settings, stretched scores, a full budget."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from torch import Tensor

from keyscore_plugin._runtime.optional import require
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
    """Base of the samplers that have the settings of a published method besides `SamplerConfig`.

    `Selection.config` holds them under ``"method"``.

    Attributes:
        defaults: Settings of the paper or its code.
        packages: Importable names of the packages of the extra ``baselines`` that the method needs.
        settings: Settings of the method.
    """

    defaults: SettingsT
    packages: tuple[str, ...] = ()

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
        """Make a sampler; its models are loaded at the first call that needs them.

        Args:
            config: The grid and the encoder's budget, or a dict of the settings that differ from
                the defaults; None keeps all defaults.
            settings: Settings of the method; None takes those of its paper or code.
            encoder: An `Encoder`, or a name as `load_encoder` takes it.
            captioner: A `Captioner`, or a name as `load_captioner` takes it, for calls without a
                text; None writes no caption.
            decoder: Name of the decoder, as `open_video` takes it.
            device: Device of models and tensors: ``"auto"``, ``"cpu"``, ``"cuda"`` ...

        Raises:
            InputError: A setting is unknown or out of range, or the device does not exist.
            MissingDependencyError: The method needs a package that is not installed.
        """
        for package in self.packages:
            require(package, extra="baselines")
        super().__init__(
            config, encoder=encoder, captioner=captioner, decoder=decoder, device=device
        )
        self.settings = self.defaults if settings is None else _with_plain_numbers(settings)

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "method": asdict(self.settings)}


def _with_plain_numbers(settings: SettingsT) -> SettingsT:
    """The same settings, with the numbers of numpy and other libraries as Python's own."""
    values: dict[str, Any] = asdict(settings)
    return replace(settings, **{name: plain(value) for name, value in values.items()})


def require_range(
    settings: Settings, name: str, *, low: float = -math.inf, high: float = math.inf
) -> None:
    """Check that a number of the settings lies in [low, high].

    Raises:
        InputError: The number lies outside, or is not finite.
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
    """Complete the frames of a method to the budget, with a note.

    Args:
        rows: ``(m,)`` rows that the method found.
        scores: ``(n,)`` score of each frame; the best of the other frames are added.
        num_frames: The budget.
        reason: Clause that says why the method found fewer.
    """
    full = pad_by_score(rows, scores, num_frames)
    n_added = len(full) - len(rows)
    note = f"{n_added} of {len(full)} frames were added by their score: {reason}"
    return Picked(full, (note,) if n_added else ())
