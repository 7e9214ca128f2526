"""Which frames each document gets: chosen before the model runs, so that a bad video stops none."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from keyscore_lmms_eval.arguments import ALLOWED_BY, PRECOMPUTED, SamplerArguments
from keyscore_lmms_eval.documents import VideoSpan
from keyscore_lmms_eval.precomputed import Precomputed, Wanted, selection_of
from keyscore_plugin._runtime.files import user_cache
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.registry import captioner_weights
from keyscore_plugin.errors import (
    InputError,
    KeyScoreError,
    MemoryEndedError,
    ModelError,
    VideoError,
)
from keyscore_plugin.hosts.cache import SelectionCache, selection_key
from keyscore_plugin.hosts.download import is_remote, local_path, open_anywhere
from keyscore_plugin.hosts.pairing import Fold, keyframes_for_budget, pair_frames
from keyscore_plugin.samplers.base import Sampler, get_sampler
from keyscore_plugin.types import Frames, Selection
from keyscore_plugin.video.copies import is_data_url
from keyscore_plugin.video.source import VideoSource
from keyscore_plugin.video.trim import TrimmedVideo


@dataclass(slots=True, kw_only=True)
class Plan:
    """The frames of one video of one document.

    Attributes:
        task: Name of the task.
        doc_id: Position of the document in its split.
        span: The video.
        arguments: What the run asks for.
        question: What the sampler was told.
        selection: The keyframes; indices count from the beginning of the span. None with an error.
        shown: ``(n,)`` frames of the span that the model gets, see `pair_frames`.
        shown_seconds: ``(n,)`` float64 their times, counted from the video's first frame.
        first: Frame of the video at which the span begins.
        cached: Whether the selection came from the cache.
        error: Why there is no selection.
        reads: How often the model has taken the frames.
        visual_tokens: What the frames cost the model; None where that is not known.
    """

    task: str
    doc_id: int
    span: VideoSpan
    arguments: SamplerArguments
    question: str | None
    selection: Selection | None = None
    shown: list[int] = field(default_factory=list)
    shown_seconds: Tensor = field(default_factory=lambda: torch.empty(0))
    first: int = 0
    cached: bool = False
    error: KeyScoreError | None = None
    reads: int = 0
    visual_tokens: int | None = None


class Planner:
    """Chooses the frames of one video after the other.

    Args:
        arguments: What the run asks for.
        budget: What this many uniform frames cost the model.
        fold: How the model folds frames into visual tokens.
        captioner: For guides that need a caption.
        device: Of the encoder, where the arguments name none.
    """

    def __init__(
        self,
        arguments: SamplerArguments,
        *,
        budget: int,
        fold: Fold,
        captioner: Captioner | str | None,
        device: str,
    ) -> None:
        self.arguments = arguments
        self.fold = fold
        self.n_keyframes = keyframes_for_budget(budget, fold.frames_per_patch, pair=arguments.shown)
        self.cache = _cache(arguments)
        self._settings = arguments.settings()
        name = captioner.name if isinstance(captioner, Captioner) else captioner
        self._captioned_by = [name, captioner_weights(name or "")]
        self._precomputed: Precomputed | None = None
        self._sampler: Sampler | None = None
        if arguments.sampler_file is not None:
            self._precomputed = Precomputed(Path(arguments.sampler_file))
        else:
            self._sampler = get_sampler(
                arguments.sampler,
                config=arguments.config(),
                encoder=arguments.encoder,
                captioner=captioner,
                decoder=arguments.decoder,
                device=arguments.device or device,
            )

    def plan(self, wanted: Wanted, span: VideoSpan) -> Plan:
        """Choose the frames of one video; an error that is of it alone becomes part of the plan."""
        plan = Plan(
            task=wanted.task,
            doc_id=wanted.doc_id,
            span=span,
            arguments=self.arguments,
            question=wanted.question,
        )
        try:
            with opened(span, self.arguments) as source:
                plan.first = source.first
                selection, plan.cached = self._selection(wanted, span, source)
                # Samplers of others do not say when the video starts.
                plan.selection = replace(selection, start_pts_seconds=source.start_pts_seconds)
                self._show(plan, source)
        except (VideoError, InputError, MemoryEndedError) as error:
            plan.selection, plan.error = None, _bare(error)
        return plan

    def _selection(
        self, wanted: Wanted, span: VideoSpan, source: TrimmedVideo
    ) -> tuple[Selection, bool]:
        if self._precomputed is not None:
            entry = self._precomputed.find(wanted)
            given = selection_of(entry, source, first=source.first)
            if self.arguments.num_frames is not None and len(given) > self.n_keyframes:
                raise InputError(
                    f"the precomputed selection of {span.path} has {len(given)} frames, and "
                    f"num_frames={self.arguments.num_frames} allows {self.n_keyframes} with "
                    f"pair={self.arguments.shown}; raise it, or leave it out"
                )
            return given, False
        if self.cache is None or is_remote(span.path) or is_data_url(span.path):
            return self._chosen(wanted, source), False
        start = time.perf_counter()
        self._settle_weights()
        key = selection_key(local_path(span.path), self._asked(wanted, span))
        found = self.cache.get(key)
        if found is None:
            chosen = self._chosen(wanted, source)
            self.cache.put(key, chosen)
            return chosen, False
        seconds = dict.fromkeys(found.seconds, 0.0) | {"total": time.perf_counter() - start}
        return replace(found, video=span.path, seconds=seconds), True

    def _chosen(self, wanted: Wanted, source: VideoSource) -> Selection:
        if self._sampler is None:
            raise InputError(f"sampler={PRECOMPUTED} chooses nothing by itself")
        if self._sampler.needs_text:
            _load(self._sampler)
        return self._sampler(
            source, num_frames=self.n_keyframes, question=self._told_question(wanted)
        )

    def _told_question(self, wanted: Wanted) -> str | None:
        reads = self._sampler is not None and self._sampler.needs_text
        return wanted.question if reads else None

    def _asked(self, wanted: Wanted, span: VideoSpan) -> dict[str, Any]:
        """All that decides the keyframes, beside the video: neither the model nor how it folds."""
        unimportant = ("pair", "num_frames", "device", "captioner")
        settings = {k: v for k, v in self._settings.items() if k not in unimportant}
        return {
            **settings,
            "n_keyframes": self.n_keyframes,
            "question": self._told_question(wanted),
            "span": [span.start_seconds, span.end_seconds],
            "captioner": None if settings["config"]["guide"] == "question" else self._captioned_by,
        }

    def _settle_weights(self) -> None:
        """An encoder that has to come from a hub is told from its next version once it is here."""
        if self._settings["weights"] is None and self._sampler and self._sampler.needs_text:
            _load(self._sampler)
            self._settings = self.arguments.settings()

    def _show(self, plan: Plan, source: VideoSource) -> None:
        selection = plan.selection
        if selection is None:
            return
        times = source.pts_seconds()
        plan.shown = pair_frames(selection.indices, times, self.arguments.shown, self.fold)
        plan.shown_seconds = times[plan.shown] - source.start_pts_seconds
        if selection.n_grid == 0:
            # Nobody has decoded these yet; later, inside the model, an error would end the run.
            source.read(plan.shown, size=(16, 16))


@contextmanager
def opened(span: VideoSpan, arguments: SamplerArguments) -> Iterator[TrimmedVideo]:
    """Open the video, or the part of it, with the decoder and the limits of the run."""
    with open_anywhere(
        span.path, decoder=arguments.decoder, limits=arguments.limits, allowed_by=ALLOWED_BY
    ) as source:
        yield TrimmedVideo.between(source, span.start_seconds, span.end_seconds)


def _load(sampler: Sampler) -> None:
    """Load what the sampler works with; an error in that is no fact about a video.

    Raises:
        ModelError: The encoder or the captioner cannot be loaded.
    """
    try:
        for part in ("encoder", "captioner"):
            getattr(sampler, part, None)
    except InputError as error:
        raise ModelError(str(error)) from error


def _bare(error: KeyScoreError) -> KeyScoreError:
    """The error without its tracebacks: they would hold a video's pixels to the end of the run."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def read_shown(plan: Plan) -> Frames:
    """The frames that the model gets, in order, repeated ones included."""
    with opened(plan.span, plan.arguments) as source:
        frames = source.read(plan.shown)
    plan.reads += 1  # only now: some hosts pass over an error, and answer all the same
    return frames


def _cache(arguments: SamplerArguments) -> SelectionCache | None:
    if not arguments.is_worth_caching or arguments.cache == "none":
        return None
    return SelectionCache(arguments.cache or user_cache() / "selections")
