"""Videos of about 86 s, joined from 16 clips of 4.8-6 s, and what their captions point at."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from evals.needle.sources import Split
from keyscore_plugin.video.samples.joined import NeedleVideo, join

CACHE = Path(tempfile.gettempdir(), "keyscore-needle")  # where they are kept by default
CLIPS_PER_VIDEO = 16


def make_videos(split: Split, root: Path) -> Iterator[NeedleVideo]:
    """The videos of a split, from the cache where it has them.

    Args:
        split: What to join.
        root: The cache folder.
    """
    root.mkdir(parents=True, exist_ok=True)
    for order in range(split.n_videos):
        rng = np.random.default_rng([split.seed, order])
        rows = rng.permutation(len(split.sources))[:CLIPS_PER_VIDEO]
        sources = [split.sources[row] for row in rows]
        yield join(sources, root=root, name=f"{split.name}-{order}", rng=rng)
