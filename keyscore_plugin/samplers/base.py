"""The call that every sampler has, and samplers by name."""

import os
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.index.video_index import index_folder
from keyscore_plugin.registries import load, names
from keyscore_plugin.types import Join, Selection, SubtitleInput, TextInput
from keyscore_plugin.video.source import VideoInput


@runtime_checkable
class Sampler(Protocol):
    """Anything that turns a video (and a text) into a selection.

    Attributes:
        name: The name that `Selection.sampler` records.
        needs_text: Whether a call needs a caption, a question or a captioner.
    """

    name: str
    needs_text: bool

    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        """Choose frames of a video.

        Args:
            video: Anything that `open_video` takes: a path, the bytes or an open file of a video,
                a folder or list of pictures, an ``(n, h, w, 3)`` uint8 array. An open video stays
                open.
            num_frames: The budget k: exactly min(k, frames in the video) are chosen. Without a
                budget and a threshold most samplers choose 8; ``stacfp`` chooses as many as it
                finds clusters.
            threshold: Instead of a budget, the least total score (0 to 1) of a chosen frame; the
                best frame is always chosen. Only for samplers that rank frames.
            caption: A sentence about the video, or a list of sentences: each is scored on its own.
            question: The question that the model will be asked about the video, or a list of them.
            join: Join of a list of texts. ``"all"`` shows the best moments of each text; ``"any"``
                does too, but fewer of a text that no frame stands out with; ``"then"`` shows
                moments of each text that follow each other in this order; ``"at_once"`` shows
                frames that all texts fit.
            subtitles: The path of a subtitle file (.srt, .vtt, .ass, .json, .jsonl), or the
                `SubtitlesFrom` of a longer video: what is said scores, too. True takes the file
                next to the video, or else the first stream of text inside of it; False takes none.
                None takes the file next to the video if a text has a word about speaking, such as
                "says".
            fps: Pictures per second, if the video is a folder, a list or an array of pictures.

        Returns:
            The ``k`` chosen frames in time order: ``indices`` (0-based, in display order) and
            ``pts_seconds`` (seconds, from the container), with the reasons.

        Raises:
            VideoError: The video cannot be read.
            InputError: An argument is out of range, or a text is missing.
            MissingDependencyError: The decoder or a model needs a package that is not installed.
            MemoryEndedError: The memory of the device does not hold what the choice needs. Like a
                `VideoError` it costs this video alone: the next one may be smaller.
        """


def require_sampler(sampler: object) -> None:
    """Refuse a value that is not a sampler object.

    Raises:
        InputError: The value is something else, such as the class of a sampler.
    """
    if isinstance(sampler, type) or not isinstance(sampler, Sampler):
        raise InputError(
            "a sampler is a name ('uniform') or an object (get_sampler('uniform')), got "
            f"{shown(sampler)}"
        )


def text_keywords(join: Join, subtitles: SubtitleInput) -> dict[str, Any]:
    """The keywords ``join`` and ``subtitles`` of a sampler's call, without those at their default.

    A sampler of another package may not have them, and most calls do not need them.
    """
    keywords: dict[str, Any] = {} if join == "all" else {"join": join}
    return keywords if subtitles is None else {**keywords, "subtitles": subtitles}


def refuse_threshold(sampler: Sampler) -> None:
    """Refuse a threshold for a sampler that has no score to compare it with.

    Raises:
        InputError: The sampler ranks no frames.
    """
    if not getattr(sampler, "ranks", True):
        raise InputError(f"{sampler.name} ranks no frames, so it has no threshold; use num_frames")


def asks_judge(sampler: object) -> bool:
    """Whether a sampler asks the captioner which clips a text needs, and never for a caption.

    Args:
        sampler: A sampler, or a name of `list_samplers`.
    """
    kind = load("sampler", sampler) if isinstance(sampler, str) else sampler
    return bool(getattr(kind, "asks_judge", False))


def list_samplers() -> list[str]:
    """Names that `get_sampler` knows, sorted."""
    return names("sampler")


def get_sampler(
    name: str,
    *,
    config: SamplerConfig | Mapping[str, Any] | None = None,
    encoder: str | Encoder = "auto",
    captioner: str | Captioner | None = None,
    decoder: str = "auto",
    device: str = "auto",
    index: str | os.PathLike[str] | bool | None = None,
) -> Sampler:
    """Make a sampler by name.

    Args:
        name: One of `list_samplers`.
        config: Settings, or a dict of those that differ from the defaults, such as
            ``{"grid": {"sample_fps": 4}}``; None keeps all defaults.
        encoder: An `Encoder`, or a name as `load_encoder` takes it: ``"auto"``, ``"conse"``, a
            model id, a folder, ``"open_clip:..."``. It is loaded at the first call that needs it,
            so a sampler that reads no text loads none.
        captioner: A `Captioner`, or a name as `load_captioner` takes it: ``"labels"``, the model id
            or folder of a Video-LLM, or the folder of a PEFT adapter for one. It writes the caption
            of calls without a text; None writes none. ``"kframes"`` asks it for clips instead.
        decoder: Name of the decoder, as `open_video` takes it.
        device: Device of models and tensors: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...
        index: Folder in which looks at videos are kept, so that the next question about a video
            decodes and embeds nothing that is there; True for the usual folder (`IndexConfig`). It
            changes no selection. None keeps the index of ``config``, which has none by default.

    Returns:
        The sampler; its models are not loaded yet.

    Raises:
        InputError: The name is unknown, a setting is unknown or out of range, or the device does
            not exist.
        CacheError: The folder of the index is a file.
        MissingDependencyError: The sampler needs a package that is not installed.
    """
    config = SamplerConfig.of(config).with_index(index)
    if config.index is not None:
        index_folder(config.index)  # refused here, not at the first video
    sampler: Sampler = load("sampler", name)(
        config, encoder=encoder, captioner=captioner, decoder=decoder, device=device
    )
    return sampler
