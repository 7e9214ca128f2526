"""Law: a decoder that is flushed and used again gives the frames of a new one on one thread.

The sweep runs in a separate process, since a decoder that fails here may end its process.
``make fuzz`` runs all codecs that can be written here, often; else those with threads over frames.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from keyscore_plugin.video.source import open_video
from tests.support.clips import Clip
from tests.support.containers import CELLS

ROOT = Path(__file__).parents[2]
LONG = "KEYSCORE_FUZZ_FILES" in os.environ
ROUNDS, SEEDS = ("150", range(8)) if LONG else ("12", range(1))
# ffmpeg -f lavfi -i testsrc2=size=96x64:rate=25:duration=1.2 -c:v libtheora -g 6 -q:v 2 theora.ogv
THEORA = Path(__file__).parent / "theora.ogv"
# One clip a codec, in whichever container.
BY_CODEC = {clip.name.split(".")[0]: clip for clip in CELLS if "-" not in clip.name}
# Those that build on other frames, or whose threads are of several kinds.
TELLING = ("h264b", "hevcb", "vp8", "vp9alt", "mpeg4b", "mpeg2b", "ffv1", "apng", "prores", "av1")


def sweep(paths: Sequence[Path], seed: int, threads: str = "chosen") -> dict[str, dict[str, int]]:
    """What went wrong, by file; how the process ended is not looked at."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.sweep", ROUNDS, str(seed), threads, *map(str, paths)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    return {name: json.loads(found) if found else {"died": 1} for name, found in lines}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.timeout(3600 if LONG else 120)
def test_a_decoder_that_is_flushed_gives_the_frames_of_a_new_one(
    seed: int, clip_path: Callable[[Clip], Path]
) -> None:
    clips = BY_CODEC.values() if LONG else [BY_CODEC[codec] for codec in TELLING]
    paths = [THEORA, *(clip_path(clip) for clip in clips)]
    sound = {"wrong": 0, "lost": 0}
    assert sweep(paths, seed) == {path.name: sound for path in paths}


def test_theora_is_read_at_random_and_lives() -> None:
    """With FFmpeg's threads over frames one such process in a few dies."""
    code = (
        "import random, sys; from keyscore_plugin.video.decoders import decoding\n"
        "from keyscore_plugin.video.source import open_video\n"
        "decoding._n_threads, chance = 5, random.Random(0)\n"
        "with open_video(sys.argv[1]) as video:\n"
        "    for _ in range(200): video.read(sorted(chance.sample(range(video.n_frames), 2)))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(THEORA)], cwd=ROOT, check=False)
    assert done.returncode == 0
    with open_video(THEORA) as video:
        assert video.n_frames == 30
