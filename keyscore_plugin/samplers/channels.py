"""What is said and written in a video, compared with the texts of a call."""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.index.content import content_digest
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.samplers.said import file_of, heard_by, heard_in, said_in
from keyscore_plugin.samplers.written import Decode, read_by, written_in
from keyscore_plugin.timed_texts.heard import require_speech
from keyscore_plugin.timed_texts.line_scores import Channel, LineScores
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.timed_texts.written import require_ocr
from keyscore_plugin.types import SubtitleFile, SubtitleInput
from keyscore_plugin.video.source import VideoSource

_ABOUT_ELSE: dict[Channel, str] = {
    "said": "no line that is said is about the text, so what is said does not score",
    "written": "nothing that is written is about the text, so what is written does not score",
}
# The lines of the last videos, for the next question on one without an index: a few kilobytes each.
_READ: OrderedDict[tuple[object, ...], Lines] = OrderedDict()
_MOST_KEPT = 64  # ours


@dataclass(frozen=True, slots=True, eq=False)
class Channels:
    """What is said and written in a video, as far as it is about the texts of a call.

    Attributes:
        scores: Lines that are said, and lines that are written, compared with the texts; each only
            if a line is about one of them.
        subtitles: Subtitles that were read; None if none were.
        notes: Facts that a reader of the selection must know.
    """

    scores: tuple[LineScores, ...] = ()
    subtitles: SubtitleFile | None = None
    notes: tuple[str, ...] = ()


def require_readers(config: SamplerConfig) -> None:
    """Check that what reads the lines is installed, before anything is decoded.

    Raises:
        MissingDependencyError: A package is not installed.
    """
    if config.heard is not None:
        require_speech()
    if config.written:
        require_ocr()


@dataclass(frozen=True, slots=True, eq=False)
class LineSources:
    """Where the lines of a video are read. Lines that the index holds are not read again.

    Attributes:
        source: The open video, or an open part of one.
        grid: The ``n_grid`` frames that were looked at.
        config: The settings of the sampler.
        decode: Function that decodes frames as thumbnails, `GridReader.decode` of the call.
        device: Device of the models.
    """

    source: VideoSource
    grid: ThumbnailStore
    config: SamplerConfig
    decode: Decode
    device: torch.device

    def heard(self) -> Lines:
        """What the speech model of the settings hears; no lines if they name none."""
        model = self.config.heard
        if model is None:
            return Lines()
        make = partial(heard_in, self.source, model, self.device)
        origin = heard_by(model, self.device)
        return make() if origin is None else self._kept(origin, make)

    def written(self) -> Lines:
        """What is written in the picture; no lines if the settings do not ask for it."""
        if not self.config.written:
            return Lines()
        start = self.source.start_pts_seconds
        return self._kept(read_by(), partial(written_in, self.grid, self.decode, start))

    def fill(self) -> None:
        """Read what the settings ask for, for the index alone."""
        self.heard()
        self.written()

    def compared_with(
        self, texts: tuple[str, ...], subtitles: SubtitleInput, *, whole_texts: tuple[str, ...]
    ) -> Channels:
        """Read the lines, and compare them with the texts that score.

        Args:
            texts: The texts.
            subtitles: Subtitles as `keyscore_plugin.Sampler` takes them.
            whole_texts: The same texts before they were split into parts.

        Raises:
            InputError: The subtitles or the sound cannot be used.
            MissingDependencyError: A package that reads the lines is not installed.
        """
        said, read = said_in(self.source, subtitles, whole_texts)
        scores: list[LineScores] = []
        notes: list[str] = []
        found: tuple[tuple[Channel, Lines], ...] = (
            ("said", said.joined(self.heard())),
            ("written", self.written()),
        )
        for channel, lines in found:
            notes += lines.notes
            if not lines.lines:
                continue
            compared = LineScores.of(
                texts,
                lines.lines,
                channel=channel,
                start_pts_seconds=self.source.start_pts_seconds,
                device=self.device,
            )
            if bool((compared.weights > 0).any()):
                scores.append(compared)
            else:
                notes.append(_ABOUT_ELSE[channel])
        return Channels(tuple(scores), read, tuple(notes))

    def _kept(self, origin: str, make: Callable[[], Lines]) -> Lines:
        """The lines that the index or this process holds, or else new ones."""
        if self.grid.kept is not None:
            return self.grid.kept.lines(origin, make)
        file = file_of(self.source)
        if file is None:
            return make()
        key = (content_digest(file), origin, *self._looked_at())
        lines = _READ.get(key)
        if lines is None:
            lines = _READ[key] = make()
            if len(_READ) > _MOST_KEPT:
                _READ.popitem(last=False)
        return lines

    def _looked_at(self) -> tuple[object, ...]:
        """All that decides lines besides the file and what reads them."""
        source = self.source
        return (
            (source.stream, source.decoder, self.device),
            (float(source.pts_seconds([0])), source.n_frames),
            (self.grid.indices.numpy().tobytes(), self.grid[torch.tensor([0])].pixels.shape),
        )
