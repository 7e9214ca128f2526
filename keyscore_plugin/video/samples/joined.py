"""Videos joined from clips, each with the sentence that describes it: a needle in a haystack."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from keyscore_plugin._runtime.files import whole
from keyscore_plugin.video.samples.sources import SIZE, Source, film_look

FPS = 25
_MOMENT_SECONDS = 0.5
# The mean of these times 16 clips makes the 86 s of evals/needle.
_CLIP_SECONDS = (4.8, 6.0)
# Part of a video's name: change it and the cache is made anew.
_RECIPE = 1


@dataclass(frozen=True, slots=True)
class Needle:
    """A caption and the stretches of the video it describes.

    Attributes:
        caption: Sentence that serves as the query.
        spans: Start of each stretch, and end of its last frame, in seconds.
        more: Further sentences of the same query.
    """

    caption: str
    spans: tuple[tuple[float, float], ...]
    more: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """All sentences of the query."""
        return (self.caption, *self.more)

    @property
    def moments(self) -> list[float]:
        """The middles of every span's half-seconds; a shorter rest at its end is ignored."""
        return [
            start + _MOMENT_SECONDS * (i + 0.5)
            for start, end in self.spans
            for i in range(max(1, int((end - start) / _MOMENT_SECONDS + 1e-9)))
        ]

    def n_inside(self, times: Sequence[float]) -> int:
        """Number of the times that lie in a span."""
        return sum(any(start <= time < end for start, end in self.spans) for time in times)

    def share_within(self, times: Sequence[float], *, seconds: float) -> float:
        """Share of the moments that have one of the times near them.

        Example:
            >>> Needle("a cat", spans=((0.0, 4.0),)).share_within([1.0, 9.0], seconds=1.0)
            0.5
        """
        near = [min(abs(time - moment) for time in times) <= seconds for moment in self.moments]
        return sum(near) / len(near)


@dataclass(frozen=True, slots=True)
class NeedleVideo:
    """A video and its needles.

    Attributes:
        path: Path of the video.
        needles: Sentences, and the stretches that they describe.
        subtitles: Subtitles that are given with it; None for none.
    """

    path: Path
    needles: tuple[Needle, ...]
    subtitles: Path | None = None


def join(
    sources: Sequence[Source],
    *,
    root: Path,
    name: str,
    rng: np.random.Generator,
    clip_seconds: tuple[float, float] = _CLIP_SECONDS,
    fps: int = FPS,
) -> NeedleVideo:
    """Join clips to one video.

    Args:
        sources: Clips, in order.
        root: Folder that keeps the video for the next call.
        name: Start of the file's name.
        rng: Generator that decides the lengths and the camera.
        clip_seconds: Durations of the shortest and the longest clip.
        fps: Frames per second; fewer are rendered faster.
    """
    lengths = [round(fps * rng.uniform(*clip_seconds)) for _ in sources]
    ends = np.cumsum(lengths)
    needles = tuple(
        Needle(source.caption, (((int(end) - length) / fps, int(end) / fps),))
        for source, length, end in zip(sources, lengths, ends, strict=True)
    )
    recipe = repr((_RECIPE, list(sources), lengths, rng.bit_generator.state))
    if fps != FPS:  # the names of other videos stay as they are
        recipe += f", {fps} fps"
    path = root / f"{name}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}.mp4"
    if not path.is_file():
        _write(path, sources, lengths, rng, fps=fps)
    return NeedleVideo(path, needles)


def _write(
    path: Path,
    sources: Sequence[Source],
    lengths: list[int],
    rng: np.random.Generator,
    *,
    fps: int,
) -> None:
    """Encode the clips one after the other; the file appears only when it is complete.

    Two runs may make the same video in one folder.
    """
    with whole(path) as unfinished, av.open(str(unfinished), "w", format="mp4") as container:
        # A fixed number of threads: the bits that x264 writes depend on it.
        stream = container.add_stream("libx264", fps, {"preset": "veryfast", "threads": "2"})
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        frame_index = 0
        for source, length in zip(sources, lengths, strict=True):
            for pixels in film_look(source.render(length, rng), rng):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = frame_index, Fraction(1, fps)
                container.mux(stream.encode(frame))
                frame_index += 1
        container.mux(stream.encode())
