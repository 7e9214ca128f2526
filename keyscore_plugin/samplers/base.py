"""The one call every sampler has, and the names they are found by."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.registries import load, names
from keyscore_plugin.types import Selection
from keyscore_plugin.video.source import VideoInput


@runtime_checkable
class Sampler(Protocol):
    """Anything that turns a video (and a text) into a selection.

    Attributes:
        name: What `Selection.sampler` records.
        needs_text: Whether it can choose nothing without a caption or a question.
    """

    name: str
    needs_text: bool

    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: str | None = None,
        question: str | None = None,
        fps: float | None = None,
    ) -> Selection:
        """Choose frames.

        Args:
            video: Whatever `open_video` takes; an open video stays open.
            num_frames: The budget: exactly min(num_frames, frames in the video) are returned.
            threshold: Instead of a budget, the least total score (0 to 1) of a chosen frame.
            caption: A sentence about the video.
            question: What the model will be asked about the video.
            fps: Pictures per second, where the video is pictures; see `open_video`.

        Raises:
            VideoError: The video cannot be read.
            InputError: An argument is out of range, or a text is missing.
            MemoryEndedError: The memory of the device does not hold what the choice needs. Like a
                `VideoError` it costs this video alone: the next one may be smaller.
        """


def require_sampler(sampler: object) -> None:
    """Refuse what is no sampler object.

    Raises:
        InputError: It is something else, the class of one say.
    """
    if isinstance(sampler, type) or not isinstance(sampler, Sampler):
        raise InputError(
            "a sampler is a name ('uniform') or an object (get_sampler('uniform')), got "
            f"{shown(sampler)}"
        )


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
) -> Sampler:
    """Make a sampler by name.

    Args:
        name: One of `list_samplers`.
        config: Settings, or a dict of those that differ from the defaults, such as
            ``{"grid": {"sample_fps": 4}}``; None keeps all defaults.
        encoder: A name as `load_encoder` takes it (``"auto"``, ``"conse"``, a model id, a folder,
            ``"open_clip:..."``), or an `Encoder`. Loaded at the first call that needs it, so a
            sampler that reads no text loads none.
        captioner: ``"labels"``, the model id or folder of a Video-LLM, or a `Captioner`, for calls
            without a text; None makes none.
        decoder: See `open_video`.
        device: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...

    Raises:
        InputError: There is no such sampler.
    """
    sampler: Sampler = load("sampler", name)(
        config, encoder=encoder, captioner=captioner, decoder=decoder, device=device
    )
    return sampler
