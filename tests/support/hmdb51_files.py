"""Writes a small HMDB-51 in its published format, from real footage: for tests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.video.stream import VideoStream

from evals.hmdb51.data import SPLITS, list_name
from tests.support.real_clips import find

SIZE = (320, 180)  # HMDB-51's clips are 240 pixels high
FPS = 25


@dataclass(frozen=True)
class Clip:
    """One clip.

    Attributes:
        name: File name.
        words: What it shows, one shot after the other; see `tests.support.real_clips.find`.
        ids: What the lists of splits 1, 2 and 3 say: 1 train, 2 test, 0 unused.
        seconds: Length of a shot.
    """

    name: str
    words: Sequence[str]
    ids: tuple[int, int, int]
    seconds: float = 0.8


# Names with the signs of the real ones, and a class that begins like another.
CLIPS: Mapping[str, Sequence[Clip]] = {
    "pour": (
        Clip("#15_Lab_(HQ)_pour_u_nm_np1_fr_goo_0.avi", ["pours a green liquid"], (1, 2, 2)),
        Clip("Coffee!_pour_f_cm_np1_le_med_1.avi", ["bricks", "cup of coffee"], (2, 1, 2)),
        Clip("same.avi", ["cup of coffee", "moon"], (2, 0, 1)),
    ),
    "ride": (
        Clip("a ride_u_cm_np1_ri_med_0.avi", ["motorcycle", "galaxies"], (2, 1, 1)),
        Clip("Dust_ride_f_cm_np1_ba_bad_2.avi", ["off-road car"], (1, 2, 1)),
        Clip("same.avi", ["silhouette of a horse", "flower"], (1, 2, 2)),
    ),
    "ride_bike": (
        Clip("City_ride_bike_f_nm_np1_fr_med_0.avi", ["cyclist with a helmet"], (2, 2, 1)),
        Clip("Wall_ride_bike_l_nm_np0_le_goo_0.avi", ["bricks", "old bicycle"], (1, 1, 2)),
        Clip("same.avi", ["old bicycle", "beer bottle"], (0, 2, 2)),
    ),
    "talk": (
        Clip("Car_talk_h_nm_np1_fr_goo_0.avi", ["bow tie", "galaxies"], (2, 1, 2)),
        Clip("Space_talk_h_nm_np1_fr_goo_1.avi", ["orange space suit"], (1, 2, 1)),
        Clip("Navy_talk_h_nm_np1_fr_med_5.avi", ["navy uniform"], (2, 1, 0)),
    ),
}


def write_hmdb51(root: Path, clips: Mapping[str, Sequence[Clip]] = CLIPS) -> Path:
    """Write class folders and ``splits``; returns the root."""
    (root / "splits").mkdir(parents=True)
    for number, (label, of_class) in enumerate(clips.items()):
        (root / label).mkdir()
        for row, clip in enumerate(of_class):
            _write_avi(root / label / clip.name, clip, seed=10 * number + row)
        for column, split in enumerate(SPLITS):
            # The official files have a space at the end of each line.
            lines = [f"{clip.name} {clip.ids[column]} \n" for clip in of_class]
            (root / "splits" / list_name(label, split)).write_text("".join(lines))
    return root


def _write_avi(path: Path, clip: Clip, *, seed: int) -> None:
    """MPEG-4 with B-frames in an AVI, as HMDB-51's clips are."""
    rng = np.random.default_rng(seed)
    n_frames = round(clip.seconds * FPS)
    pictures = [image for words in clip.words for image in find(words).render(n_frames, rng)]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", FPS)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = SIZE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = 2
        stream.codec_context.thread_count = 1
        stream.codec_context.qmax = 4
        for number, image in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(np.asarray(image.resize(SIZE)), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
