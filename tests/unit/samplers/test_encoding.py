"""Embedding while decoding goes on gives the bits of embedding afterwards, in bounded blocks."""

import threading
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin.config import EncodeConfig, GridConfig, SamplerConfig
from keyscore_plugin.errors import InputError
from keyscore_plugin.samplers.base import get_sampler
from keyscore_plugin.samplers.encoding import encode_in_blocks, encode_rows, join_embeddings
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.samplers.topk import TopKSampler
from keyscore_plugin.types import Embeddings, Frames
from keyscore_plugin.video.base import CheckedVideo
from keyscore_plugin.video.decoders.pyav import PyAVSource
from keyscore_plugin.video.source import open_video
from tests.support.clips import Clip
from tests.support.colour_encoder import ColourEncoder
from tests.support.requires import require_or_skip

PATIENCE = 5.0  # seconds after which a thread that should have moved counts as stuck
BLOCK = 60
EVERY_FRAME = SamplerConfig(grid=GridConfig(sample_fps=25))


class BlockEncoder(ColourEncoder):
    """Its vectors tell which frames shared a call, as those of a real network do."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[list[int]] = []
        self.started = threading.Event()

    def encode_frames(self, frames: Frames) -> Embeddings:
        self.started.set()
        self.calls.append(frames.indices.tolist())
        plain = super().encode_frames(frames)
        together = plain.vectors + 1e-6 * frames.pixels.float().mean().to(self.device)
        progress.advance("encode", len(frames), len(frames))
        return Embeddings(together, plain.indices, plain.pts_seconds, plain.model)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Clip("long_enough.mp4", n_frames=150).write(tmp_path_factory.mktemp("encoding"))


def numbered(n: int) -> Frames:
    pixels = (torch.arange(n) % 256).to(torch.uint8)[:, None, None, None].expand(n, 2, 2, 3)
    return Frames(pixels.contiguous(), torch.arange(n), torch.arange(n).double())


@given(st.lists(st.integers(1, 100), min_size=1, max_size=6))
def test_the_same_frames_share_a_call_however_they_come(lengths: list[int]) -> None:
    frames = numbered(sum(lengths))
    ends = list(accumulate(lengths))
    batches = [frames[end - length : end] for end, length in zip(ends, lengths, strict=True)]
    encoder, at_once = BlockEncoder(), BlockEncoder()
    embedded = join_embeddings(encode_in_blocks(batches, encoder, n_most=len(frames)))
    assert encoder.calls == [block.tolist() for block in torch.split(frames.indices, BLOCK)]
    expected = join_embeddings(encode_in_blocks([frames], at_once, n_most=len(frames)))
    assert embedded.vectors.equal(expected.vectors)
    assert embedded.indices.equal(frames.indices)


@pytest.mark.parametrize("decoder", ["pyav", "decord", "torchcodec"])
def test_embedding_while_decoding_gives_the_bits_of_embedding_afterwards(
    decoder: str, clip: Path
) -> None:
    require_or_skip({"pyav": "av"}.get(decoder, decoder))
    while_decoding, afterwards = BlockEncoder(), BlockEncoder()
    with open_video(clip, decoder) as source:
        run = TopKSampler(EVERY_FRAME, encoder=while_decoding).run_on(source, SelectionRequest())
        _, frames = run.look_and_encode(EVERY_FRAME)
        grid = run.look(EVERY_FRAME.grid, device=torch.device("cpu"))
    later = encode_rows(grid, torch.arange(len(grid)), afterwards)
    assert frames.vectors.equal(later.vectors)
    assert frames.indices.tolist() == list(range(150))
    assert while_decoding.calls == afterwards.calls


@pytest.mark.parametrize("name", ["topk", "mdp3", "maxinfo"])
def test_the_encoder_begins_before_the_decoder_ends(
    name: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = BlockEncoder()
    decoded = PyAVSource.thumbnails

    def the_last_batch_waits(source: PyAVSource, grid: Tensor, short_side: int) -> Iterator[Frames]:
        *batches, last = decoded(source, grid, short_side=short_side)
        yield from batches
        assert encoder.started.wait(PATIENCE), "nothing was embedded before the last batch came"
        yield last

    monkeypatch.setattr(PyAVSource, "thumbnails", the_last_batch_waits)
    sampler = get_sampler(name, config=EVERY_FRAME, encoder=encoder)
    assert len(sampler(clip, num_frames=4, caption="red")) == 4


def test_progress_of_the_blocks_counts_on(clip: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    with progress.listening(lambda *said: heard.append(said)):
        sampler = get_sampler("topk", config=EVERY_FRAME, encoder=BlockEncoder())
        sampler(clip, num_frames=4, caption="red")
    encoded = [(done, total) for stage, done, total in heard if stage == "encode"]
    assert encoded == [(60, 150), (120, 150), (150, 150)]
    decoded = [done for stage, done, _ in heard if stage == "decode"]
    assert decoded == sorted(decoded)
    assert decoded[-1] == 150


def test_no_more_is_decoded_than_may_be_embedded(clip: Path) -> None:
    config = SamplerConfig(grid=GridConfig(sample_fps=25), encode=EncodeConfig(max_encoded=20))
    encoder = BlockEncoder()
    selection = get_sampler("topk", config=config, encoder=encoder)(
        clip, num_frames=4, caption="red"
    )
    assert selection.n_grid == encoder.n_encoded == 20


def test_the_bounds_are_those_of_the_video_where_few_of_its_frames_are_embedded() -> None:
    """Colours that come again and again, so that the embedded frames would lie anywhere."""
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (12, 3), dtype=np.uint8)[rng.integers(0, 12, 60)]
    pixels = np.repeat(colours, 10, axis=0)[:, None, None].repeat(16, 1).repeat(16, 2)
    config: dict[str, Any] = {"encode": {"max_encoded": 64}}
    promised = {"select": {"max_gap_seconds": 30}}
    near = get_sampler("keyscore", encoder=ColourEncoder(), config=config)
    kept = get_sampler("keyscore", encoder=ColourEncoder(), config=config | promised)
    for sampler, num_frames, seconds in ((near, 96, 5.0), (kept, 24, 15.0)):
        times = sampler(pixels, fps=1, num_frames=num_frames, caption="red").pts_seconds
        gaps = np.diff([-seconds, *times, 600 + seconds])
        assert gaps.max() <= 2 * seconds + 1e-6


@pytest.mark.parametrize("name", ["keyscore", "topk", "focus"])
def test_without_a_text_nothing_is_decoded(
    name: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(CheckedVideo, "thumbnails")
    with pytest.raises(InputError, match="no text to score"):
        get_sampler(name, encoder=ColourEncoder())(clip, num_frames=4)
