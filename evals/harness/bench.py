"""One open video on which every cell is tried; decoding and embedding are done once."""

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
from keyscore_plugin.types import Selection, TextEmbedding

# Ours: the paper does not say what its captioner sees. Even frames favour no sampler, so all cells
# can share the caption.
CAPTION_FRAMES = 8


@dataclass(frozen=True)
class Setup:
    """What all cells of a run share.

    Attributes:
        cells: What is compared.
        config: Settings of every sampler.
        encoder_asked: A name or an `Encoder`; see `load_encoder`.
        captioner_asked: A name or a `Captioner`; see `load_captioner`. None makes no captions.
        device: Where the models run.
        decoder: See `open_video`.
        seed: Of the bootstrap, and of an evaluation's own chance.
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
        """The encoder, loaded at the first use."""
        return load_encoder(self.encoder_asked, device=self.device)

    @cached_property
    def texts(self) -> dict[str, TextEmbedding]:
        """Every text embedded so far: the same queries are held against every video."""
        return {}

    @cached_property
    def captioner(self) -> Captioner | None:
        """The captioner, loaded at the first use."""
        return load_captioner(self.captioner_asked, device=self.device)

    @contextmanager
    def open(self, video: Path) -> Iterator["Bench"]:
        """A bench for one video.

        Raises:
            VideoError: The video cannot be read.
        """
        with CachedSource(open_video(video, decoder=self.decoder)) as source:
            yield Bench(self, source)


class Bench:
    """One open video.

    Args:
        setup: What all cells share.
        source: The video.

    Attributes:
        source: The video; the thumbnails of a grid are decoded once.
    """

    def __init__(self, setup: Setup, source: VideoSource) -> None:
        self.setup = setup
        self.source = source

    @cached_property
    def encoder(self) -> Encoder:
        """The encoder; each frame of this video is embedded once, each text once for all videos."""
        return CachedEncoder(lambda: self.setup.encoder, self.setup.texts)

    @cached_property
    def captioner(self) -> Captioner | None:
        """The captioner; the same frames of this video are described once."""
        captioner = self.setup.captioner
        return None if captioner is None else CachedCaptioner(captioner)

    def sampler(self, cell: Cell) -> Sampler:
        """The sampler of a cell, on the encoder and the captioner of this bench."""
        return get_sampler(
            cell.name,
            config=cell.config(self.setup.config),
            encoder=self.encoder,
            captioner=self.captioner,
            device=self.setup.device,
        )

    def select(
        self, cell: Cell, *, caption: str | None = None, question: str | None = None
    ) -> Selection:
        """Choose frames of this video by one cell; see `Sampler` for the arguments.

        Raises:
            VideoError: The video cannot be read.
            InputError: The cell's sampler needs a text and has none, or takes no threshold.
            MemoryEndedError: The memory of the device does not hold what the choice needs.
        """
        return self.sampler(cell)(
            self.source,
            num_frames=cell.num_frames,
            threshold=cell.threshold,
            caption=caption,
            question=question,
        )


def require_samplers(cells: Sequence[Cell]) -> None:
    """Show a wrong name, or a threshold for a sampler that ranks nothing, before any work.

    Raises:
        InputError: So it is.
    """
    for cell in cells:
        sampler = get_sampler(cell.name)
        if cell.threshold is not None and not getattr(sampler, "ranks", True):
            raise InputError(
                f"{cell.key}: {cell.name} gives no scores that a threshold could be held against; "
                f"give it a budget: {cell.sampler}@8"
            )
