"""A processor of transformers that takes ``sampler=``: its methods and its class."""

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from torch import Tensor
from transformers import BatchFeature, ProcessorMixin

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import Chosen, HostRequest, takes_times
from keyscore_plugin.types import Selection
from keyscore_transformers.choosing import choose_all
from keyscore_transformers.families import Positions, processor_fold
from keyscore_transformers.positions import is_ready
from keyscore_transformers.request import (
    Block,
    names_a_sampler,
    refuse_audio_of_videos,
    refuse_stock_sampling,
    requests_for,
    says_to_sample,
    sort_keywords,
    video_blocks,
    with_lines,
    without_sampler,
)
from keyscore_transformers.state import Memory, State
from keyscore_transformers.times import (
    frame_metadata,
    grid_intervals,
    patches_chosen_before,
    with_intervals,
)
from keyscore_transformers.videos import check_one_video, flat_videos, same_nesting


@dataclass(frozen=True, slots=True)
class _Pending:
    """What `apply_chat_template` hands to the `__call__` inside it.

    Attributes:
        requests: Request for each video; None without a sampler.
        chosen: Frames of each video, if they were chosen to write what is said into the prompt.
    """

    requests: list[HostRequest] | None
    chosen: list[Chosen] | None = None


_METADATA = "return_metadata"  # some processors write times only if asked for the metadata

# From apply_chat_template to the __call__ inside it: how transformers routes keywords in between
# differs from version to version, and content blocks lose all but the video's address.
_PENDING: ContextVar[_Pending | None] = ContextVar("keyscore_pending", default=None)


class EnabledProcessor(ProcessorMixin):
    """The base that `enable` puts before the class of one processor."""

    _keyscore: State

    @property
    def last_selections(self) -> list[Selection]:
        """The selection of each video of the last call with a sampler, in the videos' order.

        Each thread sees its own calls. A thread that made no call sees the last call of any thread.
        """
        return list(self._keyscore.memory.selections)

    def __repr__(self) -> str:
        stock: Any = super()
        return f"{self._keyscore}\n{stock.__repr__()}"

    def apply_chat_template(self, conversation: Any, *args: Any, **kwargs: Any) -> Any:
        """Call the processor's own method; with ``sampler=`` its frames are chosen first."""
        stock: Any = super()
        blocks = video_blocks(conversation)
        reads_videos = _tokenizes(stock.apply_chat_template, conversation, *args, **kwargs)
        requests: list[HostRequest] | None = None
        chosen: list[Chosen] | None = None
        if self._asks(kwargs) or any(block.keywords.get("sampler") is not None for block in blocks):
            ours, rest = sort_keywords(kwargs)
            if reads_videos:
                requests = self._requests_of(blocks, ours)
                if any(request.with_texts for request in requests):
                    chosen = self._choose([block.video for block in blocks], requests, ours)
                    conversation = with_lines(conversation, [one.said for one in chosen])
            elif any(
                one.get("with_texts") for one in (ours, *(block.keywords for block in blocks))
            ):
                raise _no_prompt("tokenize=False chooses none", "give tokenize=True")
        else:
            rest = without_sampler(kwargs, blocks=blocks if reads_videos else ())
        pending = _PENDING.set(_Pending(requests, chosen))
        try:
            return stock.apply_chat_template(conversation, *args, **rest)
        finally:
            _PENDING.reset(pending)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the processor's own method; with ``sampler=`` its frames are chosen first."""
        pending = _PENDING.get()
        if pending is None:
            pending = _Pending([] if self._asks(kwargs) else None)
        if pending.requests is None:
            return self._call_without_sampler(*args, **kwargs)
        chosen = pending.chosen
        if chosen is None:
            self._keyscore.memory.selections = []  # those of another call are not of this one
        ours, rest = sort_keywords(kwargs)
        if ours.get("with_texts"):
            raise _no_prompt("here it is written already", "call apply_chat_template")
        if not takes_times(self) and rest.get("audio") is None:
            rest.pop("audio", None)  # the template passes one on to processors that take none
        # By the signature that the method had at `enable`: a later patch may have another one.
        call = inspect.signature(self.__call__).bind_partial(*args, **rest)
        if call.arguments.get("videos") is None:
            stock: Any = super()
            return stock.__call__(*args, **rest)
        refuse_stock_sampling(call.kwargs)
        refuse_audio_of_videos(call.kwargs)
        if chosen is None:
            chosen = self._choose(call.arguments["videos"], pending.requests, ours)
        return self._call_with_frames(chosen, call)

    def _call_without_sampler(self, *args: Any, **kwargs: Any) -> Any:
        """Call the processor's own method for frames that it samples, or that come with times."""
        stock: Any = super()
        rest = without_sampler(kwargs)
        before = patches_chosen_before(rest, processor_fold(self).frames_per_patch)
        if before is not None and says_to_sample(rest) is None:
            rest["do_sample_frames"] = False
        return self._with_times(stock.__call__(*args, **rest), before)

    def _call_with_frames(self, chosen: list[Chosen], call: inspect.BoundArguments) -> Any:
        """Call the processor's own method with chosen frames in place of the videos.

        Args:
            chosen: Frames of each video, in the videos' order.
            call: Arguments of the call without our keywords; its videos are replaced.
        """
        stock: Any = super()
        pixels = iter([one.pixels for one in chosen])
        call.arguments["videos"] = same_nesting(call.arguments["videos"], pixels)
        exact = self._keyscore.times == "metadata in milliseconds"
        metadata = [frame_metadata(one, in_milliseconds=exact) for one in chosen]
        times: dict[str, Any] = {}
        if takes_times(self):
            times = {"video_metadata": metadata, "do_sample_frames": False}
        asks_back = self._keyscore.times == "metadata on request" and not call.kwargs.get(_METADATA)
        if asks_back:
            times[_METADATA] = True
        batch = stock.__call__(*call.args, **call.kwargs, **times)
        if asks_back:
            batch.pop("video_metadata", None)
        return self._with_times(batch, [one.patch_seconds for one in chosen])

    def _asks(self, keywords: Mapping[str, Any]) -> bool:
        """Whether a call asks for a sampler; what the call says goes before what `enable` set."""
        if names_a_sampler(keywords):
            return sort_keywords(keywords)[0]["sampler"] is not None
        if self._keyscore.sampler is None or says_to_sample(keywords) is False:
            return False
        return patches_chosen_before(keywords, 1) is None

    def _requests_of(self, blocks: Sequence[Block], ours: Mapping[str, Any]) -> list[HostRequest]:
        """The request for each video of a chat."""
        for block in blocks:
            check_one_video(block.video)
        asked = {"sampler": self._keyscore.sampler, **ours}
        return requests_for(asked, [block.video for block in blocks], blocks=blocks)

    def _choose(
        self, given: Any, requests: list[HostRequest], ours: Mapping[str, Any]
    ) -> list[Chosen]:
        """Choose the frames of the videos; without a template by the keywords of the call."""
        state = self._keyscore
        self._check_times_can_be_given()
        videos = flat_videos(given)
        requests = requests or requests_for({"sampler": state.sampler, **ours}, videos)
        token = _PENDING.set(None)  # a captioner may call processors too
        try:
            chosen = choose_all(
                videos,
                requests,
                samplers=state.samplers,
                limits=state.limits,
                fold=processor_fold(self),
            )
        finally:
            _PENDING.reset(token)
        state.memory.selections = [one.selection for one in chosen]
        return chosen

    def _check_times_can_be_given(self) -> None:
        times = self._keyscore.times
        model = self._keyscore.model
        if isinstance(times, Positions) and times.needs_help and not is_ready(model):
            raise InputError(
                "this transformers cannot give Qwen2.5-VL the true times of chosen frames without "
                "help; use enable(processor, model=model), or install transformers>=5.18"
            )

    def _with_times(self, batch: BatchFeature, patches: list[Tensor] | None) -> BatchFeature:
        """Add the times of the temporal patches, if the family does not read them in the prompt."""
        times = self._keyscore.times
        if patches is None or not isinstance(times, Positions):
            return batch
        self._check_times_can_be_given()
        rate = times.rate_of(self._keyscore.model)
        rows = [grid_intervals(seconds, rate=rate, whole=times.whole) for seconds in patches]
        return with_intervals(batch, rows, name=times.name)

    def __copy__(self) -> "EnabledProcessor":
        """A shallow copy that is enabled as well, with the same model and samplers."""
        twin: EnabledProcessor = stock_copy(self)
        attach(twin, replace(self._keyscore, memory=Memory()))
        return twin

    def __deepcopy__(self, memo: dict[int, Any]) -> "EnabledProcessor":
        """A copy that is enabled as well, with the same model and samplers."""
        twin: EnabledProcessor = copy.deepcopy(stock_copy(self), memo)
        memo[id(self)] = twin
        attach(twin, replace(self._keyscore, memory=Memory()))
        return twin

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        """Pickle the stock processor and how it was enabled, without the model."""
        samplers = self._keyscore.samplers
        named = samplers.captioner if isinstance(samplers.captioner, str) else None
        samplers = replace(samplers, captioner=named)
        state = replace(self._keyscore, samplers=samplers, model=None, memory=Memory())
        return attach, (stock_copy(self), state)


def _no_prompt(why: str, remedy: str) -> InputError:
    return InputError(
        "with_texts=True writes what is said into the prompt once the frames are chosen, and "
        f"{why}; {remedy}, or leave it out"
    )


def _tokenizes(template: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
    """Whether a call of `apply_chat_template` reads the videos, not only writes the prompt."""
    call = inspect.signature(template).bind(*args, **kwargs)
    return bool({**call.arguments, **call.kwargs}.get("tokenize"))


def stock_copy(processor: Any) -> Any:
    """A shallow copy of transformers' own class."""
    if not isinstance(processor, EnabledProcessor):
        return copy.copy(processor)
    stock = _stock_class(processor)
    plain = object.__new__(stock)
    plain.__dict__.update(processor.__dict__)
    return plain


def _stock_class(processor: Any) -> type[Any]:
    mro = type(processor).__mro__
    return mro[mro.index(EnabledProcessor) + 1]


def attach(processor: Any, state: State) -> Any:
    """Give one instance a new class of the same name, so that it is saved as before.

    Instances that the new class makes, as in ``type(processor).from_pretrained``, are of the stock
    class.
    """
    stock = _stock_class(processor) if isinstance(processor, EnabledProcessor) else type(processor)

    @wraps(stock.__init__)
    def new_stock(cls: type[Any], *args: Any, **kwargs: Any) -> Any:
        return stock(*args, **kwargs)

    own = {
        "__module__": stock.__module__,
        "__doc__": stock.__doc__,
        "__new__": new_stock,
        "__call__": _described_as(stock.__call__, EnabledProcessor.__call__),
        "apply_chat_template": _described_as(
            stock.apply_chat_template, EnabledProcessor.apply_chat_template
        ),
        "_keyscore": state,
    }
    processor.__class__ = type(stock.__name__, (EnabledProcessor, stock), own)
    return processor


def _described_as(stock: Callable[..., Any], ours: Callable[..., Any]) -> Callable[..., Any]:
    """Our method with the signature of the stock one: vLLM and others read what a call takes."""

    @wraps(stock)
    def method(self: EnabledProcessor, *args: Any, **kwargs: Any) -> Any:
        return ours(self, *args, **kwargs)

    return method
