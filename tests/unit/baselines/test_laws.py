"""The laws every published rule keeps, on any scores and embeddings."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin.baselines.adaq import AdaqSettings, adaq
from keyscore_plugin.baselines.aks import AksSettings, aks
from keyscore_plugin.baselines.bolt import BoltSettings, bolt
from keyscore_plugin.baselines.focus import FocusSettings, focus
from keyscore_plugin.baselines.gift import GiftSettings, gift
from keyscore_plugin.baselines.katna import KatnaSettings
from keyscore_plugin.baselines.maxinfo import MaxInfoSettings, maxinfo
from keyscore_plugin.baselines.mdp3 import Mdp3Settings, mdp3
from keyscore_plugin.baselines.qframe import QFrameSettings, qframe
from keyscore_plugin.baselines.random_frames import RandomSettings, random_rows
from keyscore_plugin.baselines.segments import SegmentsSettings, segments
from keyscore_plugin.baselines.wfs_sb import WfsSbSettings, wfs_sb
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.pad_selection import pad_by_score

Rule = Callable[[Tensor, Tensor, int], Tensor]


def _focus(scores: Tensor, vectors: Tensor, k: int) -> Tensor:
    return focus(
        lambda rows: scores[rows],
        torch.arange(len(scores)) / 2,
        num_frames=k,
        duration_seconds=len(scores) / 2,
        settings=FocusSettings(),
    ).rows


def _aks(scores: Tensor, vectors: Tensor, k: int) -> Tensor:
    return pad_by_score(aks(scores, num_frames=k, settings=AksSettings()), scores, k)


def _mdp3(scores: Tensor, vectors: Tensor, k: int) -> Tensor:
    return mdp3(vectors, vectors[scores.argmax()], num_frames=k, settings=Mdp3Settings()).rows


def _adaq(scores: Tensor, vectors: Tensor, k: int) -> Tensor:
    return pad_by_score(adaq(scores, num_frames=k, settings=AdaqSettings()), scores, k)


RULES: dict[str, Rule] = {
    "adaq": _adaq,
    "aks": _aks,
    "bolt": lambda scores, vectors, k: bolt(scores, num_frames=k, settings=BoltSettings()),
    "focus": _focus,
    "gift": lambda scores, vectors, k: gift(scores, vectors, num_frames=k, settings=GiftSettings()),
    "maxinfo": lambda scores, vectors, k: (
        maxinfo(vectors, num_frames=k, settings=MaxInfoSettings()).rows
    ),
    "mdp3": _mdp3,
    "qframe": lambda scores, vectors, k: qframe(scores, num_frames=k, settings=QFrameSettings()),
    "random": lambda scores, vectors, k: random_rows(
        len(scores), num_frames=k, settings=RandomSettings()
    ),
    "segments": lambda scores, vectors, k: segments(
        scores, vectors, num_frames=k, settings=SegmentsSettings()
    ),
    "wfs-sb": lambda scores, vectors, k: (
        wfs_sb(scores, vectors, num_frames=k, settings=WfsSbSettings()).rows
    ),
}


def scored_frames(n: int, seed: int, n_kinds: int) -> tuple[Tensor, Tensor]:
    """Scores and unit embeddings of n frames, of which at most ``n_kinds`` differ."""
    generator = torch.Generator().manual_seed(seed)
    kinds = torch.randint(n_kinds, (n,), generator=generator)
    scores = torch.rand(n_kinds, generator=generator)[kinds]
    vectors = torch.randn(n_kinds, 6, generator=generator)[kinds]
    return scores, torch.nn.functional.normalize(vectors, dim=1)


@pytest.mark.parametrize("name", RULES)
@given(
    n=st.integers(1, 90),
    k=st.integers(1, 100),
    seed=st.integers(0, 99),
    n_kinds=st.sampled_from([1, 2, 5, 1000]),
)
@settings(max_examples=30)
def test_exactly_the_budget_of_different_rows(
    name: str, n: int, k: int, seed: int, n_kinds: int
) -> None:
    rows = RULES[name](*scored_frames(n, seed, n_kinds), k).tolist()
    assert len(rows) == min(k, n)
    assert rows == sorted(set(rows))
    assert set(rows) <= set(range(n))


@pytest.mark.parametrize("name", RULES)
def test_the_global_generator_neither_matters_nor_moves(name: str) -> None:
    scores, vectors = scored_frames(80, 3, 1000)
    answers = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        answers.append(RULES[name](scores, vectors, 8).tolist())
        assert torch.equal(torch.get_rng_state(), before)
    assert answers[0] == answers[1]


@pytest.mark.parametrize("name", ["adaq", "aks", "bolt", "focus", "gift", "segments", "wfs-sb"])
@given(seed=st.integers(0, 99), k=st.integers(1, 40))
@settings(max_examples=20)
def test_the_scale_of_the_scores_does_not_matter(name: str, seed: int, k: int) -> None:
    scores, vectors = scored_frames(70, seed, 1000)
    scores = scores.double()
    again = RULES[name](scores / 4 + 0.125, vectors, k)  # powers of two: exact
    assert RULES[name](scores, vectors, k).tolist() == again.tolist()


@pytest.mark.parametrize("name", ["qframe", "random"])
def test_another_seed_draws_other_frames(name: str) -> None:
    scores = torch.zeros(200)

    def draw(seed: int) -> Tensor:
        if name == "random":
            return random_rows(200, num_frames=8, settings=RandomSettings(seed))
        return qframe(scores, num_frames=8, settings=QFrameSettings(seed=seed))

    assert len({tuple(draw(seed).tolist()) for seed in range(20)}) == 20


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: AksSettings(max_depth=-1), "AksSettings: max_depth -1 is not a number in"),
        (lambda: BoltSettings(power=float("nan")), "BoltSettings: power nan"),
        (lambda: QFrameSettings(temperature=0), "QFrameSettings: temperature 0"),
        (lambda: Mdp3Settings(trade_off=0), "Mdp3Settings: trade_off 0"),
        (lambda: FocusSettings(top_share=1.5), "FocusSettings: top_share 1.5"),
        (lambda: WfsSbSettings(relevance=2), "WfsSbSettings: relevance 2"),
        (lambda: MaxInfoSettings(rank=0), "MaxInfoSettings: rank 0"),
        (lambda: KatnaSettings(entropy_step=0), "KatnaSettings: entropy_step 0"),
    ],
)
def test_a_setting_out_of_range_is_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
