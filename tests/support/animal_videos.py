"""A data set in TVSum's format whose importance is known: a clip matters if it shows an animal."""

from pathlib import Path

import numpy as np

from tests.support.real_clips import write_clip
from tests.support.summary_files import Video, write_h5, write_splits, write_titles, write_tsv

ANIMALS = ("tabby cat", "spotted dog", "geese", "eagle")
THINGS = (
    "cup of coffee",
    "strawberries",
    "leather shoe",
    "snare drum",
    "old cannon",
    "deck chairs",
)
FPS = 25
N_USERS = 20


def write(
    root: Path | str, *, n_videos: int = 4, n_animals: int = 1, n_things: int = 1, seconds: int = 1
) -> Path:
    """Write videos of real clips, their annotation and one split, which tests the first half.

    The videos share their scenes, filmed in another way and in another order. Each of 20 users
    gives a clip with an animal 3 to 5 of 5, and another clip 1 to 3, by chance.

    Args:
        root: Folder of the data set.
        n_videos: Number of videos.
        n_animals: Clips of a video that show an animal.
        n_things: Other clips of a video.
        seconds: Length of a clip.

    Returns:
        The folder.
    """
    root = Path(root)
    videos, scores, titles = {}, {}, {}
    for number in range(n_videos):
        rng = np.random.default_rng(number)
        animals = rng.permutation(np.arange(n_animals + n_things) < n_animals)
        chosen = [list(rng.permutation(pool)) for pool in (THINGS, ANIMALS)]
        words = [str(chosen[int(is_animal)].pop()) for is_animal in animals]
        name = f"animals{number:04d}"
        write_clip(root / "Videos" / f"{name}.mp4", words, seconds=seconds, seed=number)
        marks = np.where(animals, 4, 2) + rng.integers(-1, 2, (N_USERS, len(words)))
        scores[name] = np.repeat(marks, FPS * seconds, axis=1)
        titles[name] = "A film"
        starts = range(0, FPS * seconds * len(words), FPS * seconds)
        videos[f"video_{number + 1}"] = Video(
            n_frames=FPS * seconds * len(words),
            shots=[(start, start + FPS * seconds - 1) for start in starts],
            user_summary=(scores[name] >= 4).astype(np.float32),
        )
    write_h5(root / "eccv16_dataset_tvsum_google_pool5.h5", videos)
    write_tsv(root / "ydata-tvsum50-anno.tsv", scores)
    write_titles(root / "ydata-tvsum50-info.tsv", titles)
    keys = list(videos)
    write_splits(root / "splits", dataset="TVSum", tests=[keys[: n_videos // 2]], keys=keys)
    return root
