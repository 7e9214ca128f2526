"""An hour with clips that come once, among clips that come again and again.

Only a few minutes of it are encoded: a clip that comes again has the same packets.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evals.harness.packets import append
from evals.needle.sources import Split, sources_in
from keyscore_plugin.video.samples.joined import FPS, Needle, NeedleVideo, join
from keyscore_plugin.video.samples.sources import Source

_SECONDS = 3600.0
N_HOURS = 3


@dataclass(frozen=True, slots=True)
class _Take:
    """A clip in a file of its own.

    Attributes:
        path: The file.
        caption: Sentence that says what can be seen.
        n_frames: Number of its frames.
    """

    path: Path
    caption: str
    n_frames: int


def make_hours(
    split: Split,
    root: Path,
    *,
    seconds: float = _SECONDS,
    n_videos: int = N_HOURS,
    n_takes: int = 3,
) -> Iterator[NeedleVideo]:
    """Join long videos; those that are in the folder already are not made again.

    Args:
        split: Clips to join. Each is asked for in one of the videos, where it comes once. The
            clips that are not asked for fill the rest of a video, in random orders.
        root: Folder of the videos, and of the packages of unpacked clips.
        seconds: Length of a video.
        n_videos: Number of videos.
        n_takes: Number of times that each clip is filmed, by another camera in another light.
    """
    rng = np.random.default_rng(split.seed)
    sources = sources_in(split, root)
    takes = [
        [_film(source, root, (split.seed, row, take)) for take in range(n_takes)]
        for row, source in enumerate(sources)
    ]
    n_frames = round(seconds * FPS)
    for rows in np.array_split(rng.permutation(len(sources)), n_videos):
        once = [takes[row][0] for row in rows]
        others = [take for row in range(len(sources)) if row not in rows for take in takes[row]]
        order = _order(once, others, n_frames, rng)
        names = repr(([take.path.name for take in order], n_frames))
        path = root / f"{split.name}-hour-{hashlib.sha256(names.encode()).hexdigest()[:12]}.mp4"
        if not path.is_file():
            append((take.path for take in order), path, n_frames=n_frames)
        yield NeedleVideo(path, tuple(_needles(order, once)))


def _film(source: Source, root: Path, seed: tuple[int, ...]) -> _Take:
    folder = root / "takes"
    folder.mkdir(parents=True, exist_ok=True)
    video = join([source], root=folder, name="take", rng=np.random.default_rng(seed))
    ((_, end),) = video.needles[0].spans
    return _Take(video.path, source.caption, round(end * FPS))


def _order(
    once: Sequence[_Take], others: Sequence[_Take], n_frames: int, rng: np.random.Generator
) -> list[_Take]:
    """The takes that come once, at random places among as many others as fill the frames."""
    order: list[_Take] = []
    left = n_frames - sum(take.n_frames for take in once)
    while left > 0:
        for row in rng.permutation(len(others)):
            if left > 0:
                order.append(others[row])
                left -= others[row].n_frames
    for take in once:  # before the last one, which may be cut off
        order.insert(int(rng.integers(len(order))), take)
    return order


def _needles(order: Sequence[_Take], once: Sequence[_Take]) -> Iterator[Needle]:
    start = 0
    for take in order:
        end = start + take.n_frames
        if take in once:
            yield Needle(take.caption, ((start / FPS, end / FPS),))
        start = end
