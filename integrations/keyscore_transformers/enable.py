"""`enable`: one processor instance of transformers learns ``sampler=``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.vlm import VlmCaptioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.hosts.download import DownloadLimits, check_limits
from keyscore_plugin.samplers.base import Sampler
from keyscore_transformers.batching import BatchCaptioner, BatchingCaptioner
from keyscore_transformers.choosing import Chooser
from keyscore_transformers.enabled import attach, stock_copy
from keyscore_transformers.families import Positions, times_of
from keyscore_transformers.positions import make_ready
from keyscore_transformers.state import State
from keyscore_transformers.videos import ALLOWED_BY

P = TypeVar("P")


def enable(
    processor: P,
    *,
    sampler: str | Sampler | None = None,
    captioner: str | Captioner | None = None,
    model: Any = None,
    encoder: str | Encoder = "auto",
    config: SamplerConfig | Mapping[str, Any] | None = None,
    decoder: str = "auto",
    device: str = "auto",
    limits: DownloadLimits | None = None,
) -> P:
    """Let this processor choose frames: ``processor.apply_chat_template(..., sampler="keyscore")``.

    Only this instance changes, and only calls that ask for a sampler; everything else gives
    bit-identical output. (Videos whose frames KeyScore chose before, as in qwen-vl-utils, count as
    asking: Qwen2.5-VL is told their true times.) A second call replaces the settings of the first.

    Such calls understand, flat, in ``processor_kwargs``, in ``videos_kwargs`` or in a video's own
    content block: ``sampler``, ``num_frames`` (keyframes; 8 by default), ``threshold``,
    ``token_budget`` (as many visual tokens as this many uniform frames), ``caption``, ``question``,
    ``guide`` and ``pair`` (see `keyscore_plugin.hosts.pairing.pair_frames` for what it costs).
    In a chat, a video's question is the text of its own message, whatever is asked later.
    Afterwards `last_selections` tells what was chosen, and why; each thread sees its own.

    Args:
        processor: A processor of a family in `keyscore_transformers.families.FAMILIES`.
        sampler: For calls that name none; None leaves those untouched. A call's own word goes
            first: with ``sampler=None`` or ``do_sample_frames=False`` it is left untouched too.
        captioner: Makes the caption where none is given: a `Captioner`, or ``"labels"``.
        model: The model that will answer. It makes the captions where there is no ``captioner``.
            With transformers before 5.18 a Qwen2.5-VL also learns here to read true times.
        encoder: See `keyscore_plugin.get_sampler`.
        config: Settings of the samplers; see `keyscore_plugin.get_sampler`.
        decoder: See `keyscore_plugin.open_video`.
        device: Of the encoder.
        limits: What a video at an ``http(s):`` URL may cost; None refuses URLs.

    Returns:
        The same processor.

    Raises:
        InputError: The processor is of no family that is known, or ``limits`` are none.
    """
    times_of(processor)
    check_limits(limits, allowed_by=ALLOWED_BY)
    chooser = Chooser(
        captioner=_in_batches(captioner),
        encoder=encoder,
        config=SamplerConfig.of(config),
        decoder=decoder,
        device=device,
        limits=limits,
        samplers={},
    )
    attach(processor, State(sampler=sampler, chooser=chooser, model=None))
    if model is not None:
        add_model(processor, model)
    return processor


def add_model(processor: Any, model: Any) -> None:
    """Let an enabled processor know its model; its other settings stay.

    Args:
        processor: One that `enable` was called for.
        model: Makes the captions if nothing else does.
    """
    state = processor._keyscore
    if state.model is model:
        return
    times = times_of(processor)
    if isinstance(times, Positions) and times.needs_help:
        make_ready(model)
    chooser = state.chooser
    captions_itself = chooser.captioner is None or state.captions_itself
    if captions_itself:
        captioner = _in_batches(VlmCaptioner(model, stock_copy(processor)))
        chooser = replace(chooser, captioner=captioner, samplers={})
    state = replace(state, chooser=chooser, model=model, captions_itself=captions_itself)
    attach(processor, state)


def _in_batches(captioner: str | Captioner | None) -> str | Captioner | None:
    return BatchingCaptioner(captioner) if isinstance(captioner, BatchCaptioner) else captioner
