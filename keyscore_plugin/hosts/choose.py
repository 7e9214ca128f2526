"""From a host's request to the frames that its model gets, with their true times."""

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin.hosts.cache import SelectionCache, selection_key, subtitles_key
from keyscore_plugin.hosts.opening import file_of, open_part, video_identity
from keyscore_plugin.hosts.pairing import Fold, keyframes_for_budget, pair_frames
from keyscore_plugin.hosts.pool import SamplerPool, load_models
from keyscore_plugin.hosts.query import Texts
from keyscore_plugin.hosts.request import HostProfile, HostRequest
from keyscore_plugin.samplers.base import Sampler, text_keywords
from keyscore_plugin.samplers.said import heard_in, said_in
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.types import Frames, Selection, TimedText
from keyscore_plugin.video.copies import is_data_url
from keyscore_plugin.video.metadata import frame_clock
from keyscore_plugin.video.source import VideoSource
from keyscore_plugin.video.trim import TrimmedVideo

BACKEND = "keyscore"  # names us in the metadata of a video whose frames we chose


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chosen:
    """The frames that a model gets of one video, in order, repeated ones included.

    Attributes:
        selection: The keyframes, by their indices in the whole video, and how they were chosen.
        first: Frame of the video at which the part that was asked for begins.
        indices: ``(n,)`` int64 frames of the whole video; n is a multiple of the frames in a patch.
        pts_seconds: ``(n,)`` float64 their times on the container's clock.
        metadata: ``total_num_frames``, ``fps``, ``duration`` (of the part, in seconds) and
            ``frames_indices``: from these a host computes ``frames_indices / fps``, each frame's
            time in seconds from the video's first frame.
        patch_seconds: ``(n_patches,)`` float64 time of each temporal patch, the mean of its frames.
        width: Pixels, after rotation.
        height: Pixels, after rotation.
        frames: The frames themselves; None if they were left unread.
        lines: Lines that are said at each of the ``n`` frames; empty unless the request asks for
            it.
        cached: Whether the selection came from the cache.
    """

    selection: Selection
    first: int
    indices: Tensor
    pts_seconds: Tensor
    metadata: dict[str, Any]
    patch_seconds: Tensor
    width: int
    height: int
    frames: Frames | None
    cached: bool
    lines: tuple[tuple[TimedText, ...], ...] = ()

    @property
    def seconds(self) -> Tensor:
        """``(n,)`` float64 times of the frames, in seconds from the video's first frame."""
        return self.pts_seconds - self.selection.start_pts_seconds

    @property
    def said(self) -> tuple[TimedText, ...]:
        """Each line of `lines` once, in time order."""
        lines = dict.fromkeys(line for of_frame in self.lines for line in of_frame)
        return tuple(sorted(lines, key=lambda line: (line.start, line.end)))

    @property
    def pixels(self) -> Tensor:
        """``(n, 3, h, w)`` uint8 RGB."""
        if self.frames is None:
            raise ValueError("the frames were left unread; choose with read=True")
        return self.frames.pixels.permute(0, 3, 1, 2).contiguous()


def choose(
    request: HostRequest,
    *,
    host: HostProfile,
    samplers: SamplerPool,
    fold: Fold,
    cache: SelectionCache | None = None,
    budget: Callable[[VideoSource], int] | None = None,
    read: bool = True,
) -> Chosen:
    """Choose the frames of one video for a host: open, decide the text, choose, pair, read.

    Args:
        request: Request of the host.
        host: Profile of the host: which text scores there, and the words of its users.
        samplers: Samplers for requests that name one.
        fold: Fold of the model's frames into visual tokens.
        cache: Finished selections of local files by named samplers; None keeps none.
        budget: Function that computes the token budget from the open video, or the part of it;
            None takes that of the request.
        read: Whether to read the frames. If not, frames that the sampler has not decoded are
            decoded once, small, so that a video that does not decode is an error here.

    Raises:
        VideoError: The video cannot be read.
        InputError: The request cannot be met.
        MemoryEndedError: A device does not hold what the choice needs.
        ModelError: An encoder or a captioner cannot be loaded, or wrote no caption.
        CacheError: The folder of the cache cannot be used.
    """
    sampler, texts = samplers.resolve(request, host)
    with open_part(request, host, index=samplers.config.index) as part:
        tokens = request.token_budget if budget is None else budget(part)
        n_keyframes = request.num_frames
        if tokens is not None:
            n_keyframes = keyframes_for_budget(tokens, fold.frames_per_patch, pair=request.pair)
        call = _Call(part, request, sampler, texts, n_keyframes)
        selection, cached = call.selected(samplers, cache)
        rows = pair_frames(selection.indices, part.pts_seconds(), request.pair, fold)
        frames = part.read(rows) if read else None
        if not read and selection.n_grid == 0:
            part.read(rows, size=(16, 16))
        pts_seconds = part.pts_seconds(rows)
        return Chosen(
            selection=_as_named(part.of_whole(selection), request),
            first=part.first,
            indices=part.first + torch.tensor(rows, dtype=torch.int64),
            pts_seconds=pts_seconds,
            metadata=frame_clock(rows, part),
            patch_seconds=pts_seconds.view(-1, fold.frames_per_patch).mean(1),
            width=part.width,
            height=part.height,
            frames=frames,
            cached=cached,
            lines=_lines(part, request, sampler, pts_seconds) if request.with_texts else (),
        )


def _lines(
    part: TrimmedVideo, request: HostRequest, sampler: Sampler, pts_seconds: Tensor
) -> tuple[tuple[TimedText, ...], ...]:
    """What is said at each of ``(n,)`` times: in the subtitles, or as the sampler hears it."""
    given, heard = request.subtitles, Lines()
    if isinstance(sampler, SamplerTemplate) and sampler.config.heard is not None:
        heard = heard_in(part, sampler.config.heard, sampler.device)
    elif given is None:
        given = True
    subtitles, _ = said_in(part, given, ())
    said = subtitles.joined(heard)
    return tuple(said.near(seconds) for seconds in (pts_seconds - part.start_pts_seconds).tolist())


def identity_of(request: HostRequest, texts: Texts) -> Hashable:
    """Return a value that is equal for two requests only if they get the same frames.

    Args:
        request: One of several requests that are in memory at once.
        texts: The texts that its sampler gets.
    """
    return (
        video_identity(request.video, request.video_metadata),
        request.sampler if isinstance(request.sampler, str) else id(request.sampler),
        request.num_frames,
        request.threshold,
        request.token_budget,
        (request.start_seconds, request.end_seconds),
        request.clip_mode,
        request.pair,
        texts,
        request.join,
        request.subtitles,
        request.with_texts,
    )


@dataclass(frozen=True, slots=True)
class _Call:
    """One call of a sampler."""

    part: TrimmedVideo
    request: HostRequest
    sampler: Sampler
    texts: Texts
    n_keyframes: int | None

    def selected(
        self, samplers: SamplerPool, cache: SelectionCache | None
    ) -> tuple[Selection, bool]:
        """The selection, by the part's own frame indices, and whether it came from the cache."""
        start = time.perf_counter()
        key = None if cache is None else self._key(samplers)
        if cache is None or key is None:
            return self._chosen(samplers), False
        cached = cache.get(key)
        if cached is None:
            chosen = self._chosen(samplers)
            cache.put(key, chosen)
            return chosen, False
        seconds = dict.fromkeys(cached.seconds, 0.0) | {"total": time.perf_counter() - start}
        return replace(cached, seconds=seconds), True

    def _chosen(self, samplers: SamplerPool) -> Selection:
        if samplers.loads_first and self.sampler.needs_text:
            load_models(self.sampler)
        return self.sampler(
            self.part,
            num_frames=self.n_keyframes,
            threshold=self.request.threshold,
            caption=self.texts.caption,
            question=self.texts.question,
            **text_keywords(self.request.join, self.request.subtitles),
        )

    def _key(self, samplers: SamplerPool) -> str | None:
        """Key of the selection; None if something decides it that has no name."""
        request = self.request
        file = file_of(request.video)
        if file is None or not isinstance(request.sampler, str):
            return None
        settings = samplers.cache_settings(request.sampler, self.texts, request.clip_mode)
        if settings is None:
            return None
        asked = {
            "n_keyframes": self.n_keyframes,
            "threshold": request.threshold,
            "join": request.join,
            "subtitles": subtitles_key(file, request.subtitles),
            "span": [request.start_seconds, request.end_seconds],
        }
        return selection_key(file, settings | asked)


def _as_named(selection: Selection, request: HostRequest) -> Selection:
    """The selection under the name that the host gave the video."""
    video = request.video
    if isinstance(video, str) and not is_data_url(video):
        return replace(selection, video=str(video))
    return selection
