"""The part of a sampler's call that is alike for all: open, choose, report."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin._runtime.device import is_out_of_memory, resolve_device
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.registry import load_captioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError, MemoryEndedError
from keyscore_plugin.samplers.query import require_query
from keyscore_plugin.samplers.request import DEFAULT_NUM_FRAMES, SelectionRequest, Stopwatch
from keyscore_plugin.types import Caption, GridInfo, ScoredFrame, Selection
from keyscore_plugin.video.source import VideoInput, VideoSource, open_video


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a sampler's `SamplerTemplate._choose` found; `Selection` adds the circumstances.

    Attributes:
        indices: ``(k,)`` int64, rising.
        pts_seconds: ``(k,)`` float64.
        scores: ``(k,)`` what the frames were ranked by, or None.
        looked_at: What was decoded to choose from; None where nothing was.
    """

    indices: Tensor
    pts_seconds: Tensor
    scores: Tensor | None = None
    looked_at: GridInfo | None = None
    caption: Caption | None = None
    question: str | None = None
    encoder: str | None = None
    candidates: tuple[ScoredFrame, ...] = ()
    curves: tuple[ScoredFrame, ...] = ()
    notes: tuple[str, ...] = ()


class SamplerTemplate(ABC):
    """Base of the samplers that come with KeyScore; see `keyscore_plugin.samplers.base.Sampler`."""

    name: str
    needs_text: bool = False
    ranks: bool = False  # has a total score that a threshold can be held against

    def __init__(
        self,
        config: SamplerConfig | Mapping[str, Any] | None = None,
        *,
        encoder: str | Encoder = "auto",
        captioner: str | Captioner | None = None,
        decoder: str = "auto",
        device: str = "auto",
    ) -> None:
        """See `keyscore_plugin.samplers.base.get_sampler` for the arguments."""
        self.config = SamplerConfig.of(config)
        self.decoder = decoder
        # Here, not where it is first needed: that may be another thread, with another current GPU.
        # A sampler that needs no device still refuses one that is not there.
        self.device = resolve_device(device)
        self._encoder = encoder
        self._captioner = captioner

    def __repr__(self) -> str:
        return f"{type(self).__name__}(encoder={self._encoder!r}, captioner={self._captioner!r})"

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at the first use."""
        self._encoder = load_encoder(self._encoder, device=str(self.device))
        return self._encoder

    @property
    def tensor_device(self) -> torch.device:
        """Where STACFP computes: the GPU asked for or there; the CPU for MPS, without float64."""
        return torch.device("cpu") if self.device.type == "mps" else self.device

    @property
    def captioner(self) -> Captioner | None:
        """The captioner, loaded at the first use; None if the sampler has none."""
        if self._captioner is not None:
            self._captioner = load_captioner(self._captioner, device=str(self.device))
        return self._captioner

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
        """See `keyscore_plugin.samplers.base.Sampler`."""
        if threshold is not None and not self.ranks:
            raise InputError(f"{self.name} ranks no frames, so it has no threshold; use num_frames")
        if num_frames is None and threshold is None:
            num_frames = self._default_num_frames()
        request = SelectionRequest(num_frames, threshold, caption, question)
        clock = Stopwatch()
        with ExitStack() as stack:
            with clock.stage("decode"):
                source = open_video(video, decoder=self.decoder, fps=fps)
            if source is not video:
                stack.enter_context(source)
            choice = self._choose_in_memory(source, request, clock)
            looked_at = choice.looked_at
            return Selection(
                video=source.path,
                sampler=self.name,
                config=self._settings(),
                num_frames=request.num_frames,
                threshold=request.threshold,
                indices=choice.indices.tolist(),
                pts_seconds=choice.pts_seconds.tolist(),
                scores=None if choice.scores is None else choice.scores.tolist(),
                caption=choice.caption,
                question=choice.question,
                encoder=choice.encoder,
                decoder=source.decoder,
                stream=source.stream,
                start_pts_seconds=source.start_pts_seconds,
                duration_seconds=source.duration_seconds,
                average_fps=float(source.average_fps),
                n_frames=source.n_frames,
                n_frames_counted=source.n_frames_counted,
                n_grid=looked_at.n_first + looked_at.n_closer if looked_at else 0,
                looked_at=looked_at,
                candidates=choice.candidates,
                curves=choice.curves,
                seconds=clock.seconds(),
                notes=source.notes + choice.notes + request.notes(choice.scores),
            )

    def _choose_in_memory(
        self, source: VideoSource, request: SelectionRequest, clock: Stopwatch
    ) -> Choice:
        """`_choose`, with one error wherever the memory of a GPU ends.

        Raises:
            MemoryEndedError: It does not hold what the choice needs.
        """
        try:
            return self._choose(source, request, clock)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise MemoryEndedError(
                f"the memory of the device does not hold what {self.name} needs to choose "
                f"frames of {source.path}; free some of it, give a grid of fewer max_frames or a "
                "smaller short_side, or use device='cpu'"
            ) from error

    def _default_num_frames(self) -> int | None:
        """The budget of a call that names none."""
        return DEFAULT_NUM_FRAMES

    def _settings(self) -> dict[str, Any]:
        """What `Selection.config` records."""
        return self.config.to_dict()

    @abstractmethod
    def _choose(self, source: VideoSource, request: SelectionRequest, clock: Stopwatch) -> Choice:
        """Choose frames of an open video."""


class TextSampler(SamplerTemplate):
    """Base of the samplers that hold frames against a text."""

    needs_text = True

    def _ready_encoder(self, request: SelectionRequest, clock: Stopwatch) -> Encoder:
        """The encoder, for a call that has or can have a text."""
        with clock.stage("caption"):
            require_query(request, self.config.guide, self.captioner)
        with clock.stage("encode"):
            return self.encoder
