"""The samplers of a host: those it asks for by name are made once and kept."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

from keyscore_plugin._runtime.hub import weights_identity
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.registry import captioner_weights
from keyscore_plugin.config import ClipMode, LlmvsConfig, SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.encoders.registry import encoder_weights
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.hosts.query import TextGuide, Texts, decide_texts, refuse_other_guide
from keyscore_plugin.hosts.request import HostProfile, HostRequest
from keyscore_plugin.samplers.base import Sampler, asks_judge, get_sampler, require_sampler
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.timed_texts.heard import speech_weights

_Loader = Callable[..., Captioner | None]


class _LoadedOnce:
    """A loader that loads one captioner, once for all samplers of a pool.

    They get no object in place of the name: captions are kept on disk by the name.
    """

    def __init__(self, load: _Loader) -> None:
        self._load = load
        self._loaded: Captioner | None = None
        self._lock = Lock()

    def __call__(self, captioner: str | Captioner, *, device: str) -> Captioner | None:
        if not isinstance(captioner, str):
            return self._load(captioner, device=device)
        with self._lock:  # two calls at once would load two
            if self._loaded is None:
                self._loaded = self._load(captioner, device=device)
            return self._loaded

    def __reduce__(self) -> tuple[type["_LoadedOnce"], tuple[_Loader]]:
        return type(self), (self._load,)  # a pool in another process loads its own


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SamplerPool:
    """Samplers by name, guide and clip mode, with one encoder, captioner and settings for all.

    Attributes:
        encoder: Encoder of the samplers, see `keyscore_plugin.get_sampler`.
        captioner: Captioner for calls without a caption, and the Video-LLM that ``kframes`` asks;
            None if there is none. One that is given by its name is loaded once.
        config: Settings of the samplers. Their guide and their clip mode hold for requests that
            name none.
        decoder: Decoder of the samplers, see `keyscore_plugin.open_video`.
        device: Device of the encoder.
        loads_first: Whether the models of a sampler are loaded before its first call. A model that
            does not load then ends the run, instead of being recorded as an error of one video.
    """

    encoder: str | Encoder = "auto"
    captioner: str | Captioner | None = None
    config: SamplerConfig = field(default_factory=SamplerConfig)
    decoder: str = "auto"
    device: str = "auto"
    loads_first: bool = False
    _samplers: dict[tuple[str, TextGuide | None, ClipMode | None], Sampler] = field(
        default_factory=dict, init=False, repr=False
    )
    _weights: dict[str, str] = field(default_factory=dict, init=False, repr=False)
    _loaders: dict[_Loader, _Loader] = field(default_factory=dict, init=False, repr=False)

    def resolve(self, request: HostRequest, host: HostProfile) -> tuple[Sampler, Texts]:
        """The sampler of a request, and the texts that it gets.

        Raises:
            InputError: The sampler is unknown, a text is missing, or the sampler cannot follow the
                guide or the clip mode.
        """
        given, guide = request.sampler, request.guide
        if isinstance(given, str):
            if guide is None and self.config.guide != "given":
                guide = self.config.guide
            sampler = self.named(given)
            writes = not asks_judge(sampler) and self.captioner is not None
        else:
            require_sampler(given)
            sampler = given
            writes = not asks_judge(sampler) and getattr(sampler, "captioner", None) is not None
        texts = decide_texts(
            host.rule,
            guide=guide,
            caption=request.caption,
            question=request.question,
            user_text=request.user_text,
            needs_text=sampler.needs_text,
            has_captioner=writes,
            remedy=_remedy(host, sampler),
        )
        if isinstance(given, str):
            return self.named(given, texts.guide, request.clip_mode), texts
        refuse_other_guide(given, texts.guide)
        _refuse_other_mode(given, request.clip_mode)
        return given, texts

    def named(
        self, name: str, guide: TextGuide | None = None, clip_mode: ClipMode | None = None
    ) -> Sampler:
        """The sampler of this name for a guide and a clip mode; None keeps that of `config`.

        Raises:
            InputError: The sampler or the device is unknown.
        """
        if (name, guide, clip_mode) not in self._samplers:
            sampler = get_sampler(
                name,
                config=self._config(guide, clip_mode),
                encoder=self.encoder,
                captioner=self.captioner,
                decoder=self.decoder,
                device=self.device,
            )
            if isinstance(sampler, SamplerTemplate):
                load = sampler.captioner_loader
                sampler.captioner_loader = self._loaders.setdefault(load, _LoadedOnce(load))
            self._samplers[name, guide, clip_mode] = sampler
        return self._samplers[name, guide, clip_mode]

    def load(self, name: str) -> None:
        """Load the models of the sampler of this name now, and not at its first call.

        Raises:
            InputError: The sampler or the device is unknown.
            ModelError: A model cannot be loaded.
        """
        load_models(self.named(name))

    def cache_settings(
        self, name: str, texts: Texts, clip_mode: ClipMode | None = None
    ) -> dict[str, Any] | None:
        """All that decides a selection besides the video and the budget, as plain JSON values.

        Args:
            name: The sampler.
            texts: The texts that it gets.
            clip_mode: The clip mode of the request.

        Returns:
            None if the encoder is an object, or the speech model is not on this machine yet: the
            weights are unknown.
        """
        if not isinstance(self.encoder, str):
            return None
        sampler = self.named(name, texts.guide, clip_mode)
        config = self._config(texts.guide, clip_mode)
        speech = None if config.heard is None else speech_weights(config.heard)
        if config.heard is not None and speech is None:
            return None
        captioned_by, scorer = None, config.clips.scorer
        # A scorer of `clips` marks captions of the scenes, whatever texts are given.
        reads = scorer is not None or getattr(sampler, "reads_captions", False)
        reads = reads or config.guide == "importance" or config.split == "model"
        if texts.want_generated or asks_judge(sampler) or reads:
            captioner = self.captioner
            captioner = captioner.name if isinstance(captioner, Captioner) else captioner
            captioned_by = [captioner, captioner_weights(captioner or "")]
        return {
            "sampler": name,
            "config": config.to_dict(),
            "encoder": self.encoder,
            "weights": self._weights_of(self.encoder, sampler),
            "captioner": captioned_by,
            "scorer": None if scorer is None else weights_identity(scorer),
            "importance": _importance_weights(config.llmvs) if reads else None,
            "heard": speech,
            "decoder": self.decoder,
            "caption": texts.caption,
            "question": texts.question,
        }

    def _config(self, guide: TextGuide | None, clip_mode: ClipMode | None) -> SamplerConfig:
        config = self.config if guide is None else replace(self.config, guide=guide)
        if clip_mode is None:
            return config
        return replace(config, clips=replace(config.clips, mode=clip_mode))

    def _weights_of(self, encoder: str, sampler: Sampler) -> str | None:
        """Identify the encoder's weights, for the key of the cache.

        The identity is looked up once, since a loaded encoder stays the same. An encoder that is
        not on this machine yet is loaded first, to know which version the hub gives.
        """
        weights = self._weights.get(encoder) or encoder_weights(encoder)
        if weights is None and sampler.needs_text:
            load_models(sampler)
            weights = encoder_weights(encoder)
        if weights is not None:
            self._weights[encoder] = weights
        return weights


def load_models(sampler: Sampler) -> None:
    """Load the models that a sampler works with.

    Raises:
        ModelError: A model cannot be loaded.
    """
    reads_captions = getattr(sampler, "reads_captions", False)
    parts = ["captioner", "scorer"] if reads_captions else ["encoder", "captioner"]
    if isinstance(sampler, SamplerTemplate) and sampler.splits_by_model:
        parts.append("splitter")
    try:
        for part in parts:
            getattr(sampler, part, None)
    except InputError as error:
        raise ModelError(str(error)) from error


def _importance_weights(config: LlmvsConfig) -> list[str | None]:
    """Identify the language model and the head."""
    return [weights_identity(name) if name else None for name in (config.model, config.head)]


def _remedy(host: HostProfile, sampler: Sampler) -> str:
    """What a user of the host can do about a missing text of this sampler, one clause."""
    makes = host.make_text and not asks_judge(sampler)
    return f"{host.give_text}; or {host.make_text}" if makes else host.give_text


def _refuse_other_mode(sampler: Sampler, mode: ClipMode | None) -> None:
    """Refuse a clip mode that a sampler object, which follows its own config, would not follow."""
    config = getattr(sampler, "config", None)
    own = config.clips.mode if isinstance(config, SamplerConfig) else None
    if mode is not None and mode != own:
        raise InputError(
            f"clip_mode={mode!r} is asked of a sampler object made for {own!r}; make it with "
            f"ClipsConfig(mode={mode!r}), or give the sampler's name instead"
        )
