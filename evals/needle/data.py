"""Videos of about 86 s, joined from 16 clips of 4.8-6 s, and what their captions point at."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from evals.needle.camera import SIZE, film_look
from evals.needle.sources import Source, Split
from keyscore_plugin._files import whole

FPS = 25
CACHE = Path(tempfile.gettempdir(), "keyscore-needle")  # where they are kept by default
CLIPS_PER_VIDEO = 16
# The mean of these times 16 clips makes the 86 s of the protocol.
_CLIP_SECONDS = (4.8, 6.0)
# Part of a video's name: change it and the cache is made anew.
_RECIPE = 1


@dataclass(frozen=True, slots=True)
class Needle:
    """A caption and the stretches of the video it describes.

    Attributes:
        caption: The query.
        spans: Where each stretch starts, and where its last frame ends, in seconds.
    """

    caption: str
    spans: tuple[tuple[float, float], ...]


@dataclass(frozen=True, slots=True)
class NeedleVideo:
    """A video and its needles."""

    path: Path
    needles: tuple[Needle, ...]


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


def join(
    sources: Sequence[Source],
    *,
    root: Path,
    name: str,
    rng: np.random.Generator,
    clip_seconds: tuple[float, float] = _CLIP_SECONDS,
) -> NeedleVideo:
    """Join clips to one video.

    Args:
        sources: The clips, in order.
        root: The cache folder.
        name: Start of the file's name.
        rng: Decides the lengths and the camera.
        clip_seconds: Shortest and longest clip.
    """
    lengths = [round(FPS * rng.uniform(*clip_seconds)) for _ in sources]
    ends = np.cumsum(lengths)
    needles = tuple(
        Needle(source.caption, (((int(end) - length) / FPS, int(end) / FPS),))
        for source, length, end in zip(sources, lengths, ends, strict=True)
    )
    recipe = repr((_RECIPE, list(sources), lengths, rng.bit_generator.state))
    path = root / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.mp4"
    if not path.is_file():
        _write(path, sources, lengths, rng)
    return NeedleVideo(path, needles)


def _write(
    path: Path, sources: Sequence[Source], lengths: list[int], rng: np.random.Generator
) -> None:
    """Encode the clips one after the other; the file appears only when it is complete.

    Two runs may make the same video in one folder.
    """
    with whole(path) as beside, av.open(str(beside), "w", format="mp4") as container:
        # A fixed number of threads: the bits that x264 writes depend on it.
        stream = container.add_stream("libx264", FPS, {"preset": "veryfast", "threads": "2"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        frame_index = 0
        for source, length in zip(sources, lengths, strict=True):
            for pixels in film_look(source.render(length, rng), rng):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = frame_index, Fraction(1, FPS)
                container.mux(stream.encode(frame))
                frame_index += 1
        container.mux(stream.encode())
