"""Training LLMVS's head: it learns what captions say, and what dishonest checkpoints buy."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from scipy.stats import kendalltau
from torch import Tensor

from evals.summaries.embeddings import (
    Embedded,
    read_embedded,
    read_embeddings,
    read_targets,
    shuffled,
)
from evals.summaries.h5 import Annotation, read_h5
from evals.summaries.training import Example, Recipe, divide, fit
from keyscore_plugin import HeadShape, ImportanceHead, head_scores
from keyscore_plugin.captioners.windows import WindowReader
from keyscore_plugin.errors import InputError
from tests.support.summary_files import Video, write_h5
from tests.support.tiny.llama import language_model

SHAPE = HeadShape(
    d_in=32, width=32, layers=1, heads=2, feed_forward=32, hidden=(32, 16), dropout=0.0
)
RECIPE = Recipe(rate=5e-3, epochs=40, period=40, accumulate=2, clip=1.0)
WORDS = ("Nothing.", "A man sits.", "A man runs!", "He scores a goal!!")
CPU = torch.device("cpu")


def tau(head: ImportanceHead, one: Example) -> float:
    scores = head_scores(head, one.embeddings, one.pts_seconds).numpy()
    return float(np.nan_to_num(kendalltau(scores, one.targets.numpy()).statistic))


def mean_tau(examples: list[Example], head: ImportanceHead) -> float:
    return float(np.mean([tau(head, one) for one in examples]))


@pytest.fixture(scope="module")
def videos() -> dict[str, tuple[Embedded, Tensor]]:
    """Four videos whose captions, read alone, say how important a frame is."""
    reader = WindowReader(*language_model(positions=8192, chats=True), window=1)
    rng = np.random.default_rng(0)
    found = {}
    for number in range(4):
        level = rng.integers(0, len(WORDS), 24)
        embeddings = reader.embed([WORDS[row] for row in level])
        times = torch.arange(24).double() / 2
        targets = torch.from_numpy(level / 3).float()
        found[f"video_{number}"] = Embedded(embeddings, times, {}), targets
    return found


def examples_of(videos: dict[str, Embedded], targets: dict[str, Tensor]) -> list[Example]:
    return [
        Example(key, one.embeddings, one.pts_seconds, targets[key]) for key, one in videos.items()
    ]


@pytest.mark.slow
def test_what_captions_say_is_learned_and_shuffled_captions_say_nothing(
    videos: dict[str, tuple[Embedded, Tensor]],
) -> None:
    targets = {key: target for key, (_, target) in videos.items()}
    own = {key: one for key, (one, _) in videos.items()}
    found = []
    for embedded in (own, shuffled(own, seed=1)):
        examples = examples_of(embedded, targets)
        fitted = fit(SHAPE, examples, RECIPE, judge=partial(mean_tau, examples), seed=0, device=CPU)
        assert mean_tau(examples, fitted.head) == pytest.approx(fitted.value)
        found.append(fitted.value)
    assert found[0] > 0.9
    assert found[1] < 0.5


def noise(n: int, seed: int) -> list[Example]:
    """Videos whose targets are random and have nothing to do with their embeddings."""
    random = torch.Generator().manual_seed(seed)
    return [
        Example(
            f"video_{row}",
            torch.randn(20, 32, generator=random),
            torch.arange(20).double(),
            torch.rand(20, generator=random),
        )
        for row in range(n)
    ]


def dishonesty(*, seeds: int, n: int = 5, n_test: int = 2, epochs: int = 15) -> tuple[float, float]:
    """Mean test tau on random targets: checkpoint chosen on training videos, and on the test's.

    Both choose from the epochs of the same training.
    """
    recipe = replace(RECIPE, epochs=epochs)
    found = []
    for seed in range(seeds):
        videos = noise(n, seed)
        test = videos[:n_test]
        learned, held = divide(videos[n_test:], recipe, seed=seed)
        looks: list[float] = []

        def judge(
            head: ImportanceHead,
            test: list[Example] = test,
            held: list[Example] = held,
            looks: list[float] = looks,
        ) -> float:
            looks.append(mean_tau(test, head))
            return mean_tau(held, head)

        fitted = fit(SHAPE, learned, recipe, judge=judge, seed=seed, device=CPU)
        found.append((looks[fitted.epoch - 1], max(looks)))
    honest, published = np.mean(found, axis=0).tolist()
    return honest, published


@pytest.mark.slow
def test_a_checkpoint_chosen_on_the_test_videos_finds_something_in_random_targets() -> None:
    honest, published = dishonesty(seeds=6)
    assert abs(honest) < 0.15
    assert published > honest + 0.05


def test_one_seed_gives_one_head() -> None:
    recipe = replace(RECIPE, epochs=2)
    shape = replace(SHAPE, dropout=0.1)
    heads = [
        fit(shape, noise(3, 0), recipe, judge=lambda _: 0.0, seed=seed, device=CPU).head
        for seed in (0, 0, 1)
    ]
    first, same, other = (next(head.parameters()) for head in heads)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_the_rate_falls_to_zero_and_rises_again_as_published() -> None:
    recipe = Recipe(rate=1.0, epochs=4, period=2)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe.rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=recipe.period)
    rates = []
    for _ in range(recipe.epochs):
        rates.append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
    assert rates == pytest.approx([1.0, 0.5, 0.0, 0.5])


def test_a_split_divides_every_training_video_once() -> None:
    learned, held = divide(noise(10, 0), RECIPE, seed=3)
    assert len(held) == 2
    assert {one.key for one in (*learned, *held)} == {f"video_{row}" for row in range(10)}
    with pytest.raises(InputError, match="trains on 1 videos; it needs two or more"):
        divide(noise(1, 0), RECIPE, seed=0)


def test_embeddings_that_are_not_finite_are_named() -> None:
    examples = noise(2, 0)
    examples[1].embeddings[3, 4] = torch.nan
    with pytest.raises(InputError, match="loss is not finite; look for NaN in the embeddings"):
        fit(SHAPE, examples, RECIPE, judge=lambda _: 0.0, seed=0, device=CPU)
    with pytest.raises(InputError, match="a recipe needs"):
        replace(RECIPE, epochs=0)


@pytest.fixture
def annotations(tmp_path: Path) -> dict[str, Annotation]:
    path = write_h5(tmp_path / "truth.h5", {"video_1": Video.random(90, n_users=15, seed=0)})
    return read_h5(path, n_users=range(15, 16))


def h5(path: Path, **datasets: Any) -> Path:
    values = {"features": np.ones((6, 4)), "picks": np.arange(0, 90, 15), "gtscore": np.ones(6)}
    with h5py.File(path, "w") as file:
        for name, value in (values | datasets).items():
            if value is not None:
                file[f"video_1/{name}"] = value
    return path


def test_embeddings_come_from_an_h5_file_of_the_published_layout(
    tmp_path: Path, annotations: dict[str, Annotation]
) -> None:
    path = h5(tmp_path / "own.h5", features=np.arange(24.0).reshape(6, 4))
    (found,) = read_embeddings(path, annotations).values()
    assert found.embeddings.tolist() == np.arange(24.0).reshape(6, 4).tolist()
    assert found.pts_seconds.tolist() == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]
    assert read_targets(path, annotations)["video_1"].tolist() == [1.0] * 6


NAN = np.array([1.0, np.nan, 1.0, 1.0, 1.0, 1.0])


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ({"picks": None}, r"has no dataset 'video_1/picks'; each video needs features and picks"),
        ({"features": None}, "has no dataset 'video_1/features'"),
        ({"picks": np.arange(6)}, "6 picks that are not the 6 of the annotations; make"),
        ({"features": np.ones((5, 4))}, r"shape \(5, 4\) or values that are not finite"),
        ({"features": np.outer(NAN, np.ones(4))}, "values that are not finite; expected a row"),
        ({"gtscore": NAN}, "1 values that are not finite; expected 6 finite numbers"),
        ({"gtscore": None}, "has no dataset 'video_1/gtscore'"),
        ({"gtscore": np.ones(5)}, r"gtscore of video_1 has shape \(5,\)"),
    ],
)
def test_what_is_missing_in_an_h5_file_is_one_line(
    datasets: dict[str, Any], message: str, tmp_path: Path, annotations: dict[str, Annotation]
) -> None:
    path = h5(tmp_path / "bad.h5", **datasets)

    def read() -> None:
        read_embeddings(path, annotations)
        read_targets(path, annotations)

    with pytest.raises(InputError, match=message) as caught:
        read()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) <= 400


def test_half_written_embeddings_are_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "video_1.safetensors"
    path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{half")
    with pytest.raises(InputError, match=r"cannot be read .* delete it and run the same command"):
        read_embedded(path, 6)
