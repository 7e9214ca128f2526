"""`clips` takes its frames from the scenes that the text is about, and says where they are."""

import numpy as np
import numpy.typing as npt
import pytest

from keyscore_plugin import Clips, Selection, get_sampler
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.within import within
from tests.support.colour_encoder import ColourEncoder

Pixels = npt.NDArray[np.uint8]
FPS = 10
COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
SCENES = ("red", "blue", "red", "green", "red", "blue", "red")  # 3 s each
N_FRAMES = 30 * len(SCENES)


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    """``(210, 48, 64, 3)`` frames of the scenes, with a little noise."""
    noise = np.random.default_rng(0).integers(-15, 15, (N_FRAMES, 48, 64, 3))
    plain = np.array([COLOURS[scene] for scene in SCENES]).repeat(30, axis=0)
    return (plain[:, None, None] + noise).clip(0, 255).astype(np.uint8)


def choose(pixels: Pixels, *, k: int = 8, text: str = "green", mode: str = "auto") -> Selection:
    sampler = get_sampler("clips", encoder=ColourEncoder(), config={"clips": {"mode": mode}})
    return sampler(pixels, num_frames=k, caption=text, fps=FPS)


def scenes_of(selection: Selection) -> list[int]:
    return [int(seconds // 3) for seconds in selection.pts_seconds]


def test_the_clip_is_the_scene_that_the_text_is_about(pixels: Pixels) -> None:
    selection = choose(pixels)
    clips = selection.clips
    assert clips is not None
    assert clips.starts == pytest.approx((9,), abs=0.3)
    assert clips.ends == pytest.approx((12,), abs=0.3)
    assert (clips.priorities, clips.weights) == ((1,), (1,))
    assert (clips.origin, clips.model) == ("scored", "colour")
    assert selection.fallback is None


def test_focused_stays_in_the_clips_and_hybrid_leaves_no_long_gap(pixels: Pixels) -> None:
    assert set(scenes_of(choose(pixels, k=24, mode="focused"))) == {3}
    spread = choose(pixels, k=24, mode="hybrid")
    assert scenes_of(spread).count(3) >= 16
    edges = [0.0, *spread.pts_seconds, N_FRAMES / FPS]
    assert max(np.diff(edges)) <= 3 * N_FRAMES / FPS / 24 + 1 / FPS
    assert set(scenes_of(choose(pixels, k=8))) == {3}
    assert choose(pixels, k=24).indices == spread.indices


def test_candidates_of_stacfp_are_among_the_scored_frames(pixels: Pixels) -> None:
    selection = choose(pixels)
    assert selection.candidates
    assert set(selection.candidates) <= set(selection.curves)


def test_several_scenes_share_the_budget(pixels: Pixels) -> None:
    assert sorted(set(scenes_of(choose(pixels, text="blue")))) == [1, 5]


def test_scores_are_those_of_the_nearest_scored_frame(pixels: Pixels) -> None:
    selection = choose(pixels, k=3)
    assert selection.scores is not None
    for seconds, score in zip(selection.pts_seconds, selection.scores, strict=True):
        nearest = min(selection.curves, key=lambda frame: abs(frame.pts_seconds - seconds))
        assert score == nearest.total


def test_scenes_that_score_alike_are_sampled_uniformly_and_it_says_so() -> None:
    grey = np.full((50, 48, 64, 3), 128, dtype=np.uint8)
    selection = choose(grey, k=5)
    assert selection.indices == get_sampler("uniform")(grey, num_frames=5, fps=FPS).indices
    assert selection.fallback is not None
    assert "no scene of the video scores above the others" in selection.fallback
    assert selection.clips is not None
    assert selection.clips.origin == "segments"
    assert f"fallback='{selection.fallback[:40]}" in repr(selection)


def test_it_embeds_the_frames_that_keyscore_embeds(pixels: Pixels) -> None:
    n_encoded = []
    for name in ("keyscore", "clips"):
        encoder = ColourEncoder()
        sampler = get_sampler(name, encoder=encoder, config={"encode": {"max_encoded": 24}})
        sampler(pixels, num_frames=8, caption="green", fps=FPS)
        n_encoded.append(encoder.n_encoded)
    assert n_encoded[0] == n_encoded[1]


def test_clips_of_a_part_count_from_the_first_frame_of_the_video(pixels: Pixels) -> None:
    sampler = get_sampler("clips", encoder=ColourEncoder())
    part = within(sampler, start_seconds=5, end_seconds=20)
    selection = part(pixels, num_frames=4, caption="green", fps=FPS)
    assert set(scenes_of(selection)) == {3}
    assert selection.clips is not None
    assert selection.clips.starts == pytest.approx((9,), abs=0.3)


@pytest.mark.parametrize("kind", ["keyframes", "refine"])
def test_it_takes_every_grid(pixels: Pixels, kind: str) -> None:
    sampler = get_sampler("clips", encoder=ColourEncoder(), config={"grid": {"kind": kind}})
    selection = sampler(pixels, num_frames=4, caption="green", fps=FPS)
    assert set(scenes_of(selection)) == {3}


def test_one_frame_is_enough(pixels: Pixels) -> None:
    selection = choose(pixels[:1], k=8)
    assert (selection.indices, selection.fallback is not None) == ([0], True)


def test_it_ranks_clips_and_not_frames(pixels: Pixels) -> None:
    sampler = get_sampler("clips", encoder=ColourEncoder())
    with pytest.raises(InputError, match="ranks no frames"):
        sampler(pixels, threshold=0.5, caption="green", fps=FPS)


def test_a_selection_keeps_its_clips_in_json(pixels: Pixels) -> None:
    selection = choose(pixels)
    back = Selection.from_json(selection.to_json())
    assert back.clips == selection.clips
    assert isinstance(back.clips, Clips)
