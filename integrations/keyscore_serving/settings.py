"""What the server decides, read from its environment or made by its operator."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyscore_plugin import SamplerConfig
from keyscore_plugin.errors import InputError, shown
from keyscore_serving.request import FrameRequest, RequestLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerSettings:
    """What the server decides; no client can change it.

    Attributes:
        encoder: Name of the encoder, see `keyscore_plugin.load_encoder`.
        device: Device of the encoder. The default leaves the GPU to the server's own model.
        decoder: Name of the decoder, see `keyscore_plugin.open_video`.
        captioner: Name of the captioner of ``llmvs`` and ``kframes``, see
            `keyscore_plugin.load_captioner`; None leaves these samplers out.
        config: Settings of the samplers, such as the language model of ``llmvs``.
        index: Folder in which looks at videos are kept for the next question, or ``"auto"`` for the
            usual one, see `keyscore_plugin.get_sampler`; None keeps none.
        limits: Upper bounds of a request.
        default: Keys of a request for clients that give none, such as
            ``{"sampler": "keyscore", "num_frames": 16}``; None chooses only where it is asked for.

    Raises:
        InputError: The default is no request that a client could make.
    """

    encoder: str = "auto"
    device: str = "cpu"
    decoder: str = "auto"
    captioner: str | None = None
    config: SamplerConfig = field(default_factory=SamplerConfig)
    index: str | None = None
    limits: RequestLimits = field(default_factory=RequestLimits)
    default: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.default is not None:
            FrameRequest.of(self.default, self.limits)

    @classmethod
    def from_environment(cls) -> "ServerSettings":
        """The settings in the environment; a variable that is not set keeps the default.

        The variables are ``KEYSCORE_ENCODER``, ``_DEVICE``, ``_DECODER``, ``_CAPTIONER``,
        ``_INDEX`` and ``_MAX_FRAMES``, and the JSON objects ``_CONFIG`` and ``_DEFAULT``.

        Raises:
            InputError: A variable cannot be used.
        """
        named = {
            name: os.environ[f"KEYSCORE_{name.upper()}"]
            for name in ("encoder", "device", "decoder", "captioner", "index")
            if f"KEYSCORE_{name.upper()}" in os.environ
        }
        config = _json_object("KEYSCORE_CONFIG", example='{"llmvs": {"model": "FOLDER"}}')
        return cls(
            **named,
            config=SamplerConfig.from_dict(config or {}),
            limits=_limits(),
            default=_json_object(
                "KEYSCORE_DEFAULT", example='{"sampler": "keyscore", "num_frames": 16}'
            ),
        )


def whole_number(name: str) -> int | None:
    """The whole number >= 1 that a variable of the environment holds; None if it is not set.

    Raises:
        InputError: The variable holds anything else.
    """
    given = os.environ.get(name)
    if given is None:
        return None
    if not given.isdecimal() or int(given) < 1:
        raise InputError(f"{name}={shown(given)} is no whole number >= 1; give one, or unset it")
    return int(given)


def _limits() -> RequestLimits:
    most = whole_number("KEYSCORE_MAX_FRAMES")
    return RequestLimits() if most is None else RequestLimits(max_frames=most)


def _json_object(name: str, *, example: str) -> dict[str, Any] | None:
    """The JSON object that a variable of the environment holds; None if it is not set."""
    given = os.environ.get(name)
    if given is None:
        return None
    try:
        values = json.loads(given)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise InputError(f"{name}={shown(given)} is no JSON object; give one such as {example}")
    return values
