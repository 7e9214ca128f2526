"""`enable`: let one processor of transformers choose frames by ``sampler=``."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, TypeVar

from keyscore_plugin import Captioner, Encoder, Sampler, SamplerConfig, VlmCaptioner
from keyscore_plugin.hosts import DownloadLimits, SamplerPool, check_limits
from keyscore_transformers.batching import BatchCaptioner, BatchingCaptioner
from keyscore_transformers.choosing import HOST
from keyscore_transformers.enabled import attach, stock_copy
from keyscore_transformers.families import GivenTimes, Positions, times_of
from keyscore_transformers.positions import make_ready
from keyscore_transformers.state import State

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
    index: str | bool | None = None,
    times: GivenTimes | None = None,
) -> P:
    """Let this processor choose frames: ``processor.apply_chat_template(..., sampler="keyscore")``.

    Only this instance changes, and only calls that ask for a sampler; every other call gives
    bit-identical output. A call with videos whose frames KeyScore chose before, as in
    qwen-vl-utils, counts as asking: Qwen2.5-VL gets their true times. A second `enable` replaces
    the settings of the first.

    Such a call takes these keywords, flat, in ``processor_kwargs``, in ``videos_kwargs`` or in a
    video's content block:

    - ``sampler``: a name of `keyscore_plugin.list_samplers`, or a sampler;
    - one of ``num_frames`` (keyframes, 8 by default), ``threshold``, and ``token_budget`` (as many
      visual tokens as this many uniform frames);
    - ``caption``, ``question``: the texts, and ``guide``: which of them scores;
    - ``join``, ``subtitles``: as `keyscore_plugin.Sampler` takes them, and ``with_texts``: True
      writes what is said at the chosen frames before the video, in a chat;
    - ``clip_mode``: where ``clips`` and ``kframes`` take their frames, ``"auto"``, ``"focused"`` or
      ``"hybrid"``;
    - ``pair``: what fills a visual token of two frames, ``"duplicate"``, ``"neighbor"``,
      ``"pack"`` or ``"plain"``;
    - ``video_start``, ``video_end``: the part to choose from, in seconds from the first frame.

    In a chat, the question about a video is the text of the video's own message; later messages do
    not change it. After the call ``processor.last_selections`` holds what was chosen, in each
    thread for its own calls.

    Args:
        processor: Processor of a family in `keyscore_transformers.families.FAMILIES`.
        sampler: Sampler for calls that name none; None leaves such calls untouched. A call with
            ``sampler=None`` or ``do_sample_frames=False`` stays untouched, too.
        captioner: Captioner for calls without a caption: a `Captioner`, or ``"labels"``.
        model: Model that will answer. It writes the captions, ``sampler="kframes"`` asks it for
            clips, and `SamplerConfig.split` ``"model"`` for the parts of a text, if there is no
            ``captioner``. With transformers before 5.18 this also lets a Qwen2.5-VL read true
            times.
        encoder: Encoder of the samplers, as `keyscore_plugin.get_sampler` takes it.
        config: Settings of the samplers, as `keyscore_plugin.get_sampler` takes them.
        decoder: Decoder of files, as `keyscore_plugin.open_video` takes it.
        device: Device of the encoder: ``"auto"``, ``"cpu"``, ``"cuda"``, ``"cuda:1"``.
        limits: Limits of the download of a video at an ``http(s):`` URL; None refuses URLs.
        index: Folder in which looks at videos are kept for the next question, or True for the usual
            one, as `keyscore_plugin.get_sampler` takes it.
        times: Way in which the model gets the times of frames, for a family that is not in the
            table: ``"metadata"`` if its processor computes them from ``video_metadata``, ``"none"``
            if it gets none. A model that computes times in another way gets wrong ones.

    Returns:
        The same processor.

    Raises:
        InputError: The processor's family is unknown and ``times`` is left out, or a value cannot
            be used.
    """
    where = times_of(processor, given=times)
    check_limits(limits, allowed_by=HOST.allowed_by)
    samplers = SamplerPool(
        captioner=_in_batches(captioner),
        encoder=encoder,
        config=SamplerConfig.of(config).with_index(index),
        decoder=decoder,
        device=device,
    )
    attach(processor, State(sampler=sampler, samplers=samplers, limits=limits, times=where))
    if model is not None:
        add_model(processor, model)
    return processor


def add_model(processor: Any, model: Any) -> None:
    """Give an enabled processor its model; the other settings stay.

    Args:
        processor: Enabled processor.
        model: Model that writes the captions, and is asked for clips, if there is no other
            captioner.
    """
    state = processor._keyscore
    if state.model is model:
        return
    times = state.times
    if isinstance(times, Positions) and times.needs_help:
        make_ready(model)
    samplers = state.samplers
    captions_itself = samplers.captioner is None or state.captions_itself
    if captions_itself:
        captioner = _in_batches(VlmCaptioner(model, stock_copy(processor)))
        samplers = replace(samplers, captioner=captioner)
    state = replace(state, samplers=samplers, model=model, captions_itself=captions_itself)
    attach(processor, state)


def _in_batches(captioner: str | Captioner | None) -> str | Captioner | None:
    return BatchingCaptioner(captioner) if isinstance(captioner, BatchCaptioner) else captioner
