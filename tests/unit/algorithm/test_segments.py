"""Scenes are cut where colours change more than around, and kept if a text is about them."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from evals.needle.sources import TUNING
from keyscore_plugin import Clips, InputError, open_video
from keyscore_plugin.algorithm.histogram import hsv_histograms
from keyscore_plugin.algorithm.segments import score_segments, segments
from keyscore_plugin.algorithm.stacfp import propose_features
from keyscore_plugin.config import ClipsConfig, GridConfig
from keyscore_plugin.samplers.grid import join_frames
from keyscore_plugin.video.grid import grid_indices
from keyscore_plugin.video.samples.joined import join


def turned(*degrees: float) -> Tensor:
    """Histograms of two colours; two of them are sqrt(1 - cos) of their angles apart."""
    angles = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    return torch.stack([angles.cos().square(), angles.sin().square()], dim=1)


def cut(*degrees: float, step: float = 0.5, **options: Any) -> list[float]:
    """The borders inside of a video with frames of these colours every ``step`` seconds."""
    times = torch.arange(len(degrees)) * step
    end = len(degrees) * step
    return list(segments(turned(*degrees), times, end_seconds=end, **options).starts[1:])


LONG = ClipsConfig(max_seconds=1000)


def test_a_border_is_half_way_between_two_frames_or_at_a_keyframe() -> None:
    assert cut(*[0] * 8, *[60] * 8) == [3.75]
    assert cut(*[0] * 8, *[60] * 8, at_keyframes=True) == [4.0]


def test_slow_change_is_no_border() -> None:
    assert cut(*range(0, 90, 3), config=LONG) == []


def test_a_border_stands_out_from_the_changes_around_it() -> None:
    """The same step of 40 degrees is a border of a still video and none of a restless one."""
    restless = [0, 20] * 8
    assert cut(*[0] * 16, *[40] * 16, config=LONG) == [7.75]
    assert cut(*restless, 40, 60, *restless, config=LONG) == []
    assert cut(*restless, *[90, 70] * 8, config=LONG) == [7.75]


def test_half_the_contrast_is_enough_where_the_cluster_changes() -> None:
    degrees = [0, 10] * 6 + [30, 20] * 6
    clusters = torch.tensor([0] * 12 + [1] * 12)
    assert cut(*degrees, config=LONG) == []
    assert cut(*degrees, clusters=clusters, config=LONG) == [5.75]


def test_of_two_borders_that_are_close_the_stronger_stays() -> None:
    assert cut(*[0] * 8, *[30] * 2, *[90] * 8, config=LONG) == [4.75]
    assert cut(*[0] * 8, *[60] * 2, *[90] * 8, config=LONG) == [3.75]
    assert cut(*[0] * 3, *[60] * 9) == []  # nor one that is close to an end


def test_a_long_scene_is_divided_evenly() -> None:
    assert cut(*[0] * 50) == pytest.approx([25 / 3, 50 / 3])
    assert cut(*[0] * 20) == []


def test_one_frame_is_one_scene() -> None:
    scenes = segments(turned(10), torch.tensor([3.0]), start_seconds=3, end_seconds=3.04)
    assert (scenes.starts, scenes.ends, scenes.origin) == ((3,), (3.04,), "segments")


@given(
    st.lists(st.integers(0, 90), min_size=1, max_size=60),
    st.sampled_from([0.04, 0.5, 3.0]),
    st.sampled_from([0.0, 7.5]),
)
def test_scenes_are_the_video_in_pieces_of_the_durations_asked_for(
    degrees: list[int], step: float, start: float
) -> None:
    times = start + torch.arange(len(degrees)) * step
    end = start + len(degrees) * step
    scenes = segments(turned(*degrees), times, start_seconds=start, end_seconds=end)
    assert (scenes.starts[0], scenes.ends[-1]) == (start, end)
    assert scenes.starts[1:] == scenes.ends[:-1]
    lengths = [b - a for a, b in zip(scenes.starts, scenes.ends, strict=True)]
    assert min(lengths) >= min(2.0, end - start) - 1e-6
    assert max(lengths) <= 10 + 1e-6


def test_the_cuts_of_joined_real_clips_are_found(tmp_path: Path) -> None:
    """Footage and filmed photographs (evals/needle), read as `clips` reads them."""
    rng = np.random.default_rng(3)
    video = join(TUNING.sources[1:4], root=tmp_path, name="three", rng=rng)
    with open_video(video.path) as source:
        grid = grid_indices(source, GridConfig(), at_least=1)
        frames = join_frames(list(source.thumbnails(grid, short_side=128)))
        end = source.duration_seconds
    histograms = hsv_histograms(frames.pixels, bins=(8, 4, 4))
    candidates = propose_features(histograms, frames.indices, frames.pts_seconds)
    scenes = segments(histograms, frames.pts_seconds, end_seconds=end, clusters=candidates.labels)
    cuts = [needle.spans[0][0] for needle in video.needles]
    assert all(min(abs(cut - start) for start in scenes.starts) <= 0.3 for cut in cuts)
    assert len(scenes) <= len(cuts) + 2  # a clip may have a second shot


def tenths(*marks: float) -> tuple[Clips, Tensor, Tensor]:
    """Scenes of 3 s, and the score of each of their three frames, one a second."""
    n = len(marks)
    starts = [3.0 * scene for scene in range(n)]
    ends = [start + 3 for start in starts]
    scenes = Clips.from_intervals(starts, ends, end_seconds=3 * n, origin="segments")
    scores = torch.tensor([score for mark in marks for score in (mark - 0.2, mark, mark - 0.1)])
    return scenes, scores, torch.arange(3.0 * n)


def test_relevance_is_the_place_between_the_median_and_the_best_scene() -> None:
    """The median is .2 and the best .5, so .3 is at 1/3, .39 at .63 and .41 at .7."""
    scenes, scores, times = tenths(0.1, 0.5, 0.2, 0.3001, 0.1, 0.2, 0.29, 0.41, 0.2, 0.1, 0.39)
    clips = score_segments(scenes, scores, times, model="an encoder")
    assert clips.starts == (3, 9, 21, 30)
    assert clips.ends == (6, 12, 24, 33)
    assert clips.priorities == (1, 2, 1, 2)
    assert clips.weights == pytest.approx((1, 0.3337, 0.7, 0.6333), abs=1e-3)
    assert (clips.origin, clips.model) == ("scored", "an encoder")


def test_a_video_that_is_mostly_about_the_text_keeps_the_scenes_that_are() -> None:
    scenes, scores, times = tenths(0.5, 0.1, 0.4999, 0.5001, 0.2)
    clips = score_segments(scenes, scores, times, model="an encoder")
    assert (clips.starts, clips.priorities) == ((0, 6, 9), (1, 1, 1))


def test_relevance_does_not_depend_on_the_scale_of_the_scores() -> None:
    scenes, scores, times = tenths(0.1, 0.5, 0.2, 0.32, 0.1)
    clips = score_segments(scenes, scores, times, model="an encoder")
    scaled = score_segments(scenes, 40 * scores.double() - 3, times, model="an encoder")
    assert scaled.starts == clips.starts
    assert scaled.weights == pytest.approx(clips.weights, abs=1e-5)


def test_marks_that_hardly_differ_hardly_count() -> None:
    scenes, scores, times = tenths(0.1, 0.5, 0.2, 0.32, 0.1)
    clips = score_segments(scenes, scores, times, model="an encoder")
    marks = torch.tensor([3.1, 3.0, 3.1, 3.0, 3.0])
    marked = score_segments(scenes, scores, times, model="an encoder", marks=marks)
    assert marked.starts == clips.starts
    assert marked.weights == pytest.approx(clips.weights, abs=0.05)
    certain = torch.tensor([1.0, 1.0, 5.0, 1.0, 1.0])
    asked = score_segments(scenes, scores, times, model="an encoder", marks=certain)
    assert set(asked.starts) - set(clips.starts) == {6.0}


def test_scenes_that_score_alike_give_no_clip() -> None:
    scenes, scores, times = tenths(0.3, 0.3, 0.3)
    assert len(score_segments(scenes, scores, times, model="an encoder")) == 0


def test_a_scene_without_a_frame_takes_the_score_of_the_next_one() -> None:
    """The next frame scores .3, half-way between .1 and .5."""
    scenes, scores, times = tenths(0.1, 0.1, 0.5, 0.1, 0.1)
    assert score_segments(scenes, scores, times, model="an encoder").starts == (6,)
    seen = torch.tensor([row for row in range(len(times)) if row not in (3, 4, 5)])
    clips = score_segments(scenes, scores[seen], times[seen], model="an encoder")
    assert clips.starts == (3, 6)
    assert clips.weights == pytest.approx((0.5, 1))


@pytest.mark.parametrize("n_times", [0, 2])
def test_they_refuse_rows_of_different_length(n_times: int) -> None:
    with pytest.raises(InputError, match="a time for each frame"):
        segments(turned(*[0] * (3 if n_times else 0)), torch.arange(n_times), end_seconds=9)
    scenes, scores, _ = tenths(0.1)
    with pytest.raises(InputError, match="a time for each frame"):
        score_segments(scenes, scores, torch.arange(n_times), model="an encoder")


def test_a_score_that_is_not_a_number_is_refused() -> None:
    scenes, scores, times = tenths(0.1, math.nan)
    with pytest.raises(InputError, match="scores must be finite"):
        score_segments(scenes, scores, times, model="an encoder")
