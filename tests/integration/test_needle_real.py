"""evals.needle on real frames through the real encoder.

What is expected is worked out in seconds from the frames that the product's own call chooses;
nothing of evals.needle is used for it.
"""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from evals.harness.cache import CachedEncoder
from evals.needle.__main__ import main
from keyscore_plugin import get_sampler
from keyscore_plugin.encoders import load_encoder
from tests.support.real_clips import find, write_clip

pytestmark = pytest.mark.slow

SHOTS = ["tabby cat", "off-road car", "strawberries"]
SAMPLERS = ("uniform", "topk", "keyscore")
BUDGET = 2
SECONDS = 2  # of each shot


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One video, a query for each of its shots, in the format of QVHighlights."""
    folder = tmp_path_factory.mktemp("needle")
    write_clip(folder / "videos" / "joined.mp4", SHOTS, seconds=SECONDS)
    lines = [
        {
            "qid": number,
            "vid": "joined",
            "query": find(words).caption,
            "relevant_windows": [[SECONDS * number, SECONDS * (number + 1)]],
        }
        for number, words in enumerate(SHOTS)
    ]
    (folder / "highlight_val_release.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


@pytest.fixture(scope="module")
def rows(root: Path) -> list[dict[str, Any]]:
    arguments = [
        *("--dataset=qvhighlights", f"--root={root}", f"--out={root / 'out'}"),
        *(f"--sampler={','.join(SAMPLERS)}", f"--num-frames={BUDGET}"),
        *("--encoder=conse", "--device=cpu"),
    ]
    assert main(arguments) == 0
    found: list[dict[str, Any]] = json.loads((root / "out" / "result.json").read_text())["rows"]
    return found


def by_hand(times: Sequence[float], first: float, last: float) -> dict[str, float]:
    """What frames at these times show of the shot between two others."""
    inside = [first <= time < last for time in times]
    middles = [first + 0.25, first + 0.75, first + 1.25, first + 1.75]
    near = [any(abs(time - middle) <= 1 for time in times) for middle in middles]
    return {
        "precision": sum(inside) / len(times),
        "hit": float(any(inside)),
        "1 s": sum(near) / len(middles),
    }


def figures_of(rows: Sequence[dict[str, Any]], sampler: str) -> dict[str, float]:
    (row,) = (row for row in rows if row["labels"]["sampler"] == sampler)
    assert row["n"] == len(SHOTS)
    return {name: figure["value"] for name, figure in row["figures"].items()}


def test_every_figure_is_that_of_the_frames_the_product_chose(
    root: Path, rows: list[dict[str, Any]]
) -> None:
    # All queries are of one video, whose frames need not be embedded for each anew.
    encoder = CachedEncoder(partial(load_encoder, "conse", device="cpu"))
    for name in SAMPLERS:
        sampler = get_sampler(name, encoder=encoder, device="cpu")
        judged = []
        for number, words in enumerate(SHOTS):
            video, caption = root / "videos" / "joined.mp4", find(words).caption
            chosen = sampler(video, num_frames=BUDGET, caption=caption).pts_seconds
            assert len(chosen) == BUDGET
            judged.append(by_hand(chosen, SECONDS * number, SECONDS * (number + 1)))
        figures = figures_of(rows, name)
        for figure in ("precision", "hit", "1 s"):
            mean = sum(one[figure] for one in judged) / len(judged)
            assert figures[figure] == pytest.approx(mean), (name, figure)


def test_a_sampler_that_reads_finds_no_fewer_shots_than_one_that_does_not(
    rows: list[dict[str, Any]],
) -> None:
    # Two even frames of three shots lie in the first and in the last.
    uniform = figures_of(rows, "uniform")
    assert uniform["hit"] == pytest.approx(2 / 3)
    assert uniform["precision"] == pytest.approx(1 / 3)
    keyscore = figures_of(rows, "keyscore")
    assert keyscore["hit"] >= uniform["hit"]
    assert keyscore["precision"] >= uniform["precision"]
