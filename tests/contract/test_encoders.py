"""What every encoder promises, over all that are there."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from keyscore_plugin.encoders import Encoder, load_encoder
from keyscore_plugin.errors import InputError
from keyscore_plugin.registries import OPEN_CLIP_PREFIX
from keyscore_plugin.types import Frames
from tests.support.requires import require_or_skip
from tests.support.tiny.encoders import SAVE, SAVE_QWEN
from tests.support.tiny.open_clip import SAVE_OPEN_CLIP

HF = {**SAVE, **SAVE_QWEN}
ENCODERS = ("conse", *HF, *(OPEN_CLIP_PREFIX + name for name in SAVE_OPEN_CLIP))


@pytest.fixture(scope="module", params=ENCODERS)
def encoder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    name: str = request.param
    if name.startswith(OPEN_CLIP_PREFIX):
        require_or_skip("open_clip")
        folder = tmp_path_factory.mktemp("open_clip")
        SAVE_OPEN_CLIP[name.removeprefix(OPEN_CLIP_PREFIX)](folder)
        name = f"{OPEN_CLIP_PREFIX}{folder}"
    if name in HF:
        folder = tmp_path_factory.mktemp(name)
        HF[name](folder)
        name = str(folder)
    return load_encoder(name, device="cpu")


def _frames(n: int, *, height: int = 60, width: int = 90) -> Frames:
    """Smooth random colours: pictures that differ, with other indices and times than 0, 1, 2."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(n, 3, 4, 6, generator=generator) * 255
    smooth = torch.nn.functional.interpolate(coarse, (height, width), mode="bilinear")
    pixels = smooth.permute(0, 2, 3, 1).to(torch.uint8)
    return Frames(pixels, torch.arange(n) * 7 + 3, torch.arange(n) / 3 + 0.25)


def test_encoder_satisfies_the_protocol(encoder: Encoder) -> None:
    assert isinstance(encoder, Encoder)
    assert encoder.device == torch.device("cpu")
    assert encoder.short_side >= 16


def test_frames_become_unit_vectors_with_their_own_indices_and_times(encoder: Encoder) -> None:
    frames = _frames(5)
    embeddings = encoder.encode_frames(frames)
    assert embeddings.vectors.dtype == torch.float32
    torch.testing.assert_close(embeddings.vectors.norm(dim=1), torch.ones(5))
    assert embeddings.indices.tolist() == frames.indices.tolist()
    assert embeddings.pts_seconds.tolist() == frames.pts_seconds.tolist()
    assert embeddings.model == encoder.name


def test_text_becomes_a_unit_vector_of_the_same_space(encoder: Encoder) -> None:
    text = encoder.encode_text("a photo of the red cat")
    assert text.vector.shape == encoder.encode_frames(_frames(1)).vectors.shape[1:]
    assert text.vector.dtype == torch.float32
    torch.testing.assert_close(text.vector.norm(), torch.tensor(1.0))
    assert text.model == encoder.name
    assert text.n_tokens_cut == 0


def test_threads_get_the_vectors_of_their_own_texts(encoder: Encoder) -> None:
    """A tokenizer of transformers keeps the length of the text it was last called for."""
    texts = ["a dog", "b" * 60, "a cat and a dog", "dogs " * 40] * 40
    wanted = {text: encoder.encode_text(text) for text in set(texts)}
    with ThreadPoolExecutor(4) as pool:
        for text, found in zip(texts, pool.map(encoder.encode_text, texts), strict=True):
            assert torch.equal(found.vector, wanted[text].vector)
            assert found.n_tokens == wanted[text].n_tokens


def test_order_of_frames_is_kept(encoder: Encoder) -> None:
    frames = _frames(5)
    reversed_pixels = Frames(frames.pixels.flip(0), frames.indices, frames.pts_seconds)
    there = encoder.encode_frames(frames).vectors
    back = encoder.encode_frames(reversed_pixels).vectors.flip(0)
    torch.testing.assert_close(there, back, atol=1e-5, rtol=0)
    assert not torch.allclose(there[0], there[1], atol=1e-3)


def test_no_bit_of_a_vector_depends_on_the_other_frames(encoder: Encoder) -> None:
    """The index keeps the vector of a frame that was embedded together with any others."""
    frames = _frames(19)
    together = encoder.encode_frames(frames).vectors
    for rows in ([0], [11], [18], [3, 4, 17], [1, 2, 5, 6, 9, 10, 12, 13, 14, 15, 16]):
        alone = encoder.encode_frames(frames[rows]).vectors
        assert torch.equal(alone, together[rows])


@pytest.mark.slow
def test_nor_does_one_where_the_processor_has_no_avx_512() -> None:
    """There, MKL multiplies the last rows of a batch in another way than the others."""
    law = f"{__file__}::{test_no_bit_of_a_vector_depends_on_the_other_frames.__name__}[clip]"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", law],
        env=os.environ | {"MKL_ENABLE_INSTRUCTIONS": "AVX2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_same_input_gives_the_same_bits(encoder: Encoder) -> None:
    frames = _frames(5)
    first, second = (encoder.encode_frames(frames).vectors for _ in range(2))
    assert torch.equal(first, second)
    first_text, second_text = (encoder.encode_text("a red dog").vector for _ in range(2))
    assert torch.equal(first_text, second_text)


@pytest.mark.parametrize("size", [(16, 200), (200, 16), (1, 1), (33, 47)])
def test_frames_of_any_shape_are_embedded(encoder: Encoder, size: tuple[int, int]) -> None:
    height, width = size
    vectors = encoder.encode_frames(_frames(2, height=height, width=width)).vectors
    assert vectors.isfinite().all()


def test_text_of_ten_thousand_words_is_cut_and_counted(encoder: Encoder) -> None:
    text = encoder.encode_text("red cat " * 5_000)
    assert text.n_tokens >= 10_000
    assert text.n_tokens_cut == text.n_tokens - text.max_tokens > 9_000
    assert text.vector.isfinite().all()


def test_what_is_cut_is_what_lies_beyond_the_limit(encoder: Encoder) -> None:
    long = "red cat " * encoder.encode_text("a").max_tokens
    plain, longer = encoder.encode_text(long).vector, encoder.encode_text(long + "blue dog").vector
    assert torch.equal(plain, longer)
    assert not torch.allclose(plain, encoder.encode_text("blue dog " + long).vector, atol=1e-4)


@pytest.mark.parametrize("text", ["", "  \n"])
def test_empty_text_is_refused(encoder: Encoder, text: str) -> None:
    with pytest.raises(InputError, match=r"text to encode is empty.*give a caption"):
        encoder.encode_text(text)


def test_text_that_is_no_unicode_is_refused(encoder: Encoder) -> None:
    """As bytes on a command line that are no UTF-8 reach Python."""
    with pytest.raises(InputError, match=r"character 3 of the text .* no Unicode"):
        encoder.encode_text("a \udcff dog")


def test_no_frames_are_refused(encoder: Encoder) -> None:
    with pytest.raises(InputError, match="no frames to encode"):
        encoder.encode_frames(_frames(1)[[]])


def test_loading_twice_gives_the_same_vectors(encoder: Encoder) -> None:
    again = load_encoder(encoder.name, device="cpu")
    text = "a photo of the dog"
    assert torch.equal(again.encode_text(text).vector, encoder.encode_text(text).vector)
