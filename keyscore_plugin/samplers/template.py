"""The part of a sampler's call that is the same for all: open, choose, report."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from typing import Any

import torch
from typing_extensions import override

from keyscore_plugin._runtime.device import is_out_of_memory, resolve_device
from keyscore_plugin._runtime.stopwatch import counting, stage
from keyscore_plugin.captioners.base import Captioner
from keyscore_plugin.captioners.named_things import (
    NamedThings,
    load_writer,
    named_things,
    require_writer,
)
from keyscore_plugin.captioners.registry import load_captioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.errors import InputError, MemoryEndedError
from keyscore_plugin.index.video_index import VideoIndex, index_folder, recalled_frames
from keyscore_plugin.samplers.base import Sampler, refuse_threshold
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.query import DEFAULT_NUM_FRAMES, SelectionRequest
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.types import Join, Selection, SubtitleInput, TextInput, texts_of
from keyscore_plugin.video.source import VideoInput, VideoSource, open_video

_MOST_SPLIT = 4096  # ours: texts whose parts are kept; a few hundred bytes each


@contextmanager
def one_memory_error(name: str, path: str) -> Iterator[None]:
    """Raise one error if the memory of a GPU ends inside the block.

    Args:
        name: Name of the sampler.
        path: Name of the video.

    Raises:
        MemoryEndedError: The device does not hold what the block needs.
    """
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryEndedError(
            f"the memory of the device does not hold what {name} needs to choose frames of {path}; "
            "free some of it, give a grid of fewer max_frames or a smaller short_side, or use "
            "device='cpu'"
        ) from error


class SamplerTemplate(Sampler, ABC):
    """Base of the samplers that come with KeyScore; a subclass adds `_choose`.

    Attributes:
        ranks: Whether frames get a total score that a threshold can be compared with.
        asks_judge: Whether a call asks the captioner, a Video-LLM, which clips matter, instead of
            letting it write a caption.
        reads_captions: Whether a call needs a caption of every frame, whatever texts are given.
        keeps_gaps: Whether `SelectConfig.max_gap_seconds` is kept, or an error says that it cannot
            be; a selection of the others notes that they have rules of their own.
        default_num_frames: The budget of a call that names none; None leaves it to the sampler.
        captioner_loader: Function that loads the captioner by its name, as `load_captioner` does.
        config: The settings.
        decoder: Name of the decoder.
        device: The device of the models.
    """

    needs_text = False
    ranks: bool = False
    asks_judge: bool = False
    reads_captions: bool = False
    keeps_gaps: bool = False
    default_num_frames: int | None = DEFAULT_NUM_FRAMES
    captioner_loader: Callable[..., Captioner | None] = staticmethod(load_captioner)

    def __init__(
        self,
        config: SamplerConfig | Mapping[str, Any] | None = None,
        *,
        encoder: str | Encoder = "auto",
        captioner: str | Captioner | None = None,
        decoder: str = "auto",
        device: str = "auto",
    ) -> None:
        """Make a sampler; its models are loaded at the first call that needs them.

        Args:
            config: Settings, or a dict of those that differ from the defaults, such as
                ``{"grid": {"sample_fps": 4}}``; None keeps all defaults.
            encoder: An `Encoder`, or a name as `load_encoder` takes it: ``"auto"``, ``"conse"``, a
                model id, a folder, ``"open_clip:..."``.
            captioner: A `Captioner`, or a name as `load_captioner` takes it: ``"labels"``, the
                model id or folder of a Video-LLM. It writes the caption of calls without a text;
                without one such calls are refused. ``kframes`` asks it for clips.
            decoder: Name of the decoder, as `open_video` takes it.
            device: Device of models and tensors: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...;
                ``"auto"`` takes a GPU if there is one.

        Raises:
            InputError: A setting is unknown or out of range, or the device does not exist.
        """
        self.config = SamplerConfig.of(config)
        self.decoder = decoder
        # Resolved here, not at the first use: that may be in another thread, with another current
        # GPU. A sampler that needs no device still refuses one that does not exist.
        self.device = resolve_device(device)
        self._encoder = encoder
        self._captioner = captioner
        self._captioner_name = captioner if isinstance(captioner, str) else None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(encoder={self._encoder!r}, captioner={self._captioner!r})"

    @property
    def encoder(self) -> Encoder:
        """The encoder, loaded at the first use."""
        self._encoder = load_encoder(self._encoder, device=str(self.device))
        return self._encoder

    @property
    def tensor_device(self) -> torch.device:
        """The device of STACFP: that of the sampler, but the CPU for MPS, which has no float64."""
        return torch.device("cpu") if self.device.type == "mps" else self.device

    @property
    def captioner(self) -> Captioner | None:
        """The captioner, loaded at the first use; None if the sampler has none."""
        if self._captioner is not None:
            self._captioner = self.captioner_loader(self._captioner, device=str(self.device))
        return self._captioner

    @property
    def splits_by_model(self) -> bool:
        """Whether a call asks a model for the parts of its text."""
        return self.needs_text and self.config.split == "model"

    @cached_property
    def splitter(self) -> Callable[[str], NamedThings]:
        """What asks a model for the things that a text names, once a text, loaded at the first use.

        Raises:
            ModelError: No model is given, or it does not load.
        """
        model = self.config.llmvs.model
        writer = (
            require_writer(self.captioner) if model is None else load_writer(model, self.device)
        )
        return lru_cache(_MOST_SPLIT)(partial(named_things, writer=writer))

    @override
    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        if threshold is not None:
            refuse_threshold(self)
        if num_frames is None and threshold is None:
            num_frames = self.default_num_frames
        request = SelectionRequest(
            num_frames,
            threshold,
            captions=texts_of(caption, "caption"),
            questions=texts_of(question, "question"),
            join=join,
            subtitles=subtitles,
        )
        with counting() as stopwatch, ExitStack() as stack:
            with stage("decode"), recalled_frames(video, self.config.index):
                source = open_video(video, decoder=self.decoder, fps=fps)
            if source is not video:
                stack.enter_context(source)
            index = self._index_of(source)
            with one_memory_error(self.name, source.path):
                choice = self._choose(self.run_on(source, request, index))
            if index is not None:
                index.write()
                choice = replace(choice, notes=(*choice.notes, *index.notes))
            return self._selection(source, request, choice, stopwatch.seconds())

    def fill_index(self, video: VideoInput) -> tuple[str, ...]:
        """Look at a video as a call does, embed every frame of the grid, and keep it all.

        A call embeds only the frames that it needs; after this, no call by the same settings
        decodes or embeds a frame, but for the second look of the grid ``"refine"``.

        Args:
            video: Anything that `open_video` takes and that has a file.

        Returns:
            Notes, such as why nothing could be kept.

        Raises:
            VideoError: The video cannot be read.
            InputError: The sampler has no index, or looks at no frames that one keeps.
        """
        with ExitStack() as stack:
            with recalled_frames(video, self.config.index):
                source = open_video(video, decoder=self.decoder)
            if source is not video:
                stack.enter_context(source)
            index = self._index_of(source)
            if index is None:
                raise InputError(f"{self.name} was made without an index; make it with index=True")
            with one_memory_error(self.name, source.path):
                self._fill(self.run_on(source, SelectionRequest(), index))
            index.write()
            return (*source.notes, *index.notes)

    def _fill(self, run: Run) -> None:
        """Look at the open video of a run for the index alone."""
        raise InputError(
            f"{self.name} looks at no frames that an index keeps; give keyscore, clips, stacfp or "
            "a sampler that compares every frame with the text, such as topk"
        )

    def run_on(
        self, source: VideoSource, request: SelectionRequest, index: VideoIndex | None = None
    ) -> Run:
        """The context of one call on an open video."""
        return Run(
            source,
            request,
            self.config,
            self.tensor_device,
            get_encoder=lambda: self.encoder,
            get_captioner=lambda: self.captioner,
            get_splitter=lambda: self.splitter,
            captioner_name=self._captioner_name,
            index=index,
        )

    def _index_of(self, source: VideoSource) -> VideoIndex | None:
        index = self.config.index
        return None if index is None else VideoIndex(index_folder(index), source)

    def _selection(
        self,
        source: VideoSource,
        request: SelectionRequest,
        choice: Choice,
        seconds: Mapping[str, float],
    ) -> Selection:
        looked_at, caption = choice.looked_at, choice.query.caption
        return Selection(
            video=source.path,
            sampler=self.name,
            config=self._settings(),
            num_frames=request.num_frames,
            threshold=request.threshold,
            indices=choice.indices.tolist(),
            pts_seconds=choice.pts_seconds.tolist(),
            scores=None if choice.scores is None else choice.scores.tolist(),
            rank=None if choice.rank is None else choice.rank.tolist(),
            caption=caption,
            question=choice.query.question,
            texts=choice.query.texts,
            join=choice.query.join if choice.query.texts else None,
            chosen_for=None if choice.chosen_for is None else choice.chosen_for.tolist(),
            subtitles=choice.query.channels.subtitles,
            encoder=choice.encoder,
            captioner=choice.captioner or (caption.model if caption else None),
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
            clips=choice.clips,
            fallback=choice.fallback,
            frame_captions=choice.frame_captions,
            seconds=seconds,
            notes=(
                source.notes
                + choice.query.notes
                + choice.notes
                + request.notes(choice.scores)
                + request.notes_on_texts
                + self._notes_on_gaps()
            ),
        )

    def _notes_on_gaps(self) -> tuple[str, ...]:
        gap = self.config.select.max_gap_seconds
        if gap is None or self.keeps_gaps:
            return ()
        note = f"max_gap_seconds={gap:g} has no effect on {self.name}; keyscore and llmvs keep it"
        return (note,)

    def _settings(self) -> dict[str, Any]:
        """The settings that `Selection.config` records."""
        return self.config.to_dict()

    @abstractmethod
    def _choose(self, run: Run) -> Choice:
        """Choose frames of the open video of a run."""
