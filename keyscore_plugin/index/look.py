"""A look at a grid: the times of its frames, their histograms, embeddings and proposals."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor

from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.types import Candidates, Embeddings

_NARROW = (torch.int8, torch.int16, torch.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The frames of a grid that were decoded, and what was computed of each. All is on the CPU.

    Attributes:
        indices: ``(n,)`` int64 frame indices.
        pts_seconds: ``(n,)`` float64 times.
        histograms: ``(n, n_bins)`` float32 HSV histograms (Algorithm 1, line 3).
        rows: ``(m,)`` int64 rising rows of the grid that were embedded.
        vectors: ``(m, d)`` float32 their embeddings; ``(0, 0)`` if there is none.
        proposals: STACFP's candidates, by the settings that they were made with, as JSON.
        lines: Lines that were spoken, or written in the picture, by the name of what read them.
    """

    indices: Tensor
    pts_seconds: Tensor
    histograms: Tensor
    rows: Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.int64))
    vectors: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    proposals: Mapping[str, Candidates] = field(default_factory=dict)
    lines: Mapping[str, Lines] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def n_bytes(self) -> int:
        """Bytes of its tensors; proposals are small."""
        tensors = (self.indices, self.pts_seconds, self.histograms, self.rows, self.vectors)
        return sum(one.nbytes for one in tensors)

    def without_vector(self, rows: Tensor) -> Tensor:
        """Those of ``(k,)`` rows that were not embedded."""
        return rows[~torch.isin(rows, self.rows)]

    def embeddings(self, rows: Tensor, *, model: str, device: torch.device) -> Embeddings:
        """The embeddings of ``(k,)`` rising rows, all of which were embedded.

        Args:
            rows: Rows of the grid.
            model: Name of the encoder.
            device: Device that the vectors go to.
        """
        places = torch.searchsorted(self.rows, rows)
        vectors = self.vectors[places].to(device)
        return Embeddings(vectors, self.indices[rows], self.pts_seconds[rows], model)

    def with_vectors(self, rows: Tensor, vectors: Tensor) -> "Look":
        """The look with further rows embedded.

        Args:
            rows: ``(k,)`` rows that were not embedded.
            vectors: ``(k, d)`` their embeddings, on any device.
        """
        all_rows, order = torch.cat([self.rows, rows]).sort()
        own = self.vectors if len(self.rows) else self.vectors.reshape(0, vectors.shape[1])
        return replace(self, rows=all_rows, vectors=torch.cat([own, vectors.cpu()])[order])

    def with_proposal(self, settings: str, candidates: Candidates) -> "Look":
        """The look with the candidates that STACFP proposes by these settings."""
        return replace(self, proposals={**self.proposals, settings: candidates})

    def with_lines(self, origin: str, lines: Lines) -> "Look":
        """The look with the lines that something wrote down."""
        return replace(self, lines={**self.lines, origin: lines})

    def joined(self, other: "Look") -> "Look":
        """Join this look with another one of the same grid and encoder."""
        more = self.without_vector(other.rows)
        places = torch.searchsorted(other.rows, more)
        look = self.with_vectors(more, other.vectors[places]) if len(more) else self
        return replace(
            look,
            proposals={**other.proposals, **self.proposals},
            lines={**other.lines, **self.lines},
        )

    def to_tensors(self) -> tuple[dict[str, Tensor], list[str]]:
        """The look as named tensors, and the settings of its proposals."""
        tensors = {
            "indices": self.indices,
            "pts_seconds": self.pts_seconds,
            "histograms": self.histograms,
            "rows": narrowed(self.rows),
            "vectors": self.vectors,
        }
        if self.lines:
            values = {origin: asdict(lines) for origin, lines in self.lines.items()}
            tensors["lines"] = torch.frombuffer(
                bytearray(json.dumps(values).encode()), dtype=torch.uint8
            )
        for place, candidates in enumerate(self.proposals.values()):
            tried = candidates.k_silhouettes
            tensors[f"proposal.{place}.rows"] = narrowed(candidates.rows)
            tensors[f"proposal.{place}.labels"] = narrowed(candidates.labels)
            tensors[f"proposal.{place}.k"] = narrowed(torch.tensor(list(tried), dtype=torch.int64))
            tensors[f"proposal.{place}.silhouettes"] = torch.tensor(
                list(tried.values()), dtype=torch.float64
            )
        return tensors, list(self.proposals)

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor], settings: list[str]) -> "Look":
        """A look from what `to_tensors` returned."""
        look = cls(
            indices=tensors["indices"],
            pts_seconds=tensors["pts_seconds"],
            histograms=tensors["histograms"],
            rows=tensors["rows"].long(),
            vectors=tensors["vectors"],
        )
        lines = {}
        if "lines" in tensors:
            values = json.loads(bytes(tensors["lines"].tolist()))
            lines = {origin: Lines.from_dict(one) for origin, one in values.items()}
        return replace(look, proposals=dict(look._proposals(tensors, settings)), lines=lines)

    def _proposals(
        self, tensors: Mapping[str, Tensor], settings: list[str]
    ) -> Iterator[tuple[str, Candidates]]:
        for place, one in enumerate(settings):
            rows = tensors[f"proposal.{place}.rows"].long()
            labels = tensors[f"proposal.{place}.labels"].long()
            ks = tensors[f"proposal.{place}.k"].tolist()
            silhouettes = tensors[f"proposal.{place}.silhouettes"].tolist()
            yield (
                one,
                Candidates(
                    rows=rows,
                    cluster=labels[rows],
                    indices=self.indices[rows],
                    pts_seconds=self.pts_seconds[rows],
                    labels=labels,
                    k_silhouettes=dict(zip(ks, silhouettes, strict=True)),
                ),
            )


def narrowed(whole: Tensor) -> Tensor:
    """Whole numbers in the narrowest signed type that holds them all."""
    least, most = (int(whole.min()), int(whole.max())) if len(whole) else (0, 0)
    for dtype in _NARROW:
        if torch.iinfo(dtype).min <= least and most <= torch.iinfo(dtype).max:
            return whole.to(dtype)
    return whole.to(torch.int64)
