"""The request of a host for one video, in the same form for all hosts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args

from keyscore_plugin.config import ClipMode, Guide
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts.download import DownloadLimits
from keyscore_plugin.hosts.pairing import Pair, check_pair
from keyscore_plugin.hosts.query import QueryRule
from keyscore_plugin.samplers.base import Sampler
from keyscore_plugin.types import (
    Join,
    SubtitleInput,
    TextInput,
    check_join,
    check_subtitles,
    texts_of,
)
from keyscore_plugin.video.source import VideoInput
from keyscore_plugin.video.trim import check_part


@dataclass(frozen=True, slots=True, kw_only=True)
class HostProfile:
    """The differences between hosts: which text scores, and the words of their errors.

    Attributes:
        rule: The host's row of `keyscore_plugin.hosts.query.QUERY_RULES`.
        allowed_by: Text that a user writes to allow URLs, such as ``"enable(..., limits=...)"``.
        give_text: Advice to a user who gave no text, one clause.
        make_text: Advice on how to get a generated caption instead, one clause; empty if this host
            has no captioner. It is not shown for a sampler that asks a Video-LLM for clips.
        give_times: Advice to a user who gave pixels or pictures without their rate, one clause.
    """

    rule: QueryRule
    allowed_by: str
    give_text: str
    make_text: str = ""
    give_times: str = "give fps=, the pictures per second"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HostRequest:
    """The request of a host for one video. It can be pickled if its video and its sampler can.

    Attributes:
        video: A path; a ``file:``, ``data:`` or, with ``limits``, ``http(s):`` URL; bytes; a file
            object in binary mode; pixels ``(n, h, w, 3)`` or ``(n, 3, h, w)`` uint8 with
            ``video_metadata`` or ``fps``; a list of pictures with ``fps``; or an open video.
        sampler: A name of `keyscore_plugin.list_samplers`, or a sampler.
        num_frames: The budget of keyframes; None takes the sampler's default.
        threshold: Instead of a budget, the least score of a keyframe.
        token_budget: Instead of a budget, as many visual tokens as this many uniform frames.
        caption: A sentence about the video, or a list of them.
        question: A question to score with, or a list of them.
        join: Join of several texts of one kind, see `keyscore_plugin.Sampler`.
        subtitles: Subtitles that score, too, as `keyscore_plugin.Sampler` takes them.
        with_texts: Whether to read what the subtitles say at the chosen frames; there must be some.
        user_text: Question of the user about the video in the host's messages.
        guide: The text that scores; None leaves that to `keyscore_plugin.hosts.query`.
        clip_mode: Places where a sampler that chooses clips takes its frames (`ClipsConfig.mode`);
            None leaves that to the settings of the samplers.
        pair: Filling of a temporal patch, see `keyscore_plugin.hosts.pairing.pair_frames`.
        start_seconds: Start of the part to choose from, in seconds from the video's first frame.
        end_seconds: End of that part.
        video_metadata: Facts of pixels: ``fps``, and if they are not the whole video
            ``frames_indices`` (rising) and ``duration`` in seconds.
        fps: Pictures per second of a list of pictures, or of a folder named by a `Path`.
        decoder: A name as `keyscore_plugin.open_video` takes it.
        limits: Limits of the download of a URL; None refuses URLs.

    Raises:
        InputError: A value cannot be used, or two of the three budgets are given.
    """

    video: VideoInput
    sampler: str | Sampler
    num_frames: int | None = None
    threshold: float | None = None
    token_budget: int | None = None
    caption: TextInput | None = None
    question: TextInput | None = None
    join: Join = "all"
    subtitles: SubtitleInput = None
    with_texts: bool = False
    user_text: str | None = None
    guide: Guide | None = None
    clip_mode: ClipMode | None = None
    pair: Pair = "duplicate"
    start_seconds: float | None = None
    end_seconds: float | None = None
    video_metadata: Mapping[str, Any] | None = None
    fps: float | None = None
    decoder: str = "auto"
    limits: DownloadLimits | None = None

    def __post_init__(self) -> None:
        check_pair(self.pair)
        for name in ("caption", "question"):  # a list cannot be hashed
            if isinstance(given := getattr(self, name), (list, tuple)):
                object.__setattr__(self, name, texts_of(given, name))
        check_join(self.join)
        check_subtitles(self.subtitles)
        check_part(self.start_seconds, self.end_seconds)
        budgets = (self.num_frames, self.threshold, self.token_budget)
        if sum(budget is not None for budget in budgets) > 1:
            raise InputError("num_frames, threshold and token_budget exclude each other; give one")
        if self.guide is not None and self.guide not in get_args(Guide):
            raise InputError(
                f"guide {shown(self.guide)} is not {'|'.join(get_args(Guide))}; give one of these"
            )
        check_clip_mode(self.clip_mode)


def check_clip_mode(mode: object) -> None:
    """Check a clip mode of a request.

    Raises:
        InputError: It is neither None nor one of ``"auto"``, ``"focused"`` and ``"hybrid"``.
    """
    modes = get_args(ClipMode)
    if mode is not None and mode not in modes:
        raise InputError(f"clip_mode {shown(mode)} is not {'|'.join(modes)}; give one of these")
