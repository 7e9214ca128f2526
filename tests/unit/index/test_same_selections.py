"""A selection with an index is bit for bit the one without; the second question decodes nothing."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin import Sampler, Selection, get_sampler, list_samplers, sample_video
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.samplers.within import within
from keyscore_plugin.video.decoders.base import ScannedSource
from tests.support.tiny.encoders import save_clip

# Fewer frames are embedded than the grid has: which ones depends on the text.
CONFIG = {"grid": {"sample_fps": 6}, "encode": {"max_encoded": 13}, "proposal": {"k_max": 6}}
TEXTS = ("a dog on a bike", "two red cars", "a dog on a bike")
NOT_INDEXED = ("iframes", "katna", "katna-fixed", "random", "uniform")
CASES = [(name, "fps") for name in list_samplers() if name not in (*NOT_INDEXED, "kframes")]
CASES += [("keyscore", "keyframes"), ("stacfp", "keyframes"), ("topk", "keyframes")]
CASES += [("clips", "refine"), ("keyscore", "refine"), ("topk", "refine")]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("clip")
    save_clip(folder)
    return str(folder)


@contextmanager
def counted_decodes() -> Iterator[list[int]]:
    """The number of thumbnails that decoders are asked for inside the block."""
    asked: list[int] = []
    real = ScannedSource._thumbnails

    def counting(self: ScannedSource, rows: Any, size: Any) -> Any:
        asked.append(len(rows))
        return real(self, rows, size)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScannedSource, "_thumbnails", counting)
        yield asked


def told(selection: Selection) -> dict[str, Any]:
    """A selection without its times of work."""
    values: dict[str, Any] = json.loads(selection.to_json())
    del values["seconds"]
    return values


def sampler(name: str, encoder: str, grid: str, index: Path | None) -> Sampler:
    config = SamplerConfig.of({**CONFIG, "grid": {**CONFIG["grid"], "kind": grid}})
    return get_sampler(name, config=config, encoder=encoder, device="cpu", index=index)


@pytest.mark.parametrize(("name", "grid"), CASES)
def test_every_question_has_the_selection_it_has_without(
    name: str, grid: str, encoder: str, tmp_path: Path
) -> None:
    plain, indexed = (sampler(name, encoder, grid, index) for index in (None, tmp_path))
    video = sample_video("bikes")
    for text in TEXTS:
        first, second = (one(video, num_frames=3, question=text) for one in (plain, indexed))
        assert told(first) == told(second)
    if grid != "refine":  # whose second look depends on the text
        with counted_decodes() as decoded:
            indexed(video, num_frames=5, question=TEXTS[0])
        assert decoded == []


def test_a_part_of_a_video_is_kept_as_a_part(encoder: str, tmp_path: Path) -> None:
    plain, indexed = (sampler("keyscore", encoder, "fps", index) for index in (None, tmp_path))
    video = sample_video("bikes")
    for start in (0.0, 2.0, 2.0):
        parts = (within(one, start_seconds=start, end_seconds=7.5) for one in (plain, indexed))
        first, second = (part(video, num_frames=3, question=TEXTS[0]) for part in parts)
        assert told(first) == told(second)
    assert len(list(tmp_path.glob("*/*.safetensors"))) == 2
