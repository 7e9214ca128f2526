"""Encoders of OpenCLIP against OpenCLIP by hand; loading by name, and its errors."""

import json
import os
import pickle
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from keyscore_plugin._runtime.hub import OPEN_CLIP
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.cli.listing import entries
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.encoders.open_clip import OpenClipEncoder
from keyscore_plugin.encoders.registry import encoder_weights
from keyscore_plugin.errors import MissingDependencyError, ModelError
from keyscore_plugin.registries import OPEN_CLIP_PREFIX
from keyscore_plugin.types import Frames, Reading
from tests.support.fake_hub import COMMIT, hub_of
from tests.support.half_precision import assert_half_scores_as_whole
from tests.support.requires import require_or_skip
from tests.support.tiny.encoders import TEXT_TOKENS
from tests.support.tiny.open_clip import PE_PICTURES, SAVE_OPEN_CLIP, open_clip

PE = "timm/PE-Core-bigG-14-448"  # as the READMEs name it
WEIGHTS = OPEN_CLIP.weights[0]


@pytest.fixture(autouse=True)
def _installed() -> None:
    require_or_skip("open_clip")


@pytest.fixture(scope="module", params=SAVE_OPEN_CLIP)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_or_skip("open_clip")
    made = tmp_path_factory.mktemp(request.param)
    SAVE_OPEN_CLIP[request.param](made)
    return made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    (tmp_path / "clip").mkdir()
    SAVE_OPEN_CLIP["clip"](tmp_path / "clip")
    return tmp_path / "clip"


def _load(folder: Path) -> OpenClipEncoder:
    encoder = load_encoder(f"{OPEN_CLIP_PREFIX}{folder}", device="cpu")
    assert isinstance(encoder, OpenClipEncoder)
    return encoder


def _frames(n: int, height: int = 50, width: int = 71) -> Frames:
    coarse = torch.rand(n, 3, 5, 7, generator=torch.Generator().manual_seed(0)) * 255
    smooth = F.interpolate(coarse, (height, width), mode="bilinear").permute(0, 2, 3, 1)
    return Frames(smooth.to(torch.uint8), torch.arange(n), torch.arange(n) / 2)


@pytest.mark.parametrize("shape", [(50, 71), (71, 50), (20, 24)])
def test_frames_are_those_of_open_clip_by_hand(folder: Path, shape: tuple[int, int]) -> None:
    model, preprocess = open_clip().create_model_from_pretrained(f"local-dir:{folder}")
    frames = _frames(3, *shape)
    pictures = [preprocess(Image.fromarray(pixels.numpy())) for pixels in frames.pixels]
    with torch.inference_mode():
        expected = model.eval().encode_image(torch.stack(pictures), normalize=True)
    actual = _load(folder).encode_frames(frames).vectors
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_texts_are_those_of_open_clip_by_hand(folder: Path) -> None:
    model, _ = open_clip().create_model_from_pretrained(f"local-dir:{folder}")
    tokenizer = open_clip().get_tokenizer(f"local-dir:{folder}")
    text = "A photo of the red cat!"
    with torch.inference_mode():
        expected = model.eval().encode_text(tokenizer([text]), normalize=True)[0]
    actual = _load(folder).encode_text(text)
    torch.testing.assert_close(actual.vector, expected, atol=1e-5, rtol=0)
    assert actual.max_tokens == TEXT_TOKENS


@pytest.mark.parametrize(("name", "marks"), [("clip", 2), ("pe", 2)])
def test_tokens_are_counted_before_they_are_cut(name: str, marks: int, tmp_path: Path) -> None:
    SAVE_OPEN_CLIP[name](tmp_path)
    encoder = _load(tmp_path)
    for n_words in (1, 29, 30, 31, 500):
        text = encoder.encode_text("cat " * n_words)  # a word that is one token of CLIP's
        assert text.n_tokens == n_words + marks
        assert text.n_tokens_cut == max(0, n_words + marks - TEXT_TOKENS)


def test_tokens_of_a_tokenizer_of_transformers_are_counted_as_it_reads_them(tmp_path: Path) -> None:
    SAVE_OPEN_CLIP["siglip"](tmp_path)
    # A token a letter, punctuation taken out, and a mark at the end.
    assert _load(tmp_path).encode_text("a cat,   a dog!").n_tokens == len("a cat a dog") + 1


@pytest.mark.parametrize("name", ["clip", "siglip"])
def test_words_that_it_cannot_read_are_listed(name: str, tmp_path: Path) -> None:
    SAVE_OPEN_CLIP[name](tmp_path)
    assert _load(tmp_path).encode_text("a cat, 狗").reading == Reading(3, ("狗",))


def test_the_model_of_the_paper_is_built_as_the_one_that_is_tested(tmp_path: Path) -> None:
    """All but sizes is OpenCLIP's own configuration, and the id is the one it publishes."""
    SAVE_OPEN_CLIP["pe"](tmp_path)
    published = open_clip().get_model_config("PE-Core-bigG-14-448")
    tested = json.loads((tmp_path / OPEN_CLIP.config).read_text())["model_cfg"]
    assert tested.keys() == published.keys()
    assert tested["vision_cfg"].keys() == published["vision_cfg"].keys()
    assert published["vision_cfg"]["timm_model_name"].startswith("vit_pe_core_")
    (tag,) = open_clip().list_pretrained_tags_by_model("PE-Core-bigG-14-448")
    weights = open_clip().get_pretrained_cfg("PE-Core-bigG-14-448", tag)
    assert weights["hf_hub"].rstrip("/") == PE
    assert {name: list(weights[name]) for name in ("mean", "std")} == {
        name: PE_PICTURES[name] for name in ("mean", "std")
    }
    assert (weights["interpolation"], weights["resize_mode"]) == ("bilinear", "squash")


def test_half_precision_gives_the_same_scores(folder: Path) -> None:
    whole, half = (
        OpenClipEncoder(str(folder), torch.device("cpu"), local_files_only=True, dtype=dtype)
        for dtype in (torch.float32, torch.float16)
    )
    assert_half_scores_as_whole(half, whole, _frames(12), atol=3e-3)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_scores_in_half_precision(folder: Path) -> None:
    frames = _frames(300)  # more than a batch
    here, there = (
        load_encoder(f"{OPEN_CLIP_PREFIX}{folder}", device=device) for device in ("cpu", "cuda")
    )
    by_gpu, by_cpu = (
        score(encoder.encode_frames(given), encoder.encode_text("a red cat"))
        for encoder, given in ((there, frames.to("cuda")), (here, frames))
    )
    torch.testing.assert_close(by_gpu.semantic_raw.cpu(), by_cpu.semantic_raw, atol=5e-3, rtol=0)


def test_numbers_that_are_not_finite_are_an_error_and_no_ranking(clip: Path) -> None:
    encoder = _load(clip)
    encoder._model.visual.proj.data.fill_(float("inf"))
    with pytest.raises(ModelError, match=r"not finite in torch.float32; give device='cpu'"):
        encoder.encode_frames(_frames(1))


def test_a_model_of_the_local_cache_is_loaded_and_no_hub_asked(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    name = f"{OPEN_CLIP_PREFIX}some-lab/some-clip"
    assert encoder_weights(name) is None
    with pytest.raises(ModelError, match=r"no OpenCLIP encoder .* HF_HUB_OFFLINE is set; use"):
        load_encoder(name, device="cpu")
    cached = tmp_path / "hub" / "models--some-lab--some-clip"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("a" * 40)
    shutil.copytree(clip, cached / "snapshots" / ("a" * 40))
    encoder = load_encoder(name, device="cpu")
    assert encoder.name == name
    assert encoder_weights(name) == "a" * 40
    expected = _load(clip).encode_frames(_frames(2)).vectors
    assert torch.equal(encoder.encode_frames(_frames(2)).vectors, expected)


def _use_hub(address: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name, value in {
        "HF_HUB_CACHE": str(cache),
        "HF_HUB_OFFLINE": False,
        "ENDPOINT": address,
        "HUGGINGFACE_CO_URL_TEMPLATE": address + "/{repo_id}/resolve/{revision}/{filename}",
    }.items():
        monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)


def test_a_model_of_a_hub_is_fetched_once_and_nothing_of_it_that_is_not_read(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip / "open_clip_pytorch_model.bin").write_bytes(b"a pickle")
    (clip / "README.md").write_text("words")
    with hub_of("some-lab/some-clip", clip) as (address, sent):
        _use_hub(address, tmp_path / "hub", monkeypatch)
        vectors = [
            load_encoder(f"{OPEN_CLIP_PREFIX}some-lab/some-clip", device="cpu").encode_frames(
                _frames(2)
            )
            for _ in range(2)
        ]
        assert sorted(sent) == sorted([OPEN_CLIP.config, WEIGHTS])
    assert torch.equal(vectors[0].vectors, vectors[1].vectors)
    assert encoder_weights(f"{OPEN_CLIP_PREFIX}some-lab/some-clip") == COMMIT


def test_a_model_that_a_hub_has_not_as_safetensors_is_one_line(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clip / WEIGHTS).rename(clip / "open_clip_pytorch_model.bin")
    with hub_of("some-lab/some-clip", clip) as (address, sent):
        _use_hub(address, tmp_path / "hub", monkeypatch)
        with pytest.raises(ModelError, match=f"'open_clip:some-lab/.* it has no {WEIGHTS}"):
            load_encoder(f"{OPEN_CLIP_PREFIX}some-lab/some-clip", device="cpu")
        assert sent == [OPEN_CLIP.config]


def test_a_folder_is_another_one_when_it_is_saved_again(clip: Path) -> None:
    before = encoder_weights(f"{OPEN_CLIP_PREFIX}{clip}")
    assert before is not None
    os.utime(clip / WEIGHTS, ns=(1, 1))
    assert encoder_weights(f"{OPEN_CLIP_PREFIX}{clip}") not in (None, before)


@pytest.mark.parametrize(
    ("tower", "part", "name"),
    [
        ("text_cfg", "hf_model_name", "some-lab/some-bert"),
        ("vision_cfg", "timm_model_name", "hf-hub:some-lab/some-vit"),
        ("vision_cfg", "timm_model_name", "hf_hub:some-lab/some-vit"),
    ],
)
def test_no_hub_is_asked_for_what_a_folder_is_built_on(
    tower: str, part: str, name: str, clip: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given = json.loads((clip / OPEN_CLIP.config).read_text())
    given["model_cfg"][tower][part] = name
    (clip / OPEN_CLIP.config).write_text(json.dumps(given))
    asked: list[str] = []

    def refuse(host: str, *_: object, **__: object) -> None:
        asked.append(host)
        raise OSError("no network")

    monkeypatch.setattr("socket.getaddrinfo", refuse)
    _use_hub("http://some-hub.test", tmp_path / "hub", monkeypatch)
    with pytest.raises(ModelError, match=f"names {name!r}, which is not a folder") as error:
        _load(clip)
    assert "\n" not in str(error.value)
    assert asked == []


@pytest.mark.parametrize("model", ["", "a b", "one/two/three", "/no/such/folder", "a" * 300])
def test_name_that_can_be_no_model_is_refused(model: str) -> None:
    with pytest.raises(ModelError, match="neither a folder nor a model id"):
        load_encoder(OPEN_CLIP_PREFIX + model, device="cpu")


def _without_config(folder: Path) -> None:
    (folder / OPEN_CLIP.config).unlink()


def _without_weights(folder: Path) -> None:
    (folder / WEIGHTS).unlink()


def _config_that_is_no_json(folder: Path) -> None:
    (folder / OPEN_CLIP.config).write_text("{")


def _config_of_something_else(folder: Path) -> None:
    (folder / OPEN_CLIP.config).write_text('{"model_cfg": {"vision_cfg": {}}}')


def _tokenizer_that_cuts_at_random(folder: Path) -> None:
    given = json.loads((folder / OPEN_CLIP.config).read_text())
    given["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"reduction_mask": "random"}
    (folder / OPEN_CLIP.config).write_text(json.dumps(given))


def _weights_that_are_noise(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes(b"\xff" * 1000)


def _weights_of_another_size(folder: Path) -> None:
    given = json.loads((folder / OPEN_CLIP.config).read_text())
    given["model_cfg"]["embed_dim"] = 16
    (folder / OPEN_CLIP.config).write_text(json.dumps(given))


def _patches_of_no_size(folder: Path) -> None:
    given = json.loads((folder / OPEN_CLIP.config).read_text())
    given["model_cfg"]["vision_cfg"]["patch_size"] = 0
    (folder / OPEN_CLIP.config).write_text(json.dumps(given))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_without_config, f"it has no {OPEN_CLIP.config}"),
        (_without_weights, f"it has no {WEIGHTS}"),
        (_config_that_is_no_json, "config"),
        (_config_of_something_else, "text_cfg"),
        (_tokenizer_that_cuts_at_random, "reduction_mask"),
        (_patches_of_no_size, "by zero"),
        (_weights_that_are_noise, "header"),
        (_weights_of_another_size, "state_dict"),
    ],
)
def test_folder_that_is_no_model_is_one_line_that_says_why(
    clip: Path, damage: Callable[[Path], None], reason: str
) -> None:
    damage(clip)
    with pytest.raises(ModelError, match=rf"cannot load the encoder .*{reason}") as error:
        _load(clip)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("or use encoder='conse'")


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("interpolation", "lanczos", "its interpolation is 'lanczos', not one of"),
        ("interpolation", [], r"its interpolation is \[\], not one of"),
        ("resize_mode", "fit", "its resize_mode is 'fit', not one of"),
        ("mean", [0.5, 0.5], r"its mean is \[0.5, 0.5\], not three numbers"),
        ("mean", "0.5", "its mean is '0.5', not three numbers"),
        ("mean", [0.5, float("nan"), 0.5], "not three numbers"),
        ("std", [0, 0, 0], r"its std is \[0, 0, 0\], not three positive numbers"),
        ("std", [0.5, 0.5, -0.5], "not three positive numbers"),
    ],
)
def test_pictures_that_cannot_be_prepared_are_one_line_that_says_why(
    clip: Path, name: str, value: object, reason: str
) -> None:
    given = json.loads((clip / OPEN_CLIP.config).read_text())
    given["preprocess_cfg"][name] = value
    (clip / OPEN_CLIP.config).write_text(json.dumps(given))
    with pytest.raises(ModelError, match=rf"cannot load the encoder .*{reason}") as error:
        _load(clip)
    assert "\n" not in str(error.value)
    assert str(error.value).endswith("or use encoder='conse'")


class _Evil:
    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self._path),)


def test_weights_that_are_a_pickle_are_never_read(clip: Path, tmp_path: Path) -> None:
    evil: Any = _Evil(tmp_path / "it-ran")
    (clip / "open_clip_pytorch_model.bin").write_bytes(pickle.dumps(evil, protocol=2))
    assert _load(clip).encode_text("a cat").vector.isfinite().all()
    (clip / WEIGHTS).unlink()
    with pytest.raises(ModelError, match=f"it has no {WEIGHTS}"):
        _load(clip)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("asked", [{}, {"trust_remote_code": True}])
def test_code_that_comes_with_a_tokenizer_is_never_run(
    asked: dict[str, bool], tmp_path: Path
) -> None:
    SAVE_OPEN_CLIP["siglip"](tmp_path)
    (tmp_path / "trap.py").write_text(f"import os; os.mkdir({str(tmp_path / 'it-ran')!r})\n")
    given = json.loads((tmp_path / OPEN_CLIP.config).read_text())
    given["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = asked
    (tmp_path / OPEN_CLIP.config).write_text(json.dumps(given))
    described = json.loads((tmp_path / "tokenizer_config.json").read_text())
    described |= {"tokenizer_class": "Trap", "auto_map": {"AutoTokenizer": ["trap.Trap", None]}}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(described))
    with pytest.raises(ModelError, match=r"trust_remote_code|custom code|executed") as error:
        _load(tmp_path)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "it-ran").exists()


def test_a_torchvision_that_does_not_load_is_named_and_listed(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A torchvision of PyPI with a CPU torch, with which OpenCLIP cannot be imported."""
    broken = tmp_path / "site" / "torchvision"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(str(broken.parent))
    for name in [name for name in sys.modules if name.split(".")[0] == "torchvision"]:
        monkeypatch.delitem(sys.modules, name)
    reason = r"^torchvision is installed but does not load \(operator nms .* --no-deps torchvision"
    with pytest.raises(MissingDependencyError, match=reason):
        _load(clip)
    listed = {entry.name: entry.problem for entry in entries(check=True) if entry.kind == "encoder"}
    assert listed.pop("conse") is None
    assert {name: text for name, text in listed.items() if not re.match(reason, text or "")} == {}


def test_package_that_is_not_installed_is_named(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(MissingDependencyError, match=r"open_clip is not installed.*\[open-clip\]"):
        _load(clip)
