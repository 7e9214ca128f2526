"""Writes TVSum and SumMe in their published formats, small: for tests."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt

STEP = 15


@dataclass(frozen=True, eq=False)
class Video:
    """What a group of the h5 file holds.

    Attributes:
        n_frames: Frames.
        shots: First and last frame of each shot.
        user_summary: ``(n_users, n_frames)`` of 0 and 1.
        name: SumMe's ``video_name``; TVSum has none.
    """

    n_frames: int
    shots: Sequence[tuple[int, int]]
    user_summary: npt.NDArray[np.float32]
    name: str | None = None

    @classmethod
    def random(cls, n_frames: int, *, n_users: int, seed: int, name: str | None = None) -> "Video":
        """A video of shots of 5 to 12 frames whose users choose some of them by chance."""
        rng = np.random.default_rng(seed)
        starts = [
            0,
            *(start for start in rng.integers(5, 13, n_frames).cumsum() if start < n_frames),
        ]
        ends = [*starts[1:], n_frames]
        shots = [(int(start), int(end) - 1) for start, end in zip(starts, ends, strict=True)]
        chosen = rng.random((n_users, len(shots))) < 0.3
        chosen[:, 0] = True  # a user chooses something
        chosen[:, 1] = False  # and not everything
        lengths = [last - first + 1 for first, last in shots]
        summary = np.repeat(chosen, lengths, axis=1).astype(np.float32)
        return cls(n_frames, shots, summary, name)

    def datasets(self) -> dict[str, Any]:
        """The group, as h5py takes it."""
        picks = np.arange(0, self.n_frames, STEP, dtype=np.int32)
        values = {
            "features": np.zeros((len(picks), 1024), dtype=np.float32),
            "gtscore": self.user_summary.mean(axis=0)[picks].astype(np.float32),
            "gtsummary": np.zeros(len(picks), dtype=np.float32),
            "change_points": np.array(self.shots, dtype=np.int32),
            "n_frame_per_seg": np.array([b - a + 1 for a, b in self.shots], dtype=np.int32),
            "n_frames": np.array(self.n_frames),
            "n_steps": np.array(len(picks)),
            "picks": picks,
            "user_summary": self.user_summary,
        }
        return values if self.name is None else {**values, "video_name": np.bytes_(self.name)}


def write_h5(
    path: Path, videos: Mapping[str, Video], *, changed: Mapping[str, Any] | None = None
) -> Path:
    """Write ``eccv16_dataset_*_google_pool5.h5``.

    Args:
        path: The file.
        videos: By key.
        changed: Datasets of the first video to write otherwise; None leaves one out.
    """
    with h5py.File(path, "w") as file:
        for order, (key, video) in enumerate(videos.items()):
            values = video.datasets() | (dict(changed or {}) if order == 0 else {})
            for name, value in values.items():
                if value is not None:
                    file[f"{key}/{name}"] = value
    return path


def write_tsv(path: Path, scores: Mapping[str, npt.NDArray[np.int64]]) -> Path:
    """Write ``ydata-tvsum50-anno.tsv``: ``(n_users, n_frames)`` scores by YouTube id."""
    lines = [
        f"{video_id}\tVT\t{','.join(map(str, row))}"
        for video_id, rows in scores.items()
        for row in rows.tolist()
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def write_titles(path: Path, titles: Mapping[str, str]) -> Path:
    """Write ``ydata-tvsum50-info.tsv``."""
    rows = [f"VT\t{video_id}\t{title}\thttps://\t1:00" for video_id, title in titles.items()]
    path.write_text("\n".join(["category\tvideo_id\ttitle\turl\tlength", *rows]) + "\n")
    return path


def write_splits(
    folder: Path, *, dataset: str, tests: Sequence[Sequence[str]], keys: Sequence[str]
) -> None:
    """Write both published sets of splits, with the same test sets.

    Args:
        folder: Where ``tvsum_splits.json`` and ``TVSum_splits.txt`` go.
        dataset: ``"TVSum"`` or ``"SumMe"``.
        tests: Keys that each split tests.
        keys: All keys.
    """
    folder.mkdir(parents=True, exist_ok=True)
    trains = [[key for key in keys if key not in test] for test in tests]
    splits = [
        {"train_keys": train, "test_keys": list(test)}
        for train, test in zip(trains, tests, strict=True)
    ]
    (folder / f"{dataset.lower()}_splits.json").write_text(json.dumps(splits))
    lines = [
        f"{dataset}/split{order}/{','.join(train)}/{','.join(test)}\n"
        for order, (train, test) in enumerate(zip(trains, tests, strict=True))
    ]
    (folder / f"{dataset}_splits.txt").write_text("".join(lines))


def steps_of(n_frames: int, *, n_users: int, seed: int) -> npt.NDArray[np.int64]:
    """``(n_users, n_frames)`` scores of 1 to 5, the same for 20 frames; nobody gives only one.

    In TVSum they are the same for two seconds.
    """
    rng = np.random.default_rng(seed)
    steps = rng.integers(1, 6, (n_users, -(-n_frames // 20)))
    steps[:, 1] = 6 - steps[:, 0]
    steps[:, 2] = steps[:, 0] % 5 + 1
    return np.repeat(steps, 20, axis=1)[:, :n_frames]
