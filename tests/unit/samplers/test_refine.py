"""The second look goes where the first one scores, and nowhere else."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin import KeyScoreSampler, SamplerConfig, Selection, get_sampler, list_samplers
from keyscore_plugin.config import EncodeConfig, GridConfig, SelectConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.refine import worth_a_closer_look
from keyscore_plugin.samplers.text import TextSampler
from keyscore_plugin.types import GridInfo
from tests.support.colour_encoder import ColourEncoder

FPS = 10
SECONDS = 60
GOP = 5 * FPS
N_FRAMES = SECONDS * FPS
RED = range(217, 279)  # frames 21.7 to 27.8 s: no keyframe begins or ends it
REFINE = SamplerConfig(grid=GridConfig(kind="refine", max_closer=24))
REFINING = [
    name
    for name in list_samplers()
    if isinstance(get_sampler(name), (TextSampler, KeyScoreSampler))
]


def write(path: Path, *, gop: int, n_frames: int = N_FRAMES) -> Path:
    """Blue, with some seconds of red in the middle; keyframes at even steps only."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        options = {"x264-params": f"keyint={gop}:min-keyint={gop}:scenecut=0"}
        stream = container.add_stream("libx264", rate=FPS, options=options)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for number in range(n_frames):
            colour = (220, 20, 20) if number in RED else (20, 20, 220)
            pixels = np.array(colour) + noise.integers(-15, 15, (48, 64, 3))
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("closer")


@pytest.fixture(scope="module")
def video(folder: Path) -> Path:
    return write(folder / "groups.mp4", gop=GOP)


def sample(name: str, path: Path, num_frames: int = 4, config: SamplerConfig = REFINE) -> Selection:
    sampler = get_sampler(name, config=config, encoder=ColourEncoder())
    return sampler(path, num_frames=num_frames, caption="red")


def test_the_samplers_that_score_every_frame_they_embed_can_refine() -> None:
    published = ["adaq", "aks", "aks-paper", "bolt", "gift", "mdp3", "qframe", "segments", "wfs-sb"]
    assert sorted([*published, "keyscore", "topk"]) == REFINING


@pytest.mark.parametrize("name", REFINING)
def test_the_second_look_goes_to_both_sides_of_what_scores(name: str, video: Path) -> None:
    selection = sample(name, video)
    assert selection.looked_at == GridInfo("refine", n_first=SECONDS // 5, n_closer=24)
    assert selection.n_grid == 12 + 24
    closer = [frame.index for frame in selection.curves if frame.index % GOP]
    # The one red keyframe is at 25 s: from 20 to 30 s there are 18 even points around it. The other
    # 6 fill a part of the next best stretch.
    near = [index for index in closer if 200 < index < 300]
    assert (len(near), len(closer)) == (18, 24)
    assert len({index // GOP for index in set(closer) - set(near)}) == 1


@pytest.mark.parametrize("name", ["keyscore", "topk", "qframe"])
def test_what_is_chosen_lies_inside_the_moment(name: str, video: Path) -> None:
    policy = SamplerConfig.from_dict(
        {
            "grid": {"kind": "refine"},
            "select": {"policy": "top"},
            "score": {"beta": 0, "gamma": 0.4},
        }
    )
    assert set(sample(name, video, 6, policy).indices) <= set(RED)
    coarse = SamplerConfig.from_dict({**policy.to_dict(), "grid": {"kind": "keyframes"}})
    assert not set(sample(name, video, 6, coarse).indices) <= set(RED)


@pytest.mark.slow
@pytest.mark.parametrize("name", REFINING)
@pytest.mark.parametrize("num_frames", [1, 2, 11, 12, 13, 36, 37, 100, N_FRAMES + 1])
def test_exactly_the_budget_is_chosen_from_two_looks(
    name: str, num_frames: int, video: Path
) -> None:
    selection = sample(name, video, num_frames)
    assert len(selection) == min(num_frames, N_FRAMES)
    assert selection.indices == sorted(set(selection.indices))
    indices = [frame.index for frame in selection.curves]
    assert indices == sorted(set(indices))


def test_same_call_same_selection(video: Path) -> None:
    first, second = (sample("keyscore", video, 5) for _ in range(2))
    assert (first.indices, first.scores) == (second.indices, second.scores)


@pytest.mark.parametrize("name", ["keyscore", "topk"])
@pytest.mark.parametrize("max_encoded", [4, 10, 16, 30])
def test_both_looks_share_what_may_be_embedded(name: str, max_encoded: int, video: Path) -> None:
    encoder = ColourEncoder()
    config = SamplerConfig(grid=REFINE.grid, encode=EncodeConfig(max_encoded=max_encoded))
    selection = get_sampler(name, config=config, encoder=encoder)(
        video, num_frames=2, caption="red"
    )
    # Two candidates, one frame that keeps the bound of two, and what the second look has.
    assert encoder.n_encoded == len(selection.curves) <= max(max_encoded, 3 + max_encoded // 2)
    assert selection.looked_at is not None
    assert 0 < selection.looked_at.n_closer <= max(1, max_encoded // 2)


@pytest.mark.parametrize("name", ["keyscore", "topk"])
def test_without_a_second_look_refine_is_keyframes(name: str, video: Path) -> None:
    never = SamplerConfig(grid=GridConfig(kind="refine", max_closer=0))
    keyframes = SamplerConfig(grid=GridConfig(kind="keyframes"))
    refined, plain = sample(name, video, 5, never), sample(name, video, 5, keyframes)
    assert (refined.indices, refined.scores) == (plain.indices, plain.scores)
    assert refined.looked_at == GridInfo("refine", 12)
    assert plain.looked_at == GridInfo("keyframes", 12)


@pytest.mark.parametrize("name", ["keyscore", "topk"])
@pytest.mark.parametrize("gop", [1, FPS // 2])
def test_keyframes_as_dense_as_the_even_grid_leave_nothing_to_refine(
    name: str, gop: int, folder: Path
) -> None:
    path = write(folder / f"dense{gop}.mp4", gop=gop, n_frames=300)
    selection = sample(name, path)
    assert selection.looked_at == GridInfo("refine", n_first=60)  # 30 s at 2 frames a second


@pytest.mark.parametrize("name", ["keyscore", "topk"])
def test_of_one_long_group_of_pictures_even_frames_are_the_first_look(
    name: str, folder: Path
) -> None:
    path = write(folder / "one.mp4", gop=1000)
    note = (
        "the video has no keyframe for 60 s: the first look of the grid 'refine' took frames "
        "evenly in time instead"
    )
    for num_frames in (1, 4):
        selection = sample(name, path, num_frames)
        assert selection.looked_at == GridInfo("refine", n_first=2 * SECONDS)
        assert selection.notes == (note,)
        best = max(selection.scores or [])
        assert selection.indices[(selection.scores or []).index(best)] in RED
    few = replace(REFINE, encode=EncodeConfig(max_encoded=40), select=SelectConfig(policy="top"))
    selection = sample(name, path, 4, few)
    # 20 frames, 3 s apart, or one for each cluster; then closer around what scores in them.
    assert selection.looked_at is not None
    assert 0 < selection.looked_at.n_closer <= 20
    assert set(selection.indices) <= set(RED)


def test_a_short_group_of_pictures_is_looked_at_by_keyframes_and_closer(folder: Path) -> None:
    path = write(folder / "short.mp4", gop=1000, n_frames=240)
    selection = sample("topk", path, 1)
    assert selection.looked_at == GridInfo("refine", n_first=1, n_closer=24)
    assert selection.notes == ()


@pytest.mark.parametrize("name", ["stacfp", "maxinfo", "focus"])
def test_a_sampler_that_cannot_refine_names_the_other_grids(name: str, video: Path) -> None:
    with pytest.raises(InputError, match=r"'refine' looks closer .* use the grid 'fps' or"):
        sample(name, video)


@pytest.mark.parametrize("name", ["uniform", "random", "iframes"])
def test_a_sampler_that_looks_at_nothing_says_so(name: str, video: Path) -> None:
    selection = sample(name, video)
    assert (selection.n_grid, selection.looked_at) == (0, None)


def test_a_gap_without_frames_takes_nothing_from_the_second_look() -> None:
    times = torch.tensor([0.0, 0.5, 1.0, 600.0, 600.5, 601.0])
    worth = worth_a_closer_look(times, torch.tensor([0.0, 601.0]), torch.tensor([0.1, 0.3]))
    assert worth.tolist() == pytest.approx([-torch.inf, 0.3, 0.3, 0.3, 0.3, -torch.inf])


@given(st.integers(1, 40), st.lists(st.integers(0, 39), min_size=1, max_size=8, unique=True))
def test_worth_is_that_of_the_better_neighbour(n: int, seen: list[int]) -> None:
    times, at = torch.arange(float(n)), torch.tensor(sorted(seen)).double()
    cosines = torch.linspace(-1, 1, len(at)).flip(0)[torch.arange(len(at)) * 3 % len(at)]
    worth = worth_a_closer_look(times, at, cosines)
    for time in range(n):
        around = [max((t for t in seen if t <= time), default=None)]
        around.append(min((t for t in seen if t >= time), default=None))
        scores = [float(cosines[sorted(seen).index(t)]) for t in around if t is not None]
        expected = -torch.inf if time in seen or n == 1 else max(scores)
        assert float(worth[time]) == pytest.approx(expected)
