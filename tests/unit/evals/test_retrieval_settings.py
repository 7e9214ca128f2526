"""Which text may choose, and that vectors survive their record."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from evals.harness.bench import Setup
from evals.harness.cells import Cell
from evals.retrieval.settings import (
    Setting,
    is_query_free,
    require_no_text_decided,
    settings_of,
)
from evals.retrieval.vectors import cosines, pack, unpack
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.registries import SAMPLERS
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.types import ScoredFrame, Selection
from tests.support.selections import SELECTION

SETUP = Setup((), SamplerConfig(), captioner_asked="labels")


@pytest.mark.parametrize("name", SAMPLERS)
def test_a_sampler_without_a_text_is_query_free(name: str) -> None:
    assert is_query_free(Cell(name, 4), SETUP) is not get_sampler(name).needs_text


@pytest.mark.parametrize(
    ("terms", "free"), [("S", False), ("T", True), ("D", False), ("S+T", False), ("T+D", False)]
)
def test_of_the_terms_only_the_temporal_one_reads_no_text(terms: str, free: bool) -> None:
    assert is_query_free(Cell(f"keyscore:{terms}", 4), SETUP) is free


def test_weights_decide_and_not_the_name() -> None:
    config = SamplerConfig.from_dict({"score": {"alpha": 0.0, "beta": 1.0, "gamma": 0.0}})
    assert is_query_free(Cell("keyscore", 4), replace(SETUP, config=config))
    by_text = SamplerConfig.from_dict({"score": {"pooling": "text"}})
    assert not is_query_free(Cell("keyscore:T", 4), replace(SETUP, config=by_text))


def test_a_query_free_cell_is_never_called_a_leak() -> None:
    asked: tuple[Setting, ...] = ("caption", "pair", "leak")
    assert settings_of(Cell("uniform", 4), SETUP, asked) == ("free",)
    assert settings_of(Cell("keyscore:T", 4), SETUP, asked) == ("free",)
    assert settings_of(Cell("keyscore:S", 4), SETUP, ("free", *asked)) == asked


def _selection(*, n_grid: int, n_candidates: int, n_scored: int) -> Selection:
    scored = tuple(ScoredFrame(i, float(i)) for i in range(n_scored))
    return replace(SELECTION, n_grid=n_grid, candidates=scored[:n_candidates], curves=scored)


def test_frames_that_a_text_chose_to_embed_are_refused() -> None:
    cell = Cell("keyscore:T", 1)
    require_no_text_decided(_selection(n_grid=9, n_candidates=3, n_scored=9), cell)  # all
    require_no_text_decided(_selection(n_grid=9, n_candidates=3, n_scored=3), cell)  # the proposals
    with pytest.raises(InputError, match=r'"max_encoded": 9'):
        require_no_text_decided(_selection(n_grid=9, n_candidates=3, n_scored=5), cell)


def test_vectors_come_back_as_the_same_float32() -> None:
    vectors = torch.tensor([[0.1, -1e-30, math.pi], [1.0, 0.0, 5e8]], dtype=torch.float64)
    assert unpack(pack(vectors), 2).tolist() == vectors.float().double().tolist()


@pytest.mark.parametrize("shape", [(3, 7), (13, 5), (61, 33)])
def test_equal_vectors_have_equal_cosines_wherever_they_stand(shape: tuple[int, int]) -> None:
    n_texts, n_videos = shape
    vectors = np.random.default_rng(0).normal(size=(n_videos, 384))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    # A matrix product adds up the rows at its edge in another order.
    similarity = cosines(np.tile(vectors[:1], (n_texts, 1)), vectors)
    assert (similarity == similarity[0]).all()
