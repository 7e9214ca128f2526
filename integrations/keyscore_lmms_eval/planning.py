"""The frames of each document, chosen before the model runs: a bad video does not end the run."""

from dataclasses import dataclass
from pathlib import Path

from keyscore_lmms_eval.arguments import HOST, SamplerArguments
from keyscore_lmms_eval.documents import VideoSpan
from keyscore_lmms_eval.precomputed import Precomputed, PrecomputedSampler, Wanted
from keyscore_plugin import Captioner, Sampler
from keyscore_plugin.errors import InputError, KeyScoreError, MemoryEndedError, VideoError
from keyscore_plugin.hosts import (
    Chosen,
    Fold,
    HostRequest,
    SamplerPool,
    SelectionCache,
    choose,
    open_anywhere,
)
from keyscore_plugin.types import Frames


@dataclass(slots=True, kw_only=True)
class Plan:
    """The frames of one video of one document.

    Attributes:
        task: Name of the task.
        doc_id: Position of the document in its split.
        span: Video, or part of one.
        arguments: Arguments of the run.
        question: Question of the document about the video.
        chosen: Frames that the model gets, not read yet; None with an error.
        error: Reason why there are no frames.
        reads: Number of times that the model has taken the frames.
        visual_tokens: Number of tokens that the frames cost the model; None if it is unknown.
    """

    task: str
    doc_id: int
    span: VideoSpan
    arguments: SamplerArguments
    question: str | None
    chosen: Chosen | None = None
    error: KeyScoreError | None = None
    reads: int = 0
    visual_tokens: int | None = None

    @property
    def n_shown(self) -> int:
        """Number of frames that the model gets, repeated ones included."""
        return 0 if self.chosen is None else len(self.chosen.indices)


class Planner:
    """Chooses the frames of one video after the other.

    Args:
        arguments: Arguments of the run.
        budget: Number of uniform frames that cost the model as much.
        fold: Fold of the model's frames into visual tokens.
        captioner: Captioner for guides that need a caption.
        device: Device of the encoder if the arguments name none.
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
        self.budget = budget
        self.fold = fold
        self.cache = _cache(arguments)
        self._samplers = SamplerPool(
            encoder=arguments.encoder,
            captioner=captioner,
            config=arguments.config(),
            decoder=arguments.decoder,
            device=arguments.device or device,
            loads_first=True,
        )
        self._precomputed: Precomputed | None = None
        if arguments.sampler_file is not None:
            self._precomputed = Precomputed(Path(arguments.sampler_file))
        else:
            self._samplers.named(arguments.sampler)  # a wrong device is an error here

    def plan(self, wanted: Wanted, span: VideoSpan) -> Plan:
        """Choose the frames of one video; an error of this video becomes part of the plan.

        Raises:
            ModelError: A model of the sampler cannot be loaded.
            CacheError: The folder of the cache cannot be used.
        """
        arguments = self.arguments
        plan = Plan(
            task=wanted.task,
            doc_id=wanted.doc_id,
            span=span,
            arguments=arguments,
            question=wanted.question,
        )
        try:
            request = HostRequest(
                video=span.path,
                sampler=self._sampler(wanted),
                token_budget=self.budget,
                question=wanted.question,
                subtitles=arguments.subtitles_of(span.path, start_seconds=wanted.subtitles_start),
                pair=arguments.shown,
                start_seconds=span.start_seconds,
                end_seconds=span.end_seconds,
                decoder=arguments.decoder,
                limits=arguments.limits,
            )
            plan.chosen = choose(
                request,
                host=HOST,
                samplers=self._samplers,
                fold=self.fold,
                cache=self.cache,
                read=False,  # an error inside the model would end the run
            )
        except (VideoError, InputError, MemoryEndedError) as error:
            plan.error = _bare(error)
        return plan

    def _sampler(self, wanted: Wanted) -> str | Sampler:
        if self._precomputed is None:
            return self.arguments.sampler
        return PrecomputedSampler(self._precomputed.find(wanted), self.arguments)


def _bare(error: KeyScoreError) -> KeyScoreError:
    """The error without its tracebacks, which would hold a video's pixels to the end of the run."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)


def read_shown(plan: Plan) -> Frames:
    """The frames that the model gets, in order, repeated ones included."""
    if plan.chosen is None:
        raise InputError(f"nothing was selected from {plan.span.path}: {plan.error}")
    with open_anywhere(
        plan.span.path,
        decoder=plan.arguments.decoder,
        limits=plan.arguments.limits,
        allowed_by=HOST.allowed_by,
    ) as source:
        frames = source.read(plan.chosen.indices)
    plan.reads += 1  # only now: some hosts ignore an error, and answer all the same
    return frames


def _cache(arguments: SamplerArguments) -> SelectionCache | None:
    if not arguments.is_worth_caching or arguments.cache == "none":
        return None
    return SelectionCache(arguments.cache)
