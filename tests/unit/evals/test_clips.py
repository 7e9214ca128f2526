"""The evaluation of clips: its figures by hand, and its control on two videos of colours."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from evals.clips.metrics import ClipFigures, judge_clips
from evals.clips.protocol import EQUAL, OTHER, OWN, ClipsEvaluation
from evals.harness.bench import Setup
from evals.harness.cells import Cell
from keyscore_plugin import Clips, SamplerConfig
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo
from tests.support.colour_encoder import WORDS, ColourEncoder
from tests.support.colour_judge import ColourJudge


def clips(*rows: tuple[float, float, float, int]) -> Clips:
    """Clips of a start, an end, a weight and a priority each."""
    return Clips.from_intervals(
        [start for start, _, _, _ in rows],
        [end for _, end, _, _ in rows],
        weights=[weight for _, _, weight, _ in rows],
        priorities=[priority for _, _, _, priority in rows],
        end_seconds=100,
        origin="scored",
    )


NEEDLE = Needle("a cat", spans=((10.0, 20.0),))
TWICE = Needle("a cat", spans=((10.0, 20.0), (50.0, 60.0)))


@pytest.mark.parametrize(
    ("rows", "needle", "expected"),
    [
        ([(10, 20, 1, 1)], NEEDLE, ClipFigures(1, 1, 1, 1, 1, 0.1)),
        ([(0, 100, 1, 1)], NEEDLE, ClipFigures(0.1, 1, 0.1, 0, 0, 1)),
        ([(30, 40, 1, 1)], NEEDLE, ClipFigures(0, 0, 0, 0, 0, 0.1)),
        ([(15, 25, 1, 1)], NEEDLE, ClipFigures(0.5, 0.5, 5 / 15, 1, 0, 0.1)),
        # The first clip is the one of the better priority, then of the larger weight.
        ([(10, 20, 1, 2), (30, 40, 1, 1)], NEEDLE, ClipFigures(0.5, 1, 0.5, 0, 0, 0.2)),
        ([(10, 20, 2, 1), (30, 40, 1, 1)], NEEDLE, ClipFigures(0.5, 1, 0.5, 1, 1, 0.2)),
        ([(50, 60, 1, 1)], TWICE, ClipFigures(1, 0.5, 0.5, 1, 1, 0.1)),
    ],
)
def test_figures_agree_with_a_table_worked_by_hand(
    rows: list[tuple[float, float, float, int]], needle: Needle, expected: ClipFigures
) -> None:
    assert judge_clips(clips(*rows), needle, duration_seconds=100) == expected


def write(path: Path, *colours: str) -> NeedleVideo:
    """A video of 4 s of each colour, and a query for each."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for colour in colours:
            for _ in range(40):
                pixels = 20 + 200 * np.array(WORDS[colour]) + noise.integers(-15, 15, (48, 64, 3))
                frame = av.VideoFrame.from_ndarray(pixels.astype(np.uint8), format="rgb24")
                container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    spans = [((4.0 * place, 4.0 * place + 4),) for place in range(len(colours))]
    return NeedleVideo(path, tuple(map(Needle, colours, spans)))


def test_the_control_asks_what_the_video_does_not_show(tmp_path: Path) -> None:
    videos = [
        write(tmp_path / "one.mp4", "red", "green", "red"),
        write(tmp_path / "two.mp4", "blue", "white", "blue"),
    ]
    evaluation = ClipsEvaluation("own", videos)
    cells = tuple(Cell(name, num_frames=4) for name in ("uniform", "clips", "kframes"))
    setup = Setup(
        cells,
        SamplerConfig(),
        encoder_asked=ColourEncoder(),
        captioner_asked=ColourJudge(),
        device="cpu",
    )
    records = {}
    for unit in evaluation.units:
        with setup.open(unit.video) as bench:
            records[unit.id] = evaluation.measure(unit, bench, cells)
    rows = {
        (row.labels["sampler"], row.labels["variant"]): {
            name: figure.value for name, figure in row.figures.items()
        }
        for row in evaluation.rows(records, cells)
    }
    asked = [(name, one) for name in ("clips", "kframes") for one in (OWN, EQUAL, OTHER)]
    assert set(rows) == {("uniform", OWN), *asked}
    assert set(rows["uniform", OWN]) == {"hit", "1 s", "2 s", "5 s", "seconds", "tokens"}
    assert rows["clips", OWN]["seconds"] > rows["uniform", OWN]["seconds"] > 0
    own = rows["clips", OWN]
    # The first and the last scene are alike: both are clips of either query, and one comes first.
    assert (own["hit"], own["fallback"]) == (1, 0)
    assert own["R@1 .5"] == pytest.approx(2 / 3)
    assert own["clip recall"] == pytest.approx(1, abs=0.1)
    assert own["clip precision"] == pytest.approx(2 / 3, abs=0.1)
    assert rows["clips", OTHER]["clip IoU"] < own["clip IoU"]
    judged = rows["kframes", OWN]
    assert (judged["hit"], judged["fallback"]) == (1, 0)
    assert judged["clip recall"] == pytest.approx(1, abs=0.1)
