"""What a video's clock shows changes nothing but `pts_seconds`: late starts, a clock that wraps."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from keyscore_plugin import SamplerConfig, get_sampler, open_video
from keyscore_plugin.types import Caption, Frames
from keyscore_plugin.video.metadata import frame_clock
from keyscore_plugin.video.trim import TrimmedVideo
from tests.support.clips import VFR, Clip, number_of
from tests.support.colour_encoder import ColourEncoder

WRAP_SECONDS = 2**33 / 90_000  # where the clock of MPEG-TS and MPEG-PS begins again
AT_ZERO = Clip("at_zero.mkv", gaps_ms=(500,), gop=12)
LATE = replace(AT_ZERO, name="late.mkv", start_ms=40_000_000)
OVER_THE_WRAP = Clip("wrap.ts", b_frames=2, gop=12, start_ms=round(WRAP_SECONDS * 1000) - 1000)


class Listener:
    """A captioner that keeps the times it was given."""

    name = "listener"

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def caption(self, frames: Frames) -> Caption:
        self.seconds = frames.pts_seconds.tolist()
        return Caption("red", "generated", self.name)


def test_times_rise_over_the_wrap_and_every_way_of_reading_gives_the_same_frames(
    clip_path: Callable[[Clip], Path],
) -> None:
    with open_video(clip_path(OVER_THE_WRAP)) as source:
        times = source.pts_seconds() - source.start_pts_seconds
        assert times.tolist() == pytest.approx([0.04 * i for i in range(48)], abs=1e-4)
        assert source.duration_seconds == pytest.approx(48 * 0.04)
        in_a_row = source.read(range(48)).pixels
        assert [number_of(picture.numpy()) for picture in in_a_row] == list(range(48))
        for index in (0, 24, 25, 26, 47):
            assert source.read([index]).pixels[0].equal(in_a_row[index])
        small = torch.cat([f.pixels for f in source.thumbnails(range(48), short_side=64)])
        assert [number_of(picture.numpy()) for picture in small] == list(range(48))


@pytest.mark.parametrize("name", ["uniform", "random", "iframes", "stacfp", "keyscore", "topk"])
@pytest.mark.parametrize("kind", ["fps", "keyframes"])
def test_what_is_chosen_does_not_depend_on_the_clock(
    name: str, kind: str, clip_path: Callable[[Clip], Path]
) -> None:
    config = SamplerConfig.from_dict({"grid": {"kind": kind}})
    listener = Listener()
    sampler = get_sampler(name, config=config, encoder=ColourEncoder(), captioner=listener)
    early, early_told = sampler(clip_path(AT_ZERO), num_frames=5), listener.seconds
    late, late_told = sampler(clip_path(LATE), num_frames=5), listener.seconds
    assert late.indices == early.indices
    assert late.start_pts_seconds == 40_000
    assert late.pts_seconds == [40_000 + seconds for seconds in early.pts_seconds]
    assert late_told == early_told
    assert bool(late_told) == sampler.needs_text


@pytest.mark.parametrize("start_ms", [0, 40_000_000])
def test_hosts_get_seconds_from_the_first_frame(
    start_ms: int, clip_path: Callable[[Clip], Path]
) -> None:
    steady = Clip(f"steady_{start_ms}.mkv", start_ms=start_ms)
    with open_video(clip_path(steady)) as source:
        whole = TrimmedVideo.between(source, None, None)
        assert frame_clock([0, 3, 47], whole) == {
            "total_num_frames": 48,
            "fps": pytest.approx(25),
            "duration": pytest.approx(1.92),
            "frames_indices": [0, 3, 47],
        }
        part = TrimmedVideo.between(source, 0.4, 0.8)
        told = frame_clock([0, 10], part)
        assert (told["frames_indices"], told["total_num_frames"]) == ([10, 20], 11)
        assert told["duration"] == pytest.approx(0.44)
    uneven = Clip(f"uneven_{start_ms}.mkv", start_ms=start_ms, gaps_ms=VFR)
    with open_video(clip_path(uneven)) as source:
        part = TrimmedVideo.between(source, 0.06, None)
        told = frame_clock([0, 1], part)
        assert (told["frames_indices"], told["fps"]) == ([60, 140], 1000.0)
