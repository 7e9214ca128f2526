"""Laws of `VideoFacts`: one value, each fact of which every video has under its own name."""

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keyscore_plugin import InputError, VideoFacts, VideoSource, open_video
from keyscore_plugin.hosts import ForwardedVideo, TrimmedVideo
from tests.support.clips import Clip


def has_its_facts(video: VideoSource) -> bool:
    names = [field.name for field in fields(VideoFacts)]
    return {name: getattr(video, name) for name in names} == {
        name: getattr(video.facts, name) for name in names
    }


def test_every_video_has_each_fact_under_its_own_name(clip_path: Callable[[Clip], Path]) -> None:
    path = clip_path(Clip("facts.mp4"))
    with open_video(path) as file, open_video(path.read_bytes()) as copy:
        part = TrimmedVideo.between(file, 0.5, 1.0)
        pictures = open_video(np.zeros((3, 4, 6, 3), np.uint8), fps=2)
        assert all(map(has_its_facts, (file, copy, part, pictures, ForwardedVideo(file))))
        assert replace(copy.facts, path=str(path)) == file.facts
        assert part.facts != file.facts


@pytest.mark.parametrize(
    "wrong",
    [{"n_frames": 0}, {"width": 0}, {"duration_seconds": 0.0}, {"duration_seconds": np.nan}],
)
def test_facts_that_no_video_has_are_refused(wrong: dict[str, Any]) -> None:
    facts = open_video(np.zeros((3, 4, 6, 3), np.uint8), fps=2).facts
    with pytest.raises(InputError, match="VideoFacts"):
        replace(facts, **wrong)
