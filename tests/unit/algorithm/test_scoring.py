"""KeyScore against a worked example, the equations read literally, and its laws."""

import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.config import ScoreConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Embeddings, FrameScores, TextEmbedding

Array = NDArray[np.float64]
COMPONENTS = ("semantic", "temporal", "drop")
MEAN = ScoreConfig()
TEXT = ScoreConfig(pooling="text", temperature=0.5)


def frames_of(vectors: object, *, model: str = "m") -> Embeddings:
    rows = torch.as_tensor(vectors, dtype=torch.float32)
    order = torch.arange(len(rows))
    return Embeddings(rows, order, order.double(), model)


def text_of(vector: object, *, model: str = "m") -> TextEmbedding:
    return TextEmbedding(torch.as_tensor(vector, dtype=torch.float32), model, 5, 77)


def random_case(seed: int, n: int, d: int = 6) -> tuple[Array, Array]:
    """``(n, d)`` frames and a ``(d,)`` text, of any length."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)), rng.normal(size=d)


cases = st.builds(random_case, st.integers(0, 10_000), st.integers(3, 12))
configs = st.sampled_from([MEAN, TEXT])


def assert_close(actual: Tensor, expected: object, *, tolerance: float = 1e-6) -> None:
    np.testing.assert_allclose(actual.numpy(), np.asarray(expected), rtol=0, atol=tolerance)


def assert_same_scores(a: FrameScores, b: FrameScores, *, tolerance: float = 1e-4) -> None:
    for name in (*COMPONENTS, "total"):
        assert_close(getattr(a, name), getattr(b, name), tolerance=tolerance)


def test_worked_example_with_mean_pooling() -> None:
    # t = (1, 0); f1 = (1, 0), f2 = (.6, .8), f3 = (0, 1).
    # Eq. 2: the first coordinate of each: 1, .6, 0.
    # Eq. 3: the sum is (1.6, 1.8) of length sqrt(5.8), so v = (1.6, 1.8) / sqrt(5.8) and
    #        v.f = 1.6, .96 + 1.44 = 2.4, 1.8, each over sqrt(5.8) = 2.408319.
    # Eq. 4: cos(v, t) = 1.6 / 2.408319 = .664364. Without f1: (.6, 1.8), cos = 1 / sqrt(10);
    #        without f2: (1, 1), cos = 1 / sqrt(2); without f3: (1.6, .8), cos = 2 / sqrt(5).
    scores = score(frames_of([[1, 0], [0.6, 0.8], [0, 1]]), text_of([1, 0]))
    assert_close(scores.semantic_raw, [1, 0.6, 0])
    assert_close(scores.temporal_raw, [0.664364, 0.996546, 0.747409])
    assert_close(scores.drop_raw, [0.664364 - 0.316228, 0.664364 - 0.707107, 0.664364 - 0.894427])
    # Min-max: temporal (1.8 - 1.6) / (2.4 - 1.6) = .25; drop (.894427 - .707107) / .578199.
    assert_close(scores.semantic, [1, 0.6, 0])
    assert_close(scores.temporal, [0, 1, 0.25])
    assert_close(scores.drop, [1, 0.323972, 0])
    # Eq. 1 with (.6, .1, .3): .6 + .3; .36 + .1 + .097192; .025.
    assert_close(scores.total, [0.9, 0.557192, 0.025])


def test_worked_example_with_text_guided_pooling() -> None:
    # t = (1, 0), f1 = (1, 0), f2 = f3 = (0, 1). A temperature of 1 / ln 3 gives the attention
    # 3 : 1 : 1, so v = (3, 2) / sqrt(13). Without f1: (0, 1), cos 0. Without f2 or f3 the
    # attention is 3 : 1 and v = (3, 1) / sqrt(10).
    config = ScoreConfig(pooling="text", temperature=1 / math.log(3))
    scores = score(frames_of([[1, 0], [0, 1], [0, 1]]), text_of([1, 0]), config)
    assert_close(scores.temporal_raw, [3 / 13**0.5, 2 / 13**0.5, 2 / 13**0.5])
    rest = 3 / 13**0.5 - 3 / 10**0.5
    assert_close(scores.drop_raw, [3 / 13**0.5, rest, rest])


def cosine(a: Array, b: Array) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def pooled(frames: list[Array], text: Array, config: ScoreConfig) -> Array:
    """The video embedding of these frames and no others."""
    if config.pooling == "mean":
        return np.asarray(np.mean(frames, axis=0))
    attention = np.array([math.exp(cosine(f, text) / config.temperature) for f in frames])
    return np.asarray(attention @ np.array(frames) / attention.sum())


def read_literally(frames: Array, text: Array, config: ScoreConfig) -> dict[str, list[float]]:
    """Eq. 2-4 as they are printed, one frame after the other, in float64."""
    units = [f / np.linalg.norm(f) for f in frames]
    video = pooled(units, text, config)
    raw: dict[str, list[float]] = {"semantic": [], "temporal": [], "drop": []}
    for i, frame in enumerate(units):
        others = units[:i] + units[i + 1 :]
        raw["semantic"].append(cosine(frame, text))
        raw["temporal"].append(cosine(frame, video))
        raw["drop"].append(cosine(video, text) - cosine(pooled(others, text, config), text))
    return raw


@settings(max_examples=60)
@given(case=cases, config=configs)
def test_closed_form_agrees_with_the_equations_read_literally(
    case: tuple[Array, Array], config: ScoreConfig
) -> None:
    expected = read_literally(*case, config)
    scores = score(frames_of(case[0]), text_of(case[1]), config)
    total = np.zeros(len(scores))
    for name, weight in zip(COMPONENTS, (config.alpha, config.beta, config.gamma), strict=True):
        raw = np.array(expected[name])
        assert_close(getattr(scores, f"{name}_raw"), raw, tolerance=1e-5)
        normalised = (raw - raw.min()) / (raw.max() - raw.min())
        assume(raw.max() - raw.min() > 1e-3)  # below, min-max amplifies the float32 inputs
        assert_close(getattr(scores, name), normalised, tolerance=1e-3)
        total += weight * normalised
    assert_close(scores.total, total, tolerance=1e-3)


def test_attention_on_one_frame_leaves_the_others_their_own_drop() -> None:
    # At temperature .005 the first frame has all attention but e^-80: sum_j a_j f_j - a_1 f_1 is
    # rounding noise there, so the video without it must be pooled afresh from the others.
    config = ScoreConfig(pooling="text", temperature=0.005)
    frames = np.array([[0.6, 0.8, 0.0], [0.1, 0.0, 0.995], [0.2, 0.98, 0.0]])
    text = np.array([1.0, 0.0, 0.0])
    expected = read_literally(frames, text, config)["drop"]
    assert expected[0] > 0.39
    assert_close(score(frames_of(frames), text_of(text), config).drop_raw, expected, tolerance=1e-6)


@settings(max_examples=40)
@given(case=cases, config=configs, seed=st.integers(0, 99))
def test_the_order_of_frames_permutes_the_scores(
    case: tuple[Array, Array], config: ScoreConfig, seed: int
) -> None:
    order = np.random.default_rng(seed).permutation(len(case[0]))
    straight = score(frames_of(case[0]), text_of(case[1]), config)
    shuffled = score(frames_of(case[0][order]), text_of(case[1]), config)
    for name in (*COMPONENTS, "total"):
        assert_close(getattr(shuffled, name), getattr(straight, name).numpy()[order])


@settings(max_examples=40)
@given(case=cases, config=configs, scale=st.floats(1e-3, 1e3), seed=st.integers(0, 99))
def test_the_length_of_vectors_does_not_matter(
    case: tuple[Array, Array], config: ScoreConfig, scale: float, seed: int
) -> None:
    lengths = np.random.default_rng(seed).uniform(0.5, 2.0, size=(len(case[0]), 1))
    unit = score(frames_of(case[0]), text_of(case[1]), config)
    scaled = score(frames_of(case[0] * lengths * scale), text_of(case[1] / scale), config)
    assert_same_scores(unit, scaled)


@settings(max_examples=40)
@given(case=cases, config=configs, seed=st.integers(0, 99))
def test_a_rotation_of_the_space_does_not_matter(
    case: tuple[Array, Array], config: ScoreConfig, seed: int
) -> None:
    rotation = np.linalg.qr(np.random.default_rng(seed).normal(size=(6, 6))).Q
    straight = score(frames_of(case[0]), text_of(case[1]), config)
    rotated = score(frames_of(case[0] @ rotation), text_of(case[1] @ rotation), config)
    assert_same_scores(straight, rotated, tolerance=1e-3)


@settings(max_examples=40)
@given(case=cases, config=configs)
def test_scores_are_fractions_and_the_total_is_their_weighted_sum(
    case: tuple[Array, Array], config: ScoreConfig
) -> None:
    scores = score(frames_of(case[0]), text_of(case[1]), config)
    parts = [getattr(scores, name) for name in COMPONENTS]
    for part in parts:
        assert float(part.min()) == 0
        assert float(part.max()) == 1
    assert_close(scores.total, 0.6 * parts[0] + 0.1 * parts[1] + 0.3 * parts[2])
    assert 0 <= float(scores.total.min()) <= float(scores.total.max()) <= 1


@settings(max_examples=40)
@given(case=cases, config=configs)
def test_duplicates_score_alike_to_the_last_bit(
    case: tuple[Array, Array], config: ScoreConfig
) -> None:
    scores = score(frames_of(np.concatenate([case[0], case[0]])), text_of(case[1]), config)
    n = len(case[0])
    for name in (*COMPONENTS, "total"):
        assert torch.equal(getattr(scores, name)[:n], getattr(scores, name)[n:])


@pytest.mark.parametrize("config", [MEAN, TEXT, ScoreConfig(pooling="text")])
@pytest.mark.parametrize("n", [2, 3, 50, 1000])
def test_noise_on_identical_frames_is_not_stretched(n: int, config: ScoreConfig) -> None:
    rng = np.random.default_rng(n)
    frame = rng.normal(size=64)
    frame /= np.linalg.norm(frame)
    noise = 1e-7 * rng.normal(size=(n, 64))  # what float32 leaves of an encoder's rounding
    scores = score(frames_of(frame + noise), text_of(rng.normal(size=64)), config)
    for name in (*COMPONENTS, "total"):
        assert torch.equal(getattr(scores, name), torch.zeros(n)), name


def test_small_differences_in_a_long_video_are_not_noise() -> None:
    # The drop impact shrinks with 1 / T: here its spread is below the noise of a single cosine.
    rng = np.random.default_rng(0)
    frames = rng.normal(size=64) + 0.02 * rng.normal(size=(5000, 64))
    scores = score(frames_of(frames), text_of(rng.normal(size=64)))
    assert float(scores.drop_raw.max() - scores.drop_raw.min()) < 1e-5
    assert float(scores.drop.max()) == 1


def test_a_lone_frame_scores_zero_and_keeps_its_cosines() -> None:
    for config in (MEAN, TEXT):
        scores = score(frames_of([[0.6, 0.8]]), text_of([1, 0]), config)
        assert_close(scores.total, [0])
        assert_close(scores.semantic_raw, [0.6])
        assert_close(scores.temporal_raw, [1])
        assert_close(scores.drop_raw, [0.6])  # a video without frames has cosine 0


def test_two_frames_are_equally_representative() -> None:
    # cos(f1, f1 + f2) = cos(f2, f1 + f2); only rounding tells them apart.
    for seed in range(20):
        frames, text = random_case(seed, 2)
        scores = score(frames_of(frames), text_of(text))
        assert_close(scores.temporal, [0, 0])
        assert sorted(scores.drop.tolist()) == [0, 1]


def test_without_a_frame_whose_others_cancel_the_video_has_no_direction() -> None:
    # f2 = -f1, so that leaving f3 out leaves nothing: cos(v^(-3), t) = 0, not rounding noise.
    one = torch.nn.functional.normalize(torch.tensor([0.3, 0.5, -0.2]), dim=0)
    scores = score(frames_of(torch.stack([one, -one, torch.eye(3)[0]])), text_of([1, 0, 0]))
    assert_close(scores.drop_raw[2], 1.0)
    all_cancel = score(frames_of(torch.stack([one, -one])), text_of([1, 0, 0]))
    assert_close(all_cancel.temporal_raw, [0, 0])
    assert bool(torch.isfinite(all_cancel.total).all())


def test_a_frame_like_the_text_ranks_first() -> None:
    frames, text = random_case(3, 9)
    frames[4] = text
    scores = score(frames_of(frames), text_of(text))
    assert int(scores.total.argmax()) == 4


@pytest.mark.parametrize(
    ("frames", "text", "message"),
    [
        (frames_of(torch.empty(0, 2)), text_of([1, 0]), "no frames"),
        (frames_of([[1, 0]]), text_of([1, 0, 0]), r"must be \(2,\).*got \(3,\)"),
        (frames_of([[1, 0]]), text_of([[1, 0]]), r"must be \(2,\).*got \(1, 2\)"),
        (frames_of([[1, 0]]), text_of([1, 0], model="other"), "'m'.*'other'.*one encoder"),
        (frames_of([[1, 0], [math.nan, 0]]), text_of([1, 0]), "frames.vectors.*1 of 2.*row 1"),
        (frames_of([[1, 0], [math.inf, 0]]), text_of([1, 0]), "frames.vectors.*1 of 2.*row 1"),
        (frames_of([[1, 0], [0, 0]]), text_of([1, 0]), "frames.vectors holds a row of zeros"),
        (frames_of([[1, 0]]), text_of([math.nan, 0]), "text.vector must be finite"),
        (frames_of([[1, 0]]), text_of([0, 0]), "text.vector holds a row of zeros"),
    ],
)
def test_what_cannot_be_scored_is_one_clear_line(
    frames: Embeddings, text: TextEmbedding, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        score(frames, text)
    assert "\n" not in str(caught.value)


@pytest.mark.gpu
@pytest.mark.parametrize("config", [MEAN, TEXT])
def test_a_gpu_gives_the_same_scores(config: ScoreConfig) -> None:
    frames, text = frames_of(random_case(0, 500, 64)[0]), text_of(random_case(0, 500, 64)[1])
    on_gpu = Embeddings(frames.vectors.cuda(), frames.indices, frames.pts_seconds, frames.model)
    there = score(on_gpu, text, config)
    here = score(frames, text, config)
    for name in (*COMPONENTS, "total"):
        assert_close(getattr(there, name).cpu(), getattr(here, name))
