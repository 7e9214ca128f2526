"""What is written in the picture: where it is, and which frames are read for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont

from keyscore_plugin import Selection, get_sampler, open_video
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.samplers.channels import LineSources
from keyscore_plugin.samplers.grid import ThumbnailStore
from keyscore_plugin.samplers.written import frames_to_read
from keyscore_plugin.timed_texts.lines import Lines
from keyscore_plugin.types import Frames, TextEmbedding
from keyscore_plugin.video.samples import sample_video
from keyscore_plugin.video.trim import TrimmedVideo
from tests.support.colour_encoder import ColourEncoder
from tests.support.requires import require_or_skip

SAYS = "the sign says platform nine"


class AnyWord(ColourEncoder):
    """Reads every text as "white"."""

    def encode_text(self, text: str) -> TextEmbedding:
        return super().encode_text("white")


def traffic_with_a_sign(row: int) -> np.ndarray[Any, Any]:
    """Six pictures of traffic, one of them with a sign."""
    with open_video(sample_video("bikes")) as source:
        pixels = source.read(range(0, 144, 24)).pixels.numpy().copy()
    picture = Image.fromarray(pixels[row])
    draw = ImageDraw.Draw(picture)
    draw.rectangle((20, 20, 260, 90), fill=(20, 40, 120))
    draw.text((30, 26), "PLATFORM\nNINE", font=ImageFont.load_default(24), fill="white")
    pixels[row] = np.asarray(picture)
    return pixels


@pytest.mark.slow
def test_the_moment_in_which_a_thing_is_written_is_chosen() -> None:
    require_or_skip("rapidocr")
    pixels = traffic_with_a_sign(4)

    def choose(*, written: bool) -> Selection:
        sampler = get_sampler("topk", encoder=AnyWord(), config={"written": written})
        return sampler(pixels, fps=1, num_frames=1, question=SAYS)

    assert choose(written=False).indices != [4]
    selection = choose(written=True)
    assert selection.indices == [4]
    assert [text.origin for text in selection.texts] == ["given", "written"]


def test_lines_are_kept_for_the_same_look_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another stream, decoder, device, end of the part or size of thumbnails reads them again."""
    read: list[ThumbnailStore] = []

    def written(grid: ThumbnailStore, *_: object) -> Lines:
        read.append(grid)
        return Lines()

    monkeypatch.setattr("keyscore_plugin.samplers.channels.written_in", written)

    @contextmanager
    def decode(*_: object, **__: object) -> Iterator[Iterator[Frames]]:
        yield iter(())

    def n_read(
        n_frames: int = 100, side: int = 8, device: str = "cpu", stream: int = 0, by: str = "pyav"
    ) -> int:
        with open_video(sample_video("bikes")) as source:
            part = TrimmedVideo(source, 0, n_frames - 1)
            part.facts = replace(part.facts, stream=stream, decoder=by)
            grid = ThumbnailStore(1)
            pixels = torch.zeros((1, side, side, 3), dtype=torch.uint8)
            grid.append(Frames(pixels, torch.zeros(1).long(), torch.zeros(1).double()))
            config = SamplerConfig(written=True)
            LineSources(part, grid, config, decode, torch.device(device)).written()
        return len(read)

    assert (n_read(), n_read()) == (1, 1)
    assert [n_read(n_frames=90), n_read(side=16), n_read(device="meta")] == [2, 3, 4]
    assert [n_read(stream=1), n_read(by="another"), n_read()] == [5, 6, 6]


def test_frames_are_read_that_differ_from_the_last_one_that_was() -> None:
    pixels = torch.zeros((9, 32, 32, 3), dtype=torch.uint8)
    pixels[3:7, 4:6, 4:6] = 40  # a corner of one tile
    pixels[5, 20, 20] = 20  # too little in its tile
    grid = ThumbnailStore(9)
    grid.append(Frames(pixels, torch.arange(9), torch.arange(9).double()))
    rows, last = frames_to_read(grid)
    assert (rows.tolist(), last.tolist()) == ([0, 3, 7], [2, 6, 8])
