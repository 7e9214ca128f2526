"""What ranks amount to: by hand, and medians by numpy over what the bootstrap draws."""

import numpy as np
import pytest
from scipy.stats import bootstrap as scipy_bootstrap

from evals.harness.figures import Figure
from evals.retrieval.table import frame_figures, rank_figures


def test_figures_of_ranks_by_hand() -> None:
    # Video 0 has ranks 1, 6 and 11, video 1 has 2, video 2 has 1 and 30.
    ranks = np.array([1, 6, 2, 1, 11, 30])
    video = np.array([0, 0, 1, 2, 0, 2])
    figures = rank_figures(ranks, video, seed=0)
    values = {name: figure.value for name, figure in figures.items()}
    assert values == pytest.approx(
        {
            "R@1": 100 * 2 / 6,
            "R@5": 100 * 3 / 6,
            "R@10": 100 * 4 / 6,
            "MedR": (2 + 6) / 2,
            "MeanR": 51 / 6,
        }
    )


def test_intervals_resample_videos_with_all_their_captions() -> None:
    # Two videos, one always right and one never: a draw of two has 0, 50 or 100 percent right,
    # however many captions say so.
    ranks = np.repeat([1, 100], 500)
    figures = rank_figures(ranks, np.repeat([0, 1], 500), seed=0)
    assert figures["R@1"] == Figure(50.0, 0.0, 100.0)
    assert figures["MedR"] == Figure(50.5, 1.0, 100.0)


def test_intervals_agree_with_scipy() -> None:
    ranks = np.random.default_rng(5).integers(1, 40, 200)
    figures = rank_figures(ranks, np.arange(200), seed=0)
    for name, statistic in (("MedR", np.median), ("MeanR", np.mean)):
        theirs = scipy_bootstrap(
            (ranks,), statistic, n_resamples=2000, method="percentile", rng=1
        ).confidence_interval
        spread = theirs.high - theirs.low
        assert figures[name].value == statistic(ranks)
        assert figures[name].low == pytest.approx(theirs.low, abs=spread / 4)
        assert figures[name].high == pytest.approx(theirs.high, abs=spread / 4)


def test_frame_figures_by_hand() -> None:
    figures = frame_figures(np.array([2.0, 4.0, 3.0]), np.array([100.0, 300.0, 200.0]), seed=0)
    values = {name: figure.value for name, figure in figures.items()}
    assert values == pytest.approx({"ASF": 3.0, "FRR-UFP": 1 - 3 / 8, "FRR-Avg": 1 - 3 / 200})


def test_the_papers_own_reduction_rates_follow_from_its_frames() -> None:
    # Sec. 4.1.4: 2.5 frames of 408 on MSR-VTT are FRR-UFP = 0.69 and FRR-Avg = 0.99.
    figures = frame_figures(np.array([2.0, 3.0]), np.array([408.0, 408.0]), seed=0)
    assert round(figures["FRR-UFP"].value, 2) == 0.69
    assert round(figures["FRR-Avg"].value, 2) == 0.99
