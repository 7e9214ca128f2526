"""One open video on which every cell is run; each frame is decoded and embedded once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from evals.harness.cache import CachedCaptioner, CachedEncoder, CachedSource
from evals.harness.cells import Cell
from keyscore_plugin import (
    Captioner,
    Encoder,
    Sampler,
    SamplerConfig,
    VideoSource,
    get_sampler,
    load_captioner,
    load_encoder,
    open_video,
)
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Selection, SubtitleInput, TextEmbedding, TextInput

# Ours: the paper does not say what its captioner sees. Even frames favour no sampler, so all cells
# can share the caption.
CAPTION_FRAMES = 8


@dataclass(frozen=True)
class Setup:
    """What all cells of a run share.

    Attributes:
        cells: Samplers and budgets that are compared.
        config: Settings of every sampler.
        encoder_asked: Name as `load_encoder` takes it, or an `Encoder`.
        captioner_asked: Name as `load_captioner` takes it, or a `Captioner`; None makes no
            captions.
        device: Device of the models.
        decoder: Name as `open_video` takes it.
        seed: Seed of the bootstrap and of what an evaluation draws.
    """

    cells: tuple[Cell, ...]
    config: SamplerConfig
    encoder_asked: str | Encoder = "auto"
    captioner_asked: str | Captioner | None = None
    device: str = "auto"
    decoder: str = "auto"
    seed: int = 0

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder, loaded on first use."""
        return load_encoder(self.encoder_asked, device=self.device)

    @cached_property
    def texts(self) -> dict[str, TextEmbedding]:
        """The texts embedded so far; every video is searched with the same ones."""
        return {}

    @cached_property
    def captioner(self) -> Captioner | None:
        """The captioner, loaded on first use."""
        return load_captioner(self.captioner_asked, device=self.device)

    @cached_property
    def importance_sampler(self) -> Sampler:
        """The sampler ``llmvs``, which holds a language model: one for all videos."""
        return get_sampler(
            "llmvs", config=self.config, captioner=self.captioner_asked, device=self.device
        )

    @contextmanager
    def open(self, video: Path) -> Iterator["Bench"]:
        """Open one video as a bench.

        Raises:
            VideoError: The video cannot be read.
        """
        with CachedSource(open_video(video, decoder=self.decoder)) as source:
            yield Bench(self, source)


class Bench:
    """One open video and the models that all cells share.

    Args:
        setup: Cells, models and settings of the run.
        source: The open video.
    """

    def __init__(self, setup: Setup, source: VideoSource) -> None:
        self.setup = setup
        self.source = source

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder; each frame of this video is embedded once, each text once for all."""
        return CachedEncoder(lambda: self.setup.encoder, self.setup.texts)

    @cached_property
    def captioner(self) -> Captioner | None:
        """The captioner; it describes the same frames of this video once."""
        captioner = self.setup.captioner
        return None if captioner is None else CachedCaptioner(captioner)

    def sampler(self, cell: Cell) -> Sampler:
        """The sampler of a cell, with the encoder and the captioner of this bench."""
        if cell.name == "llmvs":
            return self.setup.importance_sampler
        return get_sampler(
            cell.name,
            config=cell.config(self.setup.config),
            encoder=self.encoder,
            captioner=self.captioner,
            device=self.setup.device,
        )

    def select(
        self,
        cell: Cell,
        *,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        subtitles: SubtitleInput = None,
    ) -> Selection:
        """Choose frames of this video with one cell; `Sampler` explains the texts.

        Raises:
            VideoError: The video cannot be read.
            InputError: The cell's sampler needs a text and got none, or takes no threshold.
            MemoryEndedError: The device has too little memory for this video.
        """
        return self.sampler(cell)(
            self.source,
            num_frames=cell.num_frames,
            threshold=cell.threshold,
            caption=caption,
            question=question,
            subtitles=subtitles,
        )


def require_samplers(cells: Sequence[Cell]) -> None:
    """Check the names, and that only samplers that rank frames get a threshold.

    Raises:
        InputError: A sampler is unknown, or gets a threshold and gives no scores.
    """
    for cell in cells:
        sampler = get_sampler(cell.name)
        if cell.threshold is not None and not getattr(sampler, "ranks", True):
            raise InputError(
                f"{cell.key}: a threshold needs scores, and {cell.name} gives none; "
                f"give it a budget: {cell.sampler}@8"
            )
