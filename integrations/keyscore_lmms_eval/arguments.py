"""Our part of ``--model_args``: the arguments, what they decide, and a hash of that."""

import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from keyscore_plugin import SamplerConfig, __version__, list_samplers
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import (
    BENCHMARK_ENDINGS,
    QUERY_RULES,
    ClipMode,
    DownloadLimits,
    Guide,
    HostProfile,
    Pair,
    check_clip_mode,
    check_pair,
    encoder_weights,
    subtitles_beside,
    unknown,
)
from keyscore_plugin.types import SubtitleInput, SubtitlesFrom
from keyscore_plugin.types.numbers import is_real, is_whole, plain

PRECOMPUTED = "precomputed"
HOST = HostProfile(
    rule=QUERY_RULES["lmms-eval"],
    allowed_by="sampler_max_download_gb=...,sampler_max_download_seconds=... in model_args",
    give_text="the document asks nothing; use a sampler that needs no text",
    make_text="guide=caption with a captioner",
)
_MOST_GB = 10**9  # ours: no disk holds so much, and a product of it is finite
_UNRANKED = ("uniform", PRECOMPUTED)  # nothing ranked their frames: shown as stock frames
_RENAMED = {
    "sampler_encoder": "encoder",
    "sampler_captioner": "captioner",
    "sampler_decoder": "decoder",
    "sampler_device": "device",
    "sampler_cache": "cache",
    "sampler_log": "log",
    "sampler_index": "index",
    "sampler_subtitles": "subtitles",
    "sampler_max_download_gb": "max_download_gb",
    "sampler_max_download_seconds": "max_download_seconds",
}

# Where files are, and what may be fetched; the content of the files is in the settings.
_DECIDE_NO_FRAME = (
    "sampler_config",
    "sampler_file",
    "subtitles",
    "cache",
    "log",
    "index",
    "max_download_gb",
    "max_download_seconds",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SamplerArguments:
    """The settings of a run. A name in brackets is the one that model_args use.

    Attributes:
        sampler: Name of `keyscore_plugin.list_samplers`, or ``"precomputed"``.
        num_frames: Budget: the number of uniform frames that cost the model as much; None takes the
            model's own. If the model folds two frames into one visual token, ``pair="duplicate"``
            and ``"neighbor"`` show half as many keyframes.
        encoder: (``sampler_encoder``) Encoder as `keyscore_plugin.get_sampler` takes it.
        captioner: (``sampler_captioner``) Captioner for guides that need a caption, and the
            Video-LLM that ``kframes`` asks for clips: ``"model"``, the model that is evaluated, or
            a name as `keyscore_plugin.get_sampler` takes it.
        guide: Text that scores: ``"question"``, ``"caption"`` or ``"both"``.
        clip_mode: Places where ``clips`` and ``kframes`` take their frames: ``"auto"``,
            ``"focused"`` or ``"hybrid"``; None leaves that to the file.
        pair: Filling of a visual token of two frames: ``"duplicate"``, ``"neighbor"``, ``"pack"``
            or ``"plain"``. None means ``"duplicate"``; for ``uniform`` and ``precomputed`` it is
            ``"plain"``, as stock sampling and the published selections show their frames.
        sampler_config: JSON file with the settings of a `SamplerConfig`.
        sampler_file: File of the selections for ``sampler=precomputed``.
        decoder: (``sampler_decoder``) Decoder as `keyscore_plugin.open_video` takes it.
        device: (``sampler_device``) Device of the encoder; None means the model's.
        cache: (``sampler_cache``) Folder of finished selections; ``"none"`` keeps none.
        log: (``sampler_log``) JSONL file of the selections; ``"none"`` writes none.
        index: (``sampler_index``) Folder in which looks at videos are kept, so that further
            questions about a video decode and embed nothing; ``"auto"`` is the usual one, see
            `keyscore_plugin.get_sampler`. None keeps no looks.
        subtitles: (``sampler_subtitles``) Folder of subtitle files with the names of the videos, as
            Video-MME, Video-MME-v2 and LongVideoBench have them; their lines score, too. None takes
            a file in the folder of the video, for questions about what is said.
        max_download_gb: (``sampler_max_download_gb``) Largest video that may be fetched from an
            ``http(s):`` URL; None refuses URLs.
        max_download_seconds: (``sampler_max_download_seconds``) Longest time for one such video.

    Raises:
        InputError: An argument cannot be used.
    """

    sampler: str
    num_frames: int | None = None
    encoder: str = "auto"
    captioner: str = "model"
    guide: Guide | None = None
    clip_mode: ClipMode | None = None
    pair: Pair | None = None
    sampler_config: str | None = None
    sampler_file: str | None = None
    decoder: str = "auto"
    device: str | None = None
    cache: str | None = None
    log: str | None = None
    index: str | None = None
    subtitles: str | None = None
    max_download_gb: float | None = None
    max_download_seconds: float | None = None

    def __post_init__(self) -> None:
        names = [*list_samplers(), PRECOMPUTED]
        if self.sampler not in names:
            raise InputError(unknown("sampler", self.sampler, names))
        n = self.num_frames
        if n is not None and not (is_whole(n) and n >= 1):
            raise InputError(f"num_frames must be a whole number >= 1, got {shown(n)}")
        object.__setattr__(self, "num_frames", plain(n))
        if self.guide is not None and self.guide not in ("question", "caption", "both"):
            raise InputError(
                f"guide {shown(self.guide)} is not question|caption|both; give one of these"
            )
        check_clip_mode(self.clip_mode)
        if self.pair is not None:
            check_pair(self.pair)
        if (self.sampler == PRECOMPUTED) != (self.sampler_file is not None):
            raise InputError("sampler=precomputed and sampler_file=FILE go together; give both")
        if self.subtitles is not None and not Path(self.subtitles).is_dir():
            raise InputError(
                f"sampler_subtitles={shown(self.subtitles)} is not a folder; give the folder of "
                "the task's subtitle files"
            )
        if self.max_download_seconds is not None and self.max_download_gb is None:
            raise InputError(
                "sampler_max_download_seconds is given and URLs are not allowed; allow them by "
                "sampler_max_download_gb=2 as well, or leave it out"
            )
        # Refused here, not at the first URL of a long run.
        _limits(self.max_download_gb, self.max_download_seconds)

    @classmethod
    def split(
        cls, model_args: Mapping[str, Any]
    ) -> tuple["SamplerArguments | None", dict[str, Any]]:
        """Take our arguments out of a model's.

        Returns:
            Our arguments, or None without a sampler; and the other arguments.

        Raises:
            InputError: An argument cannot be used, or is given without a sampler.
        """
        names = {_RENAMED.get(k, k): k for k in _named_in_model_args()}
        given = {field: model_args[k] for field, k in names.items() if k in model_args}
        if given.get("sampler") in (None, "none"):
            lost = [names[f] for f in given if f not in ("sampler", "num_frames")]
            if lost:
                raise InputError(f"{lost[0]} is given without a sampler; add sampler=keyscore")
            return None, {k: v for k, v in model_args.items() if k != "sampler"}
        rest = {k: v for k, v in model_args.items() if k not in names.values()}
        return cls(**given), rest

    @property
    def shown(self) -> Pair:
        """How keyframes fill the visual tokens."""
        return self.pair or ("plain" if self.sampler in _UNRANKED else "duplicate")

    @property
    def is_worth_caching(self) -> bool:
        """Whether choosing costs more than finding it again."""
        return self.sampler not in _UNRANKED

    @property
    def limits(self) -> DownloadLimits | None:
        """What a URL may cost; None refuses URLs."""
        return _limits(self.max_download_gb, self.max_download_seconds)

    def config(self) -> SamplerConfig:
        """The settings of the sampler: the question guides, unless the file or `guide` differ.

        Raises:
            InputError: The file cannot be read or does not hold settings.
        """
        values = {} if self.sampler_config is None else _json_object(Path(self.sampler_config))
        config = SamplerConfig.from_dict({"guide": HOST.rule.guide, **values})
        config = config.with_index(self.index)
        if self.clip_mode is not None:
            config = replace(config, clips=replace(config.clips, mode=self.clip_mode))
        return config if self.guide is None else replace(config, guide=self.guide)

    def settings(self) -> dict[str, Any]:
        """All that decides which frames the model gets, as plain JSON values.

        An encoder that is not on this machine yet has no weights here until it was loaded.
        """
        values = {k: v for k, v in asdict(self).items() if k not in _DECIDE_NO_FRAME}
        values |= {"pair": self.shown, "config": self.config().to_dict(), "version": __version__}
        values["weights"] = encoder_weights(self.encoder)
        if self.sampler_file is not None:
            values["selections"] = hashlib.sha256(_content(Path(self.sampler_file))).hexdigest()
        if self.subtitles is not None:
            values["subtitles"] = _state_of(Path(self.subtitles))
        return values

    def subtitles_of(self, video: str, *, start_seconds: float | None = None) -> SubtitleInput:
        """The subtitle file of a video in the folder of subtitles; None if it has none there.

        Args:
            video: Path of the video.
            start_seconds: Start of the video in the longer one that its subtitles are of; None if
                they are those of the video itself.
        """
        if self.subtitles is None:
            return None
        place = str(Path(self.subtitles, Path(video).name))
        file = subtitles_beside(place, endings=BENCHMARK_ENDINGS)
        if file is None or start_seconds is None:
            return None if file is None else str(file)
        return SubtitlesFrom(file, start_seconds)

    def config_hash(self) -> str:
        """16 hexadecimal digits that change with every change of `settings`."""
        text = json.dumps(self.settings(), sort_keys=True, allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _named_in_model_args() -> list[str]:
    back = {field: k for k, field in _RENAMED.items()}
    return [back.get(field, field) for field in SamplerArguments.__dataclass_fields__]


def _limits(gb: float | None, seconds: float | None) -> DownloadLimits | None:
    if gb is None:
        return None
    if not (is_real(gb) and 0 < gb <= _MOST_GB):
        raise InputError(
            f"sampler_max_download_gb must be a number > 0 and <= {_MOST_GB}, got {shown(gb)}"
        )
    limits = DownloadLimits(max_bytes=math.ceil(gb * 1e9))
    if seconds is None:
        return limits
    try:
        return replace(limits, max_seconds=seconds)
    except InputError as error:
        raise InputError(f"sampler_max_download_seconds={shown(seconds)}: {error}") from error


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; check the name of the file"
        ) from error


def _state_of(folder: Path) -> str:
    """A hash of the names, sizes and times of the files of a folder."""
    files = sorted((file.name, file.stat()) for file in folder.iterdir() if file.is_file())
    facts = [(name, state.st_size, state.st_mtime_ns) for name, state in files]
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _json_object(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(_content(path))
    except ValueError as error:
        raise InputError(
            f"sampler_config={path} is not JSON: {error}; write the settings as one JSON object"
        ) from error
    if not isinstance(values, dict):
        raise InputError(
            f"sampler_config={path} holds {type(values).__name__}, not an object; write the "
            "settings as one JSON object"
        )
    return values
