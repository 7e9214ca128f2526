"""Length costs no memory: the grid is capped, and thumbnails come in small batches."""

import subprocess
import sys
from pathlib import Path

import pytest

from keyscore_plugin.config import GridConfig
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.source import open_video
from tests.support.long_videos import long_video

ROOT = Path(__file__).parents[3]

MEASURE = """
import resource, sys
from keyscore_plugin.samplers.base import get_sampler

for path in sys.argv[1:]:
    selection = get_sampler("stacfp")(path, num_frames=8)
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(round(selection.duration_seconds), len(selection.indices), selection.n_grid, peak_kib)
"""


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return long_video(tmp_path_factory.mktemp("long") / "hour.mp4", hours=1, fps=2)


@pytest.mark.parametrize("kind", ["fps", "keyframes"])
def test_an_hour_is_looked_at_through_a_capped_grid_in_small_batches(kind: str, hour: Path) -> None:
    config = GridConfig(kind="keyframes" if kind == "keyframes" else "fps", max_frames=100)
    with open_video(hour) as video:
        assert (video.n_frames, video.duration_seconds) == (7200, 3600)
        grid = grid_indices(video, config, at_least=8)
        assert len(grid) == 100
        sizes = [len(frames) for frames in video.thumbnails(grid, short_side=32)]
        assert sum(sizes) == 100
        assert max(sizes) <= 32
        assert video.read([7199]).pts_seconds.tolist() == [3599.5]


@pytest.mark.slow
def test_ten_hours_take_no_more_memory_than_twenty_minutes_which_fill_the_grid(
    tmp_path: Path, hour: Path
) -> None:
    paths = [
        long_video(tmp_path / "minutes.mp4", hours=1 / 3, fps=2),
        hour,
        long_video(tmp_path / "hours.mkv", hours=10, fps=1),
    ]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [[int(word) for word in line.split()] for line in done.stdout.splitlines()]
    assert [row[:3] for row in rows] == [[1200, 8, 2048], [3600, 8, 2048], [36_000, 8, 2048]]
    peaks = [row[3] for row in rows]
    assert peaks[1] < 1.1 * peaks[0]
    assert peaks[2] < 1.1 * peaks[0]
