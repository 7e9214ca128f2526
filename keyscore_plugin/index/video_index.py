"""The looks at one open video that the index holds, in one call of a sampler."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from keyscore_plugin._runtime.files import is_file, user_cache
from keyscore_plugin._runtime.optional import package_version
from keyscore_plugin._runtime.version import VERSION
from keyscore_plugin.config import IndexConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.encoders.registry import weights_of
from keyscore_plugin.errors import InputError
from keyscore_plugin.index.content import content_digest
from keyscore_plugin.index.folder import IndexFile, IndexFolder
from keyscore_plugin.index.look import Look
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.types import Candidates, Embeddings
from keyscore_plugin.video.base import VideoSource
from keyscore_plugin.video.copies import CopiedVideo
from keyscore_plugin.video.decoders.base import ScannedSource, opened_as
from keyscore_plugin.video.trim import TrimmedVideo

# Of the files; a change of what they hold, or of how it is computed, needs a new number.
_FORMAT = 2
_KEY_DIGITS = 32
# What computes thumbnails, histograms, vectors and proposals.
_PACKAGES = ("av", "numpy", "torch", "transformers")


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """A grid of thumbnails that a look decodes.

    Attributes:
        kind: Kind of the grid, as `keyscore index --list` shows it.
        indices: ``(n,)`` frame indices that are asked for, by the numbers of the part of the video
            that is looked at.
        short_side: Pixels of a thumbnail's shorter side.
        bins: Bins of the histograms.
        device: Device of the histograms and of the clustering.
    """

    kind: str
    indices: Tensor
    short_side: int
    bins: tuple[int, ...]
    device: torch.device


class KeptLook:
    """A look that the index holds or will hold; what is added to it is written at the call's end.

    Attributes:
        look: Result of the look.
        is_changed: Whether it holds something that the file does not.
    """

    def __init__(self, look: Look, *, is_changed: bool) -> None:
        self.look = look
        self.is_changed = is_changed

    def embeddings(self, rows: Tensor, encoder: Encoder) -> Embeddings:
        """The embeddings of ``(k,)`` rising rows, all of which were embedded."""
        return self.look.embeddings(rows, model=encoder.name, device=encoder.device)

    def add_vectors(self, rows: Tensor, vectors: Tensor) -> None:
        """Add the ``(k, d)`` embeddings of ``(k,)`` rows that had none."""
        self._change(self.look.with_vectors(rows, vectors))

    def add_proposal(self, settings: str, candidates: Candidates) -> None:
        """Add the candidates that STACFP proposes by these settings."""
        self._change(self.look.with_proposal(settings, candidates))

    def lines(self, origin: str, make: Callable[[], Lines]) -> Lines:
        """The lines that something wrote down; they are made and added if there are none.

        Args:
            origin: Name of what writes them down, with all that decides its words.
            make: Function that writes them down.
        """
        if origin not in self.look.lines:
            self._change(self.look.with_lines(origin, make()))
        return self.look.lines[origin]

    def _change(self, look: Look) -> None:
        self.look, self.is_changed = look, True


class VideoIndex:
    """The looks at one open video that an index holds, and new ones that it will hold.

    A video is known by its content: another one under the same name is another video. Only files
    are kept, by the decoders of `keyscore_plugin.registries.DECODERS`, and none that is damaged:
    what is decoded of a damaged video depends on what else was decoded.

    Args:
        folder: The folder of the index.
        source: The open video, or an open part of one.

    Attributes:
        notes: Facts that a reader of the selection must know, such as why nothing is kept.
    """

    def __init__(self, folder: IndexFolder, source: VideoSource) -> None:
        self.notes: list[str] = []
        self._folder = folder
        self._source = source
        self._file, self._first = _file_of(source)
        self._n_notes = len(source.notes)
        self._looks: dict[str, KeptLook] = {}
        self._facts: dict[str, dict[str, Any]] = {}
        if self._file is None:
            self._note(f"the index keeps videos of files, and {source.path} is not a file")
        elif self._file.scanned.damage is not None:
            self._file = None
            self._note("the index keeps no video that is damaged")

    def recall(self, grid: Grid, encoder: Encoder | None) -> KeptLook | None:
        """Find the look at a grid.

        Args:
            grid: Grid that the look would decode.
            encoder: Encoder of its frames; None for a look without embeddings.

        Returns:
            None if the index does not hold it, or cannot be read; a note says so.
        """
        facts = self._described(grid, encoder)
        if self._file is None or facts is None:
            return None
        key = _key(facts)
        if key not in self._looks:
            file = self._read(facts["content"], key)
            if file is None:
                return None
            self._looks[key], self._facts[key] = KeptLook(file.look, is_changed=False), facts
        return self._looks[key]

    def keep(self, grid: Grid, encoder: Encoder | None, look: Look) -> KeptLook | None:
        """Keep a new look; `write` writes it.

        Returns:
            None if looks at this video are not kept.
        """
        facts = self._described(grid, encoder)
        if self._file is None or facts is None:
            return None
        if len(self._source.notes) > self._n_notes:
            self._note("the index keeps no video of which some frames do not decode")
            return None
        key = _key(facts)
        self._looks[key], self._facts[key] = KeptLook(look, is_changed=True), facts
        return self._looks[key]

    def write(self) -> None:
        """Write the looks that have changed; a note says if that fails."""
        if self._file is None:
            return
        for key, kept in self._looks.items():
            if not kept.is_changed:
                continue
            facts = self._facts[key]
            shown = {
                "video": self._source.path,
                "is_default_stream": self._file.asked_stream is None,
            }
            file = IndexFile(kept.look, self._file.scanned, {**facts, **shown})
            try:
                self._folder.put(facts["content"], key, file)
            except OSError as error:
                self._note(
                    f"the index {self._folder.path} cannot be written "
                    f"({error.strerror or error}): the next question looks at the video again"
                )
            else:
                kept.is_changed = False

    def _read(self, content: str, key: str) -> IndexFile | None:
        try:
            return self._folder.get(content, key)
        except InputError:
            path = self._folder.file(content, key)
            self._note(f"the index file {path} was cut or changed: it was made anew")
        except OSError as error:
            self._note(
                f"the index {self._folder.path} cannot be read ({error.strerror or error}): the "
                "video was looked at again"
            )
        return None

    def _described(self, grid: Grid, encoder: Encoder | None) -> dict[str, Any] | None:
        """All that decides a look; None if something decides it that has no name."""
        if self._file is None:
            return None
        weights = None
        if encoder is not None:
            weights = weights_of(encoder)
            if weights is None:
                self._note(
                    f"the index keeps no embeddings of {encoder.name}: it was given as an object, "
                    "whose weights have no name; give the encoder's name"
                )
                return None
        indices = grid.indices.numpy().tobytes()
        return {
            **_version_facts(self._source.decoder),
            "content": content_digest(self._file.path),
            "decoder": self._source.decoder,
            "stream": self._source.stream,
            "part": [self._first, self._source.n_frames],
            "grid": [grid.kind, hashlib.sha256(indices).hexdigest(), grid.short_side],
            "bins": list(grid.bins),
            "encoder": None if encoder is None else encoder.name,
            "weights": weights,
            "devices": [_machine(one.device) for one in (grid, encoder) if one is not None],
        }

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def index_folder(config: IndexConfig) -> IndexFolder:
    """The folder of an index.

    Raises:
        CacheError: The path is that of a file.
    """
    path = user_cache() / "index" if config.folder is None else Path(config.folder)
    return IndexFolder(path, max_bytes=round(config.max_gb * 1e9))


@contextmanager
def recalled_frames(video: object, config: IndexConfig | None) -> Iterator[None]:
    """Let a file that is opened inside the block get its frames from the index, without a scan.

    Args:
        video: A path; anything else is left to be scanned.
        config: The index; None recalls nothing.
    """
    path = _path_of(video)
    scan = None
    if config is not None and path is not None:
        scan = index_folder(config).scan(content_digest(path), is_of_this_version)
    with nullcontext() if path is None or scan is None else opened_as(path, scan):
        yield


def _version_facts(decoder: str) -> dict[str, Any]:
    """The version of what computes a look with a decoder."""
    packages = [*_PACKAGES, decoder.partition("-")[0]]
    return {
        "format": _FORMAT,
        "version": VERSION,
        "packages": {name: package_version(name) for name in packages},
    }


def is_of_this_version(facts: Mapping[str, Any]) -> bool:
    """Whether what is installed here computes what a file with these facts holds."""
    wanted = _version_facts(facts["decoder"])
    return all(facts[name] == value for name, value in wanted.items())


def _key(facts: dict[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:_KEY_DIGITS]


def _file_of(source: VideoSource) -> tuple[ScannedSource | None, int]:
    """The file behind a video, and the frame of it at which the video begins."""
    first = 0
    while isinstance(source, (TrimmedVideo, CopiedVideo)):
        if isinstance(source, TrimmedVideo):
            first += source.first
        source = source.whole
    return (source, first) if isinstance(source, ScannedSource) else (None, first)


def _path_of(video: object) -> str | None:
    """The path of a file; None for anything else."""
    path = os.fspath(video) if isinstance(video, (str, os.PathLike)) else None
    return path if isinstance(path, str) and is_file(path) else None


def _machine(device: torch.device) -> str:
    """What decides the rounding of a device, besides the versions of packages."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    if device.type == "cpu":
        return f"cpu {torch.backends.cpu.get_cpu_capability()}"
    return device.type
