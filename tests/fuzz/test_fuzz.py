"""Law: a damaged file gives frames or one clear error, in bounded time and memory.

``KEYSCORE_FUZZ_FILES`` says how many files a decoder gets, ``KEYSCORE_FUZZ_SEED`` where they begin;
``make fuzz`` runs the full form.
"""

import json
import os
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pytest

from keyscore_plugin.registries import DECODERS
from tests.fuzz.mutate import mutate
from tests.support.clips import CLIPS, Clip
from tests.support.requires import require_decoder

ROOT = Path(__file__).parents[2]
N_FILES = int(os.environ.get("KEYSCORE_FUZZ_FILES", "60"))
FIRST_SEED = int(os.environ.get("KEYSCORE_FUZZ_SEED", "0"))
LATE_STREAM_SEED = 90166
N_OPENED = 60  # torchcodec 0.13 dies within as many, unless it is kept from its scan
# A stream comes to light as the file is read, a bug of PyAV and of torchcodec; a frame shows once,
# then never again; the header counts 400 billion frames; the last frame lasts less than nothing.
KNOWN_SEEDS = (LATE_STREAM_SEED, 204141, 300728, 307110)
LIMIT_SECONDS = 30.0  # a sound file takes some .05; what hangs, hangs longer
# One of each container, codec and order of frames.
FUZZED = {
    *("h264.mp4", "open_gop.mp4", "edit_list.mp4", "hevc.mp4", "vfr_b_frames.mkv", "av1.mkv"),
    *("transport.ts", "vp8.webm", "vp9.webm", "mpeg4.avi", "mpeg4_b_frames.avi", "no_duration.mkv"),
}

# Containers that name their streams late, in pieces, or not at all.
MORE = (
    *(Clip("late.flv"), Clip("program.mpg"), Clip("nut.nut"), Clip("asf.asf", codec="mpeg4")),
    Clip("pieces.mp4", muxer={"movflags": "frag_keyframe+empty_moov"}),
    *(Clip("a.gif", codec="gif", pix_fmt="rgb8"), Clip("a.apng", codec="apng", pix_fmt="rgb24")),
)


@dataclass
class Probe:
    """A process that is fed files, and replaced when it dies or hangs."""

    decoder: str
    errors: IO[bytes]
    process: "subprocess.Popen[str] | None" = None
    slowest_seconds: float = 0.0

    def ask(self, path: Path) -> str:
        """Its answer about a file, or how it ended over it."""
        process = self._process()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{path}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], LIMIT_SECONDS)
        line = process.stdout.readline() if ready else ""
        if line:
            said, seconds = json.loads(line)
            self.slowest_seconds = max(self.slowest_seconds, seconds)
            return str(said)
        if ready:  # it closed its end: it is about to exit
            process.wait()
        self.close()
        return f"no answer: exit code {process.returncode}" if ready else "no answer: it hangs"

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            with self.process as process:
                process.kill()
            self.process = None

    def _process(self) -> "subprocess.Popen[str]":
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.fuzz.probe"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
            )
            assert self.process.stdin is not None
            self.process.stdin.write(f"{self.decoder}\n")
        return self.process


def sound_files(clip_path: Callable[[Clip], Path]) -> list[tuple[str, bytes]]:
    """Names and contents of what is damaged."""
    clips = [*(clip for clip in CLIPS if clip.name in FUZZED), *MORE]
    return [(clip.name, clip_path(clip).read_bytes()) for clip in clips]


@pytest.mark.timeout(120)
def test_torchcodec_does_not_scan_a_file_whose_streams_come_to_light_late(
    tmp_path: Path, clip_path: Callable[[Clip], Path]
) -> None:
    """Its scan writes past its list of streams; the process dies of that later, or as it ends."""
    require_decoder("torchcodec")
    name, damaged = mutate(LATE_STREAM_SEED, sound_files(clip_path))
    path = tmp_path / name
    path.write_bytes(damaged)
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz.probe"],
        cwd=ROOT,
        input="\n".join(["torchcodec", *[str(path)] * N_OPENED, ""]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line)[0] for line in done.stdout.splitlines()]
    assert len(said) == N_OPENED
    assert all(line.endswith("use decoder='pyav'") for line in said)


@pytest.mark.parametrize("decoder", sorted(DECODERS))
@pytest.mark.timeout(N_FILES * LIMIT_SECONDS)
def test_a_damaged_file_gives_frames_or_one_clear_error_in_bounded_time_and_memory(
    decoder: str, tmp_path: Path, clip_path: Callable[[Clip], Path]
) -> None:
    require_decoder(decoder)
    sound = sound_files(clip_path)
    seeds = (*KNOWN_SEEDS, *range(FIRST_SEED, FIRST_SEED + N_FILES))
    findings, n_frames = [], 0
    with (tmp_path / "errors.txt").open("wb") as errors:
        probe = Probe(decoder, errors)
        for seed in seeds:
            name, damaged = mutate(seed, sound)
            path = tmp_path / f"{seed}-{name}"
            path.write_bytes(damaged)
            said = probe.ask(path)
            n_frames += said == "frames"
            if said == "frames" or (said.startswith(f"cannot read {path}: ") and "\n" not in said):
                path.unlink()
            else:
                findings.append(f"seed {seed}, {name}: {said}")
        probe.close()
    printed = (tmp_path / "errors.txt").read_text(errors="replace")
    print(
        f"{decoder}: {n_frames} of {len(seeds)} give frames, {probe.slowest_seconds:.1f} s at most"
    )
    assert not findings, "\n".join([*findings, f"files in {tmp_path}", printed])
    assert "Traceback" not in printed
    assert 0 < n_frames < len(seeds)
