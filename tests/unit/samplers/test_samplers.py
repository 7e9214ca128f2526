"""One call for every sampler, and the laws each of them keeps."""

import json
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin import KeyScoreSampler, SamplerConfig, Selection, get_sampler, list_samplers
from keyscore_plugin.baselines.random_frames import RandomSampler, RandomSettings
from keyscore_plugin.config import EncodeConfig, GridConfig, Guide, ProposalConfig, SelectConfig
from keyscore_plugin.errors import InputError, MemoryEndedError
from keyscore_plugin.samplers.base import asks_judge
from keyscore_plugin.samplers.encoding import rows_worth_encoding
from keyscore_plugin.samplers.pad_selection import pad_evenly
from keyscore_plugin.types import STAGES, Candidates, Caption, Embeddings, Frames
from keyscore_plugin.video.source import open_video
from tests.support.colour_encoder import ColourEncoder
from tests.support.colour_judge import ColourJudge
from tests.support.importance import config_of

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
FPS = 10
SCENE = 30  # frames a colour
N_FRAMES = SCENE * len(COLOURS)


@pytest.fixture(scope="module")
def traffic_light(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three seconds each of red, green and blue, with a little noise so that frames differ."""
    path = tmp_path_factory.mktemp("video") / "traffic_light.mp4"
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, FPS)
        for colour in COLOURS.values():
            for _ in range(SCENE):
                pixels = np.array(colour) + noise.integers(-15, 15, (48, 64, 3))
                frame = av.VideoFrame.from_ndarray(
                    pixels.clip(0, 255).astype(np.uint8), format="rgb24"
                )
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


GUIDED = [name for name in list_samplers() if get_sampler(name).needs_text]


def sample(
    name: str, video: Path, config: SamplerConfig | dict[str, Any] | None = None, **call: Any
) -> Selection:
    sampler = get_sampler(
        name, encoder=ColourEncoder(), captioner=ColourJudge(), config=config_of(name, config)
    )
    return sampler(video, **call)


@pytest.mark.slow
@pytest.mark.parametrize("name", list_samplers())
@pytest.mark.parametrize("num_frames", [1, 2, 3, 7, 17, 18, 19, 64, N_FRAMES, N_FRAMES + 10])
def test_exactly_the_budget_or_the_whole_video(
    name: str, num_frames: int, traffic_light: Path
) -> None:
    selection = sample(name, traffic_light, num_frames=num_frames, caption="green")
    assert len(selection) == min(num_frames, N_FRAMES)
    assert selection.indices == sorted(set(selection.indices))


@pytest.mark.parametrize("name", list_samplers())
def test_times_are_those_of_the_container(name: str, traffic_light: Path) -> None:
    selection = sample(name, traffic_light, num_frames=5, caption="green")
    with open_video(traffic_light) as source:
        assert selection.pts_seconds == source.pts_seconds(selection.indices).tolist()


@pytest.mark.parametrize("name", list_samplers())
def test_same_call_same_selection(name: str, traffic_light: Path) -> None:
    first, second = (sample(name, traffic_light, num_frames=5, caption="blue") for _ in range(2))
    assert (first.indices, first.scores) == (second.indices, second.scores)


@pytest.mark.parametrize("name", list_samplers())
def test_selection_survives_json(name: str, traffic_light: Path) -> None:
    selection = sample(name, traffic_light, num_frames=5, caption="blue")
    assert Selection.from_json(selection.to_json(curves=True)).to_dict(curves=True) == (
        selection.to_dict(curves=True)
    )


@pytest.mark.parametrize("name", list_samplers())
def test_every_stage_is_timed(name: str, traffic_light: Path) -> None:
    seconds = sample(name, traffic_light, num_frames=5, caption="blue").seconds
    assert set(seconds) == {*STAGES, "total"}
    assert 0 < sum(seconds[stage] for stage in STAGES) <= seconds["total"]


@pytest.mark.parametrize("name", list_samplers())
def test_an_open_video_stays_open(name: str, traffic_light: Path) -> None:
    with open_video(traffic_light) as source:
        sampler = get_sampler(
            name, encoder=ColourEncoder(), captioner=ColourJudge(), config=config_of(name)
        )
        selection = sampler(source, num_frames=3, caption="red")
        assert source.read(selection.indices).indices.tolist() == selection.indices


# At a budget of one aks-paper finds nothing and takes an even frame, and focus goes to the shortest
# of arms that are two or three frames long; tests/unit/baselines hold what they do instead.
@pytest.mark.parametrize("name", [name for name in GUIDED if name not in ("aks-paper", "focus")])
@pytest.mark.parametrize(("position", "colour"), list(enumerate(COLOURS)))
@pytest.mark.parametrize("given", ["caption", "question"])
def test_a_single_frame_comes_from_the_scene_that_the_text_names(
    name: str, position: int, colour: str, given: str, traffic_light: Path
) -> None:
    text: dict[str, Any] = {given: colour}
    selection = sample(name, traffic_light, num_frames=1, **text)
    assert selection.indices[0] // SCENE == position


def test_stacfp_finds_the_scenes(traffic_light: Path) -> None:
    selection = sample("stacfp", traffic_light)
    assert {index // SCENE for index in selection.indices} == {0, 1, 2}
    assert len(selection) == len(selection.candidates) < 10


def test_stacfp_with_a_budget_covers_the_scenes(traffic_light: Path) -> None:
    selection = sample("stacfp", traffic_light, num_frames=3)
    assert [index // SCENE for index in selection.indices] == [0, 1, 2]


def test_uniform_takes_the_middle_of_each_bin(traffic_light: Path) -> None:
    assert sample("uniform", traffic_light, num_frames=3).indices == [15, 45, 75]


def test_threshold_returns_what_scores(traffic_light: Path) -> None:
    config = SamplerConfig(select=SelectConfig(policy="top"))
    selection = sample("keyscore", traffic_light, config, threshold=0.7, caption="green")
    assert (selection.num_frames, selection.threshold) == (None, 0.7)
    assert selection.scores is not None
    assert min(selection.scores) >= 0.7
    above = [frame.index for frame in selection.curves if (frame.total or 0) >= 0.7]
    assert selection.indices == above


@pytest.mark.parametrize("name", ["keyscore", "topk"])
def test_a_threshold_above_every_score_gives_the_best_frame_and_says_so(
    name: str, traffic_light: Path
) -> None:
    selection = sample(name, traffic_light, threshold=1.5, caption="green")
    assert selection.scores is not None
    (best,) = selection.scores
    assert best == max(frame.total or 0 for frame in selection.curves)
    assert selection.notes == (
        f"no frame reaches the threshold 1.5: the highest score is {best:.6g}, and that frame "
        "alone was chosen; lower the threshold",
    )
    at_best = sample(name, traffic_light, threshold=best, caption="green")
    assert (at_best.scores, at_best.notes) == ([best], ())


@pytest.mark.parametrize("name", ["uniform", "stacfp"])
def test_a_sampler_without_scores_refuses_a_threshold(name: str, traffic_light: Path) -> None:
    with pytest.raises(InputError, match="ranks no frames"):
        sample(name, traffic_light, threshold=0.5)


@pytest.mark.parametrize(
    ("guide", "given", "caption_used", "question_used"),
    [
        ("given", {"caption": "red"}, "red", None),
        ("given", {"question": "blue"}, None, "blue"),
        ("given", {"caption": "red", "question": "blue"}, "red", None),
        ("given", {}, "made", None),
        ("caption", {"question": "blue"}, "made", None),
        ("question", {"caption": "red", "question": "blue"}, None, "blue"),
        ("both", {"caption": "red", "question": "blue"}, "red", "blue"),
        ("both", {"question": "blue"}, "made", "blue"),
    ],
)
def test_guide_says_which_text_scores(
    guide: Guide,
    given: dict[str, str],
    caption_used: str | None,
    question_used: str | None,
    traffic_light: Path,
) -> None:
    config = SamplerConfig(guide=guide)
    selection = sample("keyscore", traffic_light, config, num_frames=3, **given)
    assert selection.question == question_used
    if caption_used == "made":
        assert selection.caption is not None
        assert (selection.caption.origin, selection.caption.model) == ("generated", "colour-words")
    elif caption_used is None:
        assert selection.caption is None
    else:
        assert selection.caption == Caption(caption_used, origin="given")


@pytest.mark.parametrize(
    ("name", "keeps"), [("uniform", False), ("topk", False), ("keyscore", True)]
)
def test_a_longest_gap_is_kept_or_a_note_says_that_it_has_no_effect(
    name: str, keeps: bool, traffic_light: Path
) -> None:
    config = {"select": {"max_gap_seconds": 4}}
    sampler = get_sampler(name, encoder=ColourEncoder(), config=config)
    selection = sampler(traffic_light, num_frames=3, caption="red")
    noted = any("max_gap_seconds=4 has no effect" in note for note in selection.notes)
    assert noted is not keeps


def test_the_captioner_sees_the_candidates_only(traffic_light: Path) -> None:
    captioner = ColourJudge()
    sampler = KeyScoreSampler(encoder=ColourEncoder(), captioner=captioner)
    selection = sampler(traffic_light, num_frames=2)
    assert captioner.n_shown == len(selection.candidates)


@pytest.mark.parametrize("name", [name for name in GUIDED if not asks_judge(name)])
def test_no_text_and_no_captioner_names_the_ways_out(name: str, traffic_light: Path) -> None:
    with pytest.raises(InputError, match="give a caption, give a question, or name a captioner"):
        get_sampler(name, encoder=ColourEncoder())(traffic_light, num_frames=2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"num_frames": 0}, "whole number >= 1, got 0"),
        ({"num_frames": -3}, "whole number >= 1, got -3"),
        ({"num_frames": 2.5}, "whole number >= 1, got 2.5"),
        ({"num_frames": True}, "whole number >= 1, got True"),
        ({"threshold": float("nan")}, "finite number, got nan"),
        ({"threshold": 10**400}, "finite number, got <int of 1,329 bits>"),
        ({"threshold": "0.5"}, "finite number, got '0.5'"),
        ({"num_frames": 2, "threshold": 0.5}, "exclude each other"),
        ({"caption": "  "}, "the caption is empty"),
        ({"question": ""}, "the question is empty"),
        ({"caption": [b"red"]}, r"the caption must be a text or a list of texts, got \[b'red'\]"),
        ({"question": b"red"}, "the question must be a text or a list of texts, got b'red'"),
    ],
)
def test_bad_arguments_are_named(call: dict[str, Any], message: str, traffic_light: Path) -> None:
    with pytest.raises(InputError, match=message):
        sample("keyscore", traffic_light, **{"caption": "red", **call})


@pytest.mark.parametrize("video", [123, None, {"video": "a.mp4"}])
def test_what_is_no_video_is_named(video: Any) -> None:
    with pytest.raises(InputError, match="is not a video; give a path"):
        get_sampler("uniform")(video)


def test_a_guide_without_its_question_is_an_error(traffic_light: Path) -> None:
    with pytest.raises(InputError, match="guide='question' scores with the question"):
        sample("keyscore", traffic_light, SamplerConfig(guide="question"), caption="red")


@pytest.mark.parametrize("name", ["keyscore", "random", "uniform"])
def test_numbers_of_numpy_are_numbers_and_settings_may_be_a_dict(
    name: str, traffic_light: Path
) -> None:
    made = SamplerConfig(grid=GridConfig(sample_fps=4), proposal=ProposalConfig(seed=3))
    plain = sample(name, traffic_light, made, num_frames=4, caption="green")
    given = sample(
        name,
        traffic_light,
        {"grid": {"sample_fps": np.float32(4)}, "proposal": {"seed": np.int64(3)}},
        num_frames=np.int64(4),
        caption="green",
    )
    assert given.indices == plain.indices
    assert given.config == plain.config
    assert json.loads(given.to_json())["num_frames"] == 4
    if name == "keyscore":
        by_score = sample(name, traffic_light, threshold=np.float32(0.5), caption="green")
        assert json.loads(by_score.to_json())["threshold"] == 0.5


def test_settings_of_a_published_sampler_take_numbers_of_numpy(traffic_light: Path) -> None:
    seed: Any = np.int64(5)
    selection = RandomSampler(settings=RandomSettings(seed))(traffic_light, num_frames=4)
    plain = RandomSampler(settings=RandomSettings(5))(traffic_light, num_frames=4)
    assert selection.indices == plain.indices
    assert json.loads(selection.to_json())["config"]["method"] == {"seed": 5}


def test_frames_are_read_by_indices_of_any_kind_of_whole_number(traffic_light: Path) -> None:
    kinds = (np.int8, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
    with open_video(traffic_light) as source:
        plain = source.read([5, 3])
        for kind in kinds:
            given: list[Any] = [np.array([5, 3], dtype=kind), [kind(5), kind(3)]]
            for indices in given:
                assert torch.equal(source.read(indices).pixels, plain.pixels)


def test_unknown_sampler_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"unknown sampler 'topp' \(did you mean 'topk'\?\); the "):
        get_sampler("topp")
    with pytest.raises(InputError, match="unknown sampler 'magic'; the samplers are: adaq, aks, "):
        get_sampler("magic")


@pytest.mark.parametrize("name", list_samplers())
def test_every_sampler_refuses_an_unknown_device(name: str) -> None:
    with pytest.raises(InputError, match="unknown device 'abacus'"):
        get_sampler(name, device="abacus")


class FullEncoder(ColourEncoder):
    """Says what a GPU says."""

    def __init__(self, error: RuntimeError) -> None:
        super().__init__()
        self.error = error

    def encode_frames(self, frames: Frames) -> Embeddings:
        raise self.error


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be reported later"),
    ],
)
@pytest.mark.parametrize("name", ["keyscore", "topk", "focus"])
def test_a_memory_that_ends_is_one_clear_error(
    name: str, error: RuntimeError, traffic_light: Path
) -> None:
    sampler = get_sampler(name, encoder=FullEncoder(error))
    with pytest.raises(
        MemoryEndedError, match=rf"memory .* {name} .*or use device='cpu'$"
    ) as raised:
        sampler(traffic_light, num_frames=2, caption="red")
    assert raised.value.__cause__ is error
    assert "\n" not in str(raised.value)


def test_another_fault_of_an_encoder_is_not_taken_for_a_lack_of_memory(traffic_light: Path) -> None:
    sampler = get_sampler("topk", encoder=FullEncoder(RuntimeError("mat1 and mat2")))
    with pytest.raises(RuntimeError, match="mat1"):
        sampler(traffic_light, num_frames=2, caption="red")


def test_a_cut_text_is_noted(traffic_light: Path) -> None:
    selection = sample("keyscore", traffic_light, num_frames=2, caption="red " * 10_000)
    assert any("first 64 of 10000 tokens" in note for note in selection.notes)


@pytest.mark.parametrize("max_encoded", [4, 8, 12])
def test_max_encoded_bounds_the_encoder(max_encoded: int, traffic_light: Path) -> None:
    encoder = ColourEncoder()
    config = SamplerConfig(encode=EncodeConfig(max_encoded=max_encoded))
    selection = KeyScoreSampler(config, encoder=encoder)(
        traffic_light, num_frames=2, caption="green"
    )
    assert encoder.n_encoded == len(selection.curves)
    assert encoder.n_encoded == max(max_encoded, len(selection.candidates))
    assert {c.index for c in selection.candidates} <= {c.index for c in selection.curves}


def test_the_budget_beats_max_encoded(traffic_light: Path) -> None:
    config = SamplerConfig(encode=EncodeConfig(max_encoded=4))
    assert len(sample("keyscore", traffic_light, config, num_frames=16, caption="red")) == 16


def candidates_of(labels: list[int], rows: list[int]) -> Candidates:
    grid = torch.tensor(labels)
    at = torch.tensor(rows)
    return Candidates(at, torch.arange(len(rows)), at, at.double(), grid, {len(rows): 0.5})


def further(candidates: Candidates, cosines: torch.Tensor, *, n_more: int) -> torch.Tensor:
    """The further frames of a video in which every moment has a candidate near to it."""
    n = len(candidates.labels)
    return rows_worth_encoding(
        candidates, cosines, torch.full((n, 4), 0.25), torch.arange(n) / 100, n_more=n_more
    )


def test_a_cluster_that_scores_gets_more_frames() -> None:
    candidates = candidates_of([0] * 20 + [1] * 20, [10, 30])
    rows = further(candidates, torch.tensor([0.1, 0.4]), n_more=10)
    in_second = int((rows >= 20).sum())
    assert (len(rows) - in_second, in_second) == (2, 8)  # shares .25 : 1 of equal clusters


def test_further_frames_are_never_candidates_and_never_twice() -> None:
    pick = random.Random(0)
    labels = sorted(pick.choices(range(5), k=60))
    rows = [labels.index(c) for c in sorted(set(labels))]
    candidates = candidates_of(labels, rows)
    for n_more in (0, 1, 7, 55, 100):
        more = further(candidates, torch.rand(len(rows)), n_more=n_more).tolist()
        assert len(more) == min(n_more, 60 - len(rows)) == len(set(more))
        assert not set(more) & set(rows)


@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_one_frame_that_looks_unlike_all_others_is_embedded(seed: int, needed: bool) -> None:
    """A video of 30 pictures that come again and again, and one more that comes once."""
    pick = np.random.default_rng(seed)
    looks = pick.integers(0, 30, 600)
    looks[place := int(pick.integers(600))] = 30
    labels = [row // 60 for row in range(600)]
    candidates = candidates_of(labels, [60 * part + 7 for part in range(10)])
    more = rows_worth_encoding(
        candidates,
        torch.from_numpy(pick.random(10)).float(),
        torch.eye(31)[torch.from_numpy(looks)],
        6.0 * torch.arange(600.0),
        n_more=31,
        needed=torch.tensor([place]) if needed else None,
    )
    assert place in {*candidates.rows.tolist(), *more.tolist()}
    embedded = looks[[*candidates.rows.tolist(), *more.tolist()]]
    assert set(embedded) == set(looks)


def test_filling_up_keeps_what_was_chosen() -> None:
    rows = pad_evenly(torch.tensor([3, 4]), torch.arange(10.0), 6)
    assert len(rows) == 6
    assert {3, 4} <= set(rows.tolist())
