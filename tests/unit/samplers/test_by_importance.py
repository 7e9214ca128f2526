"""Importance in place of a text, on videos whose true importance is known: it is their colour."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

from evals.summaries.training import Example, Recipe, fit
from keyscore_plugin import HeadCard, HeadShape, get_sampler, head_scores, save_head
from keyscore_plugin.captioners.windows import load_window_reader
from tests.support.colour_encoder import ColourEncoder
from tests.support.colour_judge import COLOURS, ColourJudge
from tests.support.importance import language_model_folder

CPU = torch.device("cpu")
WORTH = {"red": 0.0, "green": 1.0, "blue": 0.5}
SHAPE = HeadShape(d_in=32, width=32, layers=1, heads=2, feed_forward=32, hidden=(16,), dropout=0.0)
WINDOW = 3
READING = {"reading": "windows", "answer": "none", "window": WINDOW}
N_FRAMES = 24  # two a second, each colour for three frames


def colours_of(seed: int) -> list[str]:
    stretches = np.random.default_rng(seed).integers(0, len(COLOURS), N_FRAMES // 3)
    return [COLOURS[row] for row in stretches.repeat(3)]


def trained_head(folder: Path, seeds: range) -> Path:
    """A head that was trained on videos of these seeds."""
    reader = load_window_reader(language_model_folder(), CPU, window=WINDOW)
    times = torch.arange(N_FRAMES).double() / 2
    examples = [
        Example(
            f"video_{seed}",
            reader.embed(colours_of(seed)),
            times,
            torch.tensor([WORTH[colour] for colour in colours_of(seed)]),
        )
        for seed in seeds
    ]

    def close(head: Any) -> float:
        found = [head_scores(head, one.embeddings, times) - one.targets for one in examples]
        return -float(torch.cat(found).square().mean())

    recipe = Recipe(rate=5e-3, epochs=40, period=40, accumulate=2, clip=1.0)
    fitted = fit(SHAPE, examples, recipe, judge=close, seed=0, device=CPU)
    card = HeadCard(shape=SHAPE, model="tiny", captioner="colour-words", embedding=READING)
    return save_head(fitted.head, folder, card)


def compare(folder: Path, *, n_train: int = 4, n_test: int = 20) -> dict[str, float]:
    """Mean Kendall's tau of scores and true importance, on videos that no head was trained on."""
    llmvs = {"model": language_model_folder(), "window": WINDOW}
    head = {**llmvs, "head": str(trained_head(folder, range(n_train)))}
    forms: dict[str, tuple[str, dict[str, Any]]] = {
        "generated caption": ("keyscore", {}),
        "importance, no head": ("keyscore", {"guide": "importance", "llmvs": llmvs}),
        "importance, head": ("keyscore", {"guide": "importance", "llmvs": head}),
        "llmvs, head": ("llmvs", {"llmvs": head}),
    }
    found: dict[str, float] = {}
    for name, (sampler, config) in forms.items():
        choose = get_sampler(
            sampler, config=config, encoder=ColourEncoder(), captioner=ColourJudge(), device="cpu"
        )
        taus = []
        for seed in range(n_train, n_train + n_test):
            colours = colours_of(seed)
            pixels = np.zeros((N_FRAMES, 48, 64, 3), dtype=np.uint8)
            for row, colour in enumerate(colours):
                pixels[row, ..., COLOURS.index(colour)] = 200
            curves = choose(pixels, num_frames=4, fps=2).curves
            worth = [WORTH[colours[frame.index]] for frame in curves]
            taus.append(kendalltau([frame.total for frame in curves], worth).statistic)
        found[name] = float(np.mean(taus))
    return found


@pytest.mark.slow
def test_importance_that_was_learned_ranks_frames_where_a_generated_caption_does_not(
    tmp_path: Path,
) -> None:
    found = compare(tmp_path)
    assert min(found["importance, head"], found["llmvs, head"]) > 0.6
    assert max(found["generated caption"], found["importance, no head"]) < 0.2


if __name__ == "__main__":
    import tempfile

    for name, tau in compare(Path(tempfile.mkdtemp())).items():
        print(f"{name:22s} {tau:5.2f}")
