"""The videos of the tuning split, decoded and embedded once for many settings."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from torch import Tensor
from tqdm import tqdm

from evals.needle.sources import CACHE, TUNING, make_videos
from keyscore_plugin import Encoder, GridConfig, ProposalConfig, open_video, propose
from keyscore_plugin.algorithm.histogram import hsv_histograms
from keyscore_plugin.samplers.grid import join_frames
from keyscore_plugin.types import Candidates, Embeddings, Frames
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.samples.joined import NeedleVideo

_MOST_BUDGET = 16


@dataclass(frozen=True, slots=True)
class EmbeddedVideo:
    """A video that is decoded and embedded.

    Attributes:
        video: Video, and what is asked about it.
        grid: Frames of the default grid.
        histograms: ``(n, n_bins)`` histograms of them.
        frames: Embedding of each of them, with times from the video's first frame.
        duration_seconds: Duration of the video.
        proposed: Candidates of each setting of STACFP so far.
    """

    video: NeedleVideo
    grid: Frames
    histograms: Tensor
    frames: Embeddings
    duration_seconds: float
    proposed: dict[ProposalConfig, Candidates] = field(default_factory=dict)

    def candidates(self, config: ProposalConfig) -> Candidates:
        """The candidates of this video, computed once for each setting of STACFP."""
        if config not in self.proposed:
            self.proposed[config] = propose(self.grid, config)
        return self.proposed[config]


def add_embedding_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--encoder``, ``--device`` and ``--root``."""
    parser.add_argument(
        "--encoder", default="conse", help="conse, a model id or a folder (default: conse)"
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")
    parser.add_argument("--root", type=Path, default=CACHE, help="folder of the joined videos")


def embedded_videos(root: Path, encoder: Encoder) -> Iterator[EmbeddedVideo]:
    """Decode and embed each video of the tuning split.

    Args:
        root: Folder of the joined videos.
        encoder: Encoder of the frames.
    """
    for video in tqdm(make_videos(TUNING, root), total=TUNING.n_videos, desc="embed"):
        yield _embed(video, encoder)


def _embed(video: NeedleVideo, encoder: Encoder) -> EmbeddedVideo:
    config = GridConfig()
    short_side = max(config.short_side, encoder.short_side)
    with open_video(video.path) as source:
        grid = grid_indices(source, config, at_least=_MOST_BUDGET)
        thumbnails = join_frames(list(source.thumbnails(grid, short_side=short_side)))
        frames = thumbnails.since(source.start_pts_seconds)
        duration_seconds = source.duration_seconds
    histograms = hsv_histograms(frames.pixels, bins=ProposalConfig().bins)
    embeddings = encoder.encode_frames(frames)
    return EmbeddedVideo(video, frames, histograms, embeddings, duration_seconds)
