"""Labels of scenes agree with the sampler `clips`, and cover the video at three levels."""

import numpy as np
import numpy.typing as npt
import pytest

from keyscore_plugin import Caption, Frames, get_sampler, open_video
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.scene_labels import SceneLabeller
from keyscore_plugin.types import VideoLabels
from keyscore_plugin.video.source import VideoSource
from tests.support.colour_encoder import ColourEncoder
from tests.support.tiny.llama import save_llama

pytestmark = pytest.mark.slow

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
SCENES = ("red", "blue", "red", "blue", "green", "blue", "green", "blue", "green")  # 3 s each
FPS = 10
Pixels = npt.NDArray[np.uint8]


class ColourCaptioner:
    """Names the strongest channel of the frames."""

    name = "colour-words"

    def caption(self, frames: Frames) -> Caption:
        strongest = int(frames.pixels.float().mean((0, 1, 2)).argmax())
        return Caption(("red", "green", "blue")[strongest], origin="generated", model=self.name)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save_llama(tmp_path_factory.mktemp("llama")))


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    noise = np.random.default_rng(0).integers(-15, 15, (30 * len(SCENES), 48, 64, 3))
    plain = np.array([COLOURS[scene] for scene in SCENES]).repeat(30, axis=0)
    return (plain[:, None, None] + noise).clip(0, 255).astype(np.uint8)


def opened(pixels: Pixels) -> VideoSource:
    return open_video(pixels, fps=FPS)


@pytest.fixture(scope="module")
def labels(llama: str, pixels: Pixels) -> VideoLabels:
    labeller = SceneLabeller(captioner=ColourCaptioner(), scorer=llama, encoder=ColourEncoder())
    return labeller(opened(pixels), ["green", "red"])


def test_captions_of_three_levels_cover_the_video(labels: VideoLabels) -> None:
    assert labels.scenes.reasons == SCENES
    assert labels.caption in COLOURS
    assert len(labels.chapters) == 2
    for level in (labels.scenes, labels.chapters):
        assert (level.starts[0], level.ends[-1]) == (0, labels.duration_seconds)
        assert level.starts[1:] == level.ends[:-1]
    assert set(labels.chapters.starts) <= set(labels.scenes.starts)


def test_what_has_a_priority_are_the_clips_of_the_sampler(
    llama: str, pixels: Pixels, labels: VideoLabels
) -> None:
    for one in labels.queries:
        sampler = get_sampler(
            "clips",
            encoder=ColourEncoder(),
            captioner=ColourCaptioner(),
            config={"clips": {"scorer": llama}},
        )
        clips = sampler(opened(pixels), num_frames=4, question=one.query).clips
        assert clips is not None
        kept = [row for row, priority in enumerate(one.priorities) if priority is not None]
        assert clips.starts == tuple(labels.scenes.starts[row] for row in kept)
        assert clips.priorities == tuple(one.priorities[row] for row in kept)
        assert clips.weights == pytest.approx([(one.relevance[row] - 1) / 4 for row in kept])


def test_relevance_lies_from_1_to_5_and_the_best_scene_has_5(labels: VideoLabels) -> None:
    for one in labels.queries:
        assert (min(one.relevance), max(one.relevance)) == (1, 5)
        assert all(1 <= mark <= 5 for mark in one.marks)


def test_scenes_that_a_query_cannot_distinguish_have_no_priority(llama: str) -> None:
    still = np.full((60, 48, 64, 3), COLOURS["red"], dtype=np.uint8)
    labeller = SceneLabeller(captioner=ColourCaptioner(), scorer=llama, encoder=ColourEncoder())
    (one,) = labeller(opened(still), ["green"]).queries
    assert set(one.priorities) == {None}
    assert set(one.relevance) == {1}


def test_no_query_is_refused(llama: str, pixels: Pixels) -> None:
    labeller = SceneLabeller(captioner=ColourCaptioner(), scorer=llama, encoder=ColourEncoder())
    with pytest.raises(InputError, match="no query"):
        labeller(opened(pixels), [])
