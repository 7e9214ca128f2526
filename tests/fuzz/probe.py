"""A process that opens files and reads frames within memory limits, one answer a file.

Standard input: the decoder's name, then a path a line. Standard output: a JSON line for each.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames
from keyscore_plugin.types.spacing import uniform_indices
from keyscore_plugin.video.source import VideoSource, open_video

EXTRA_BYTES = 1 << 31  # for one file, without what the libraries take
_N_GRID, _N_READ = 24, 3


def answer(path: str, decoder: str) -> str:
    """What came of a file: ``"frames"``, or the one line of its error."""
    try:
        with open_video(path, decoder) as video:
            list(shown(video))
    except VideoError as error:
        return str(error)
    return "frames"


def shown(video: VideoSource) -> Iterator[Frames]:
    """Thumbnails of a grid and a few full frames, as a sampler and its host read them."""
    times = video.pts_seconds()
    assert video.n_frames == len(times) > 0
    assert video.duration_seconds > 0
    assert video.average_fps > 0
    assert bool(times.isfinite().all())
    assert bool((times.diff() > 0).all())
    grid = uniform_indices(times, _N_GRID, duration_seconds=video.duration_seconds)
    for frames in video.thumbnails(grid, short_side=64):
        assert frames.pixels.shape[0] > 0
        yield frames
    yield video.read(uniform_indices(times, _N_READ, duration_seconds=video.duration_seconds))


def main() -> None:
    """Answer until the input ends."""
    # What libraries print must not pass for an answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    decoder = sys.stdin.readline().strip()
    in_use = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (in_use + EXTRA_BYTES, in_use + EXTRA_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for line in sys.stdin:
        start = time.perf_counter()
        said = answer(line.rstrip("\n"), decoder)
        print(json.dumps([said, time.perf_counter() - start]), file=answers, flush=True)


if __name__ == "__main__":
    main()
