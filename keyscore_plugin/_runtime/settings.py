"""Settings that check themselves, and that are read from plain JSON values."""

from collections.abc import Mapping
from typing import Any, ClassVar, get_args

from typing_extensions import Self

from keyscore_plugin._runtime.names import hint
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_real, is_whole, plain


class Settings:
    """Base of the settings of every stage, which are frozen dataclasses, and of `SamplerConfig`."""

    __slots__ = ()
    __dataclass_fields__: ClassVar[dict[str, Any]]

    @classmethod
    def of(cls, given: "Self | Mapping[str, Any] | None") -> Self:
        """Make settings from any form in which a caller may give them.

        Args:
            given: The settings, or a dict of those that differ from the defaults, or None for the
                defaults.

        Raises:
            InputError: The value has another type, a name is unknown, or a value is out of range.

        Example:
            >>> from keyscore_plugin import SamplerConfig
            >>> SamplerConfig.of({"grid": {"sample_fps": 4}}).grid.sample_fps
            4
        """
        if isinstance(given, cls):
            return given
        values: Any = {} if given is None else given  # `from_dict` refuses other types
        return cls.from_dict(values)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Make settings from plain JSON values; absent ones keep their defaults.

        Raises:
            InputError: The value is not a dict, a name is unknown, or a value is out of range.

        Example:
            >>> from keyscore_plugin import SamplerConfig
            >>> SamplerConfig.from_dict({"select": {"policy": "top"}}).select.policy
            'top'
        """
        if not isinstance(values, Mapping):
            raise InputError(f"{cls.__name__}: expected a dict of settings, got {shown(values)}")
        for name in values:
            if name not in cls.__dataclass_fields__:
                raise InputError(
                    f"{cls.__name__}: unknown setting {shown(name)}{hint(name, cls.names())}; "
                    f"the settings are: {', '.join(cls.__dataclass_fields__)}"
                )
        return cls(**values)

    @classmethod
    def names(cls) -> list[str]:
        """Names of all settings; those of a stage are written ``"grid.kind"``."""
        return list(cls.__dataclass_fields__)


def require(condition: bool, config: object, message: str) -> None:
    """Refuse settings that do not keep a condition; the message names the field and its value."""
    if not condition:
        raise InputError(f"{type(config).__name__}: {message}")


def expect(config: object, name: str, condition: bool, rule: str) -> None:
    """Refuse the value of a field that does not keep a rule, such as ``"is not >= 1"``."""
    require(condition, config, f"{name} {getattr(config, name)} {rule}")


def take_whole(config: "Settings", *names: str) -> None:
    """Check that fields are whole numbers, or None by default; make them Python's own ints."""
    for name in names:
        value = getattr(config, name)
        is_left_out = value is None and type(config).__dataclass_fields__[name].default is None
        require(
            is_left_out or is_whole(value), config, f"{name} {shown(value)} is not a whole number"
        )
        object.__setattr__(config, name, plain(value))


def take_real(config: "Settings", *names: str) -> None:
    """Check that fields are numbers; make them Python's own floats or ints."""
    for name in names:
        value = getattr(config, name)
        require(is_real(value), config, f"{name} {shown(value)} is not a number")
        object.__setattr__(config, name, plain(value))


def require_one_of(config: object, name: str, choices: Any) -> None:
    """Check that a field is one of the words of a `Literal`."""
    value, words = getattr(config, name), get_args(choices)
    is_known = isinstance(value, str) and value in words
    require(is_known, config, f"{name} {shown(value)} is not {'|'.join(words)}")
