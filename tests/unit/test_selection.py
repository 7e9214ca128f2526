"""Selection: exactly k, thresholds, and what coverage promises."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from keyscore_plugin.config import Policy, SelectConfig
from keyscore_plugin.selection import select

policies = st.sampled_from(["coverage", "top"])


@settings(deadline=None, max_examples=60)
@given(n=st.integers(1, 40), k=st.integers(1, 50), seed=st.integers(0, 99), policy=policies)
def test_exactly_k_unique_rising_rows(n: int, k: int, seed: int, policy: Policy) -> None:
    generator = torch.Generator().manual_seed(seed)
    scores = torch.rand(n, generator=generator)
    times = torch.rand(n, generator=generator).cumsum(0)
    rows = select(scores, times, num_frames=k, config=SelectConfig(policy=policy))
    assert rows.dtype == torch.int64
    assert len(rows) == min(k, n)
    assert bool((rows.diff() > 0).all())
    assert 0 <= int(rows[0]) <= int(rows[-1]) < n
