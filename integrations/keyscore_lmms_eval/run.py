"""A run with a sampler: choose for each document, let the stock class answer, write the log."""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from lmms_eval.models.model_utils.gen_metrics import log_metrics
from lmms_eval.utils import eval_logger
from tqdm import tqdm

from keyscore_lmms_eval import fingerprint
from keyscore_lmms_eval.arguments import PRECOMPUTED, SamplerArguments
from keyscore_lmms_eval.documents import (
    EvalInstance,
    subtitles_start,
    task_of,
    with_videos,
    with_visuals,
)
from keyscore_lmms_eval.injection import fold_of, fresh_images, open_seam
from keyscore_lmms_eval.model_table import Host
from keyscore_lmms_eval.planned_video import planned_video
from keyscore_lmms_eval.planning import Plan, Planner
from keyscore_lmms_eval.precomputed import Wanted
from keyscore_lmms_eval.processors import ChosenFramesProcessor
from keyscore_lmms_eval.selection_files import document_ids
from keyscore_lmms_eval.selection_log import SelectionLog, figures
from keyscore_plugin import Captioner, VlmCaptioner
from keyscore_plugin.errors import InputError, MemoryEndedError
from keyscore_plugin.hosts import asks_judge
from keyscore_transformers.enable import enable
from keyscore_transformers.enabled import stock_copy

_NO_ANSWER = ""  # for a document with a broken video; the response cache keeps no empty answer


class SampledRun:
    """The runs of one model with one sampler.

    Args:
        model: Model as its stock class made it.
        arguments: Arguments of the run.
        host: Way in which the model gets its frames.
    """

    def __init__(self, model: Any, arguments: SamplerArguments, host: Host) -> None:
        self._model = model
        self._host = host
        self._arguments = arguments
        self._fetched: deque[Plan] = deque()
        stock = getattr(model, host.processor) if host.processor else None
        self._planner = Planner(
            arguments,
            budget=getattr(model, host.budget),
            fold=fold_of(host, stock),
            captioner=_captioner(arguments, model, stock),
            device=str(getattr(model, "_device", "auto")),
        )
        self._log = SelectionLog(arguments, rank=model.rank, world_size=model.world_size)
        self._loader = open_seam(model, host)
        if host.processor is not None:
            enabled = enable(
                stock, model=model.model, decoder=arguments.decoder, limits=arguments.limits
            )
            processor = ChosenFramesProcessor(enabled, self._fetched, pair=arguments.shown)
            setattr(model, host.processor, processor)
        fingerprint.install()

    def generate(
        self, requests: Sequence[Any], stock: Callable[[list[Any]], list[Any]]
    ) -> list[Any]:
        """Answer each request; one whose video is broken gets no answer, and its error is logged.

        Raises:
            InputError: Nothing could be selected from any video, and not because none can be read.
        """
        start = time.perf_counter()
        # With repeats the list has an instance several times.
        different = {id(instance): instance for instance in requests}
        progress = tqdm(different.items(), desc="Selecting frames", disable=self._model.rank != 0)
        plans = {key: self._plan(instance) for key, instance in progress}
        every = [plan for several in plans.values() for plan in several]
        _refuse_if_all_fail(every)
        if not every:
            eval_logger.warning(
                f"sampler={self._arguments.sampler} has nothing to choose from: none of "
                f"{len(different)} documents names a video file"
            )
        healthy = [instance for instance in requests if not _broken(plans[id(instance)])]
        with fresh_images(self._host), self._frames_in_place(healthy, plans):
            given = stock(healthy) if healthy else []
        answers: dict[int, list[Any]] = {}  # several of one instance, in order
        for instance, answer in zip(healthy, given, strict=True):
            answers.setdefault(id(instance), []).append(answer)
        for instance in healthy:
            _refuse_unread(plans[id(instance)])
        results = [
            _NO_ANSWER if _broken(plans[id(instance)]) else answers[id(instance)].pop(0)
            for instance in requests
        ]
        self._report(different, plans, end_to_end_seconds=time.perf_counter() - start)
        return results

    def _plan(self, instance: Any) -> list[Plan]:
        asked = EvalInstance(instance, self._model.is_simple)
        doc_id, task, split = asked.place
        doc = self._model.task_dict[task][split][doc_id]
        return [
            self._planner.plan(
                Wanted(
                    task=task,
                    doc_id=doc_id,
                    ids=document_ids(doc),
                    video=shown.span.path,
                    question=shown.question,
                    subtitles_start=subtitles_start(doc),
                ),
                shown.span,
            )
            for shown in asked.shown(doc)
        ]

    @contextmanager
    def _frames_in_place(
        self, instances: Sequence[Any], plans: Mapping[int, list[Plan]]
    ) -> Iterator[None]:
        """Inside the block the requests ask for the chosen frames."""
        own = {id(instance): (instance, instance.arguments) for instance in instances}
        budget = getattr(self._model, self._host.budget)
        # Some models sample again from the frames they get; with this number they take all of them.
        most = max((plan.n_shown for key in own for plan in plans[key]), default=budget)
        setattr(self._model, self._host.budget, most)
        try:
            for key, (instance, _) in own.items():
                if plans[key]:
                    instance.arguments = self._arguments_with(instance, plans[key])
            yield
        finally:
            setattr(self._model, self._host.budget, budget)
            for instance, arguments in own.values():
                instance.arguments = arguments

    def _arguments_with(self, instance: Any, plans: list[Plan]) -> tuple[Any, ...]:
        asked = EvalInstance(instance, self._model.is_simple)
        stock = instance.args[asked.function_at]
        loader = self._loader
        videos = [planned_video(plan, self._fetched) for plan in plans]

        def visuals(doc: Any, *args: Any, **kwargs: Any) -> Any:
            if loader is not None:
                loader.plans = plans
                return stock(doc, *args, **kwargs)
            return with_visuals(stock(doc, *args, **kwargs), videos)

        def messages(doc: Any, *args: Any, **kwargs: Any) -> Any:
            return with_videos(stock(doc, *args, **kwargs), videos, task_of(stock))

        return asked.with_function(visuals if asked.is_simple else messages)

    def _report(
        self,
        different: Mapping[int, Any],
        plans: Mapping[int, list[Plan]],
        *,
        end_to_end_seconds: float,
    ) -> None:
        # A process without documents repeats one of another process, so that all make equal calls.
        counted = [
            plan
            for key, several in plans.items()
            if not different[key].metadata.get("__padding_only__")
            for plan in several
        ]
        self._log.write(counted)
        log_metrics(
            total_elapsed_time=0.0,
            total_gen_tokens=0,
            avg_speed=0.0,
            additional_metrics=figures(counted, end_to_end_seconds=end_to_end_seconds),
        )


def check_arguments(
    arguments: SamplerArguments, host: Host, model_args: Mapping[str, Any]
) -> SamplerArguments:
    """Refuse arguments that this host cannot follow, and set those that it decides.

    Raises:
        InputError: The arguments do not fit together.
    """
    if host.one_by_one and int(model_args.get("batch_size") or 1) != 1:
        raise InputError(
            f"batch_size={model_args['batch_size']}: this model of lmms-eval reads a batch by the "
            "function of its first request; with a sampler use --batch_size 1"
        )
    for name, value in host.needs:
        if model_args.get(name, value) != value:
            raise InputError(
                f"with {name}={model_args[name]} this model reads videos where no sampler can "
                "reach; leave it out"
            )
    for name, value in host.asks:
        if model_args.get(name) != value:
            raise InputError(
                f"this model of lmms-eval reads videos only with {name}={value}; add it to "
                "model_args"
            )
    folds = host.processor is not None
    if not folds and arguments.pair not in (None, "plain"):
        raise InputError(
            f"pair={arguments.pair} is for models that fold two frames into one visual token; "
            "this one gets single images; leave it out"
        )
    return arguments if folds else replace(arguments, pair="plain")


def _captioner(arguments: SamplerArguments, model: Any, processor: Any) -> Captioner | str | None:
    asks = arguments.sampler != PRECOMPUTED and asks_judge(arguments.sampler)
    config = arguments.config()
    splits = config.split == "model" and config.llmvs.model is None
    if config.guide == "question" and not (asks or splits):
        return None
    if arguments.captioner != "model":
        return arguments.captioner
    if processor is None:
        raise InputError(
            "sampler_captioner=model needs a model that runs in transformers, and this one does "
            "not; name another captioner, or use guide=question and another sampler than kframes"
        )
    return VlmCaptioner(model.model, stock_copy(processor))


def _broken(plans: Sequence[Plan]) -> bool:
    return any(plan.error is not None for plan in plans)


def _refuse_unread(plans: Sequence[Plan]) -> None:
    """Some hosts ignore a second video, or one of another format, and answer all the same."""
    for plan in plans:
        if plan.reads == 0:
            plan.error = InputError(f"this model of lmms-eval does not read {plan.span.path}")


def _refuse_if_all_fail(plans: Sequence[Plan]) -> None:
    """An error of every video is not an error in the videos."""
    errors = [plan.error for plan in plans]
    if errors and all(isinstance(error, InputError | MemoryEndedError) for error in errors):
        raise InputError(
            f"no frames could be selected from any of {len(plans)} videos: {errors[0]}"
        )
