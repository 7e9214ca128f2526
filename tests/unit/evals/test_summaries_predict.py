"""The scores that evals.summaries gives to picks: by a text, or by their importance."""

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from evals.harness.bench import Setup
from evals.harness.cells import make_cells
from evals.harness.figures import Floats
from evals.summaries.predict import predict
from keyscore_plugin.config import SamplerConfig
from tests.support.colour_encoder import ColourEncoder
from tests.support.colour_judge import ColourJudge
from tests.support.importance import language_model_folder

PICKS = np.arange(0, 24, 3)
COLOURS = np.array([[200, 0, 0], [0, 200, 0], [0, 0, 200], [200, 0, 0]], dtype=np.uint8)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("predict") / "colours.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", 6)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for colour in COLOURS.repeat(6, axis=0):
            pixels = np.broadcast_to(colour, (48, 64, 3))
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    return path


def scores(video: Path, samplers: str, **config: Any) -> dict[str, Floats]:
    values = {"llmvs": {"model": language_model_folder(), "window": 1}, **config}
    cells = make_cells(samplers.split(","), [None], [])
    setup = Setup(
        cells,
        SamplerConfig.from_dict(values),
        encoder_asked=ColourEncoder(),
        captioner_asked=ColourJudge(),
        device="cpu",
    )
    with setup.open(video) as bench:
        found = predict(cells, PICKS, bench, caption="red", seed=(0,))
    return {key.partition("@")[0]: values for key, values in found.items()}


def test_with_a_text_the_cosine_ranks(video: Path) -> None:
    found = scores(video, "keyscore:S,topk,uniform")
    assert found["keyscore:S"].tolist() == pytest.approx(found["topk"].tolist())
    assert set(found["topk"].round(2)[[0, 1, 6, 7]]) == {1.0}  # the red picks
    assert set(found["uniform"]) == {1.0}


def test_with_the_guide_importance_stands_in_for_the_cosine(video: Path) -> None:
    found = scores(video, "llmvs,keyscore:S,keyscore", guide="importance")
    assert found["keyscore:S"].tolist() == pytest.approx(found["llmvs"].tolist(), abs=1e-6)
    assert found["keyscore"].tolist() != pytest.approx(found["llmvs"].tolist(), abs=1e-3)
