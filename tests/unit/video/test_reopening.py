"""What was chosen is read again from the video it was chosen from, or not at all."""

from pathlib import Path

import numpy as np
import pytest
import torch

from keyscore_plugin import Selection, get_sampler
from keyscore_plugin.errors import VideoError
from keyscore_plugin.samplers.within import within
from keyscore_plugin.video.source import open_video
from tests.support.tiny.videos import frame_numbers, numbered_video


@pytest.fixture
def chosen(tmp_path: Path) -> Selection:
    video = numbered_video(tmp_path / "numbered.mp4", n=40, fps=10, size=(36, 64))
    return get_sampler("uniform")(video, num_frames=4)


def test_the_chosen_frames_are_read_with_their_times(chosen: Selection) -> None:
    frames = Selection.from_json(chosen.to_json()).frames()
    assert frame_numbers(frames.pixels.double().mean((1, 2))) == chosen.indices == [5, 15, 25, 35]
    assert frames.indices.tolist() == chosen.indices
    assert frames.pts_seconds.tolist() == chosen.pts_seconds
    assert frames.pixels.shape == (4, 36, 64, 3)
    with open_video(chosen.video) as source:
        assert torch.equal(frames.pixels, source.read(chosen.indices).pixels)


def test_the_chosen_frames_come_in_the_size_asked_for(chosen: Selection) -> None:
    assert chosen.frames(size=(18, 32)).pixels.shape == (4, 18, 32, 3)


def test_the_frames_of_a_part_are_read_from_the_whole(chosen: Selection) -> None:
    sampler = within(get_sampler("uniform"), start_seconds=2, end_seconds=3.05)
    selection = sampler(chosen.video, num_frames=2)
    frames = selection.frames()
    assert frame_numbers(frames.pixels.double().mean((1, 2))) == selection.indices == [22, 28]


@pytest.mark.slow
def test_the_picture_of_a_selection_holds_its_frames(chosen: Selection) -> None:
    picture = chosen.show()
    assert picture.mode == "RGB"
    assert picture.width == 2000
    colours = set(map(tuple, np.asarray(picture).reshape(-1, 3).tolist()))
    with open_video(chosen.video) as source:
        for pixels in source.read(chosen.indices).pixels:
            assert tuple(pixels[18, 32].tolist()) in colours


def test_a_video_that_is_gone_or_another_one_is_never_read_in_its_place(chosen: Selection) -> None:
    path = Path(chosen.video)
    numbered_video(path, n=41, fps=10, size=(36, 64))
    with pytest.raises(VideoError, match="it had 40 frames when these were chosen, now 41; choose"):
        chosen.frames()
    numbered_video(path, n=40, fps=20, size=(36, 64))
    with pytest.raises(
        VideoError, match=r"frame 5 was at 0.500 s when it was chosen, now at 0.250"
    ):
        chosen.show()
    path.unlink()
    with pytest.raises(VideoError, match=r"numbered\.mp4: no such file exists"):
        chosen.frames()


def test_frames_of_an_array_are_not_looked_for_in_a_file() -> None:
    array = np.zeros((20, 32, 32, 3), dtype=np.uint8)
    with open_video(array, fps=10) as source:
        selection = get_sampler("uniform")(source, num_frames=2)
    with pytest.raises(VideoError, match="it was given in memory and has no file"):
        selection.frames()
