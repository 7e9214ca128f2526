"""Encoders of transformers against transformers by hand; loading by name, and its errors."""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from PIL import Image
from torch.nn import functional as F

from keyscore_plugin._runtime.device import resolve_device
from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.encoders.conse.encoder import ConseEncoder
from keyscore_plugin.encoders.hf import HFEncoder
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.registries import AUTO_ENCODER
from keyscore_plugin.samplers.keyscore import KeyScoreSampler
from keyscore_plugin.types import Frames
from tests.support.half_precision import assert_half_scores_as_whole
from tests.support.tiny.encoders import SAVE, SAVE_QWEN, TEXT_TOKENS, image_processor

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module", params=SAVE)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp(request.param)
    SAVE[request.param](made)
    return made


def _frames() -> Frames:
    pixels = torch.randint(
        0, 256, (3, 50, 70, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0)
    )
    return Frames(pixels, torch.arange(3), torch.arange(3.0))


def _smooth_frames(n: int) -> Frames:
    coarse = torch.rand(n, 3, 4, 6, generator=torch.Generator().manual_seed(0)) * 255
    smooth = F.interpolate(coarse, (60, 90), mode="bilinear").permute(0, 2, 3, 1)
    return Frames(smooth.to(torch.uint8), torch.arange(n), torch.arange(n) / 2)


def _pooled(features: Any) -> torch.Tensor:
    pooled: torch.Tensor = getattr(features, "pooler_output", features)
    return F.normalize(pooled, dim=-1)


def test_frames_are_those_of_transformers_by_hand(folder: Path) -> None:
    model: Any = transformers.AutoModel.from_pretrained(folder).eval()
    family = {"clip": "CLIP", "siglip": "Siglip", "siglip2": "Siglip2"}[model.config.model_type]
    processor = image_processor(family).from_pretrained(folder)
    frames = _frames()
    pictures = [Image.fromarray(pixels.numpy()) for pixels in frames.pixels]
    with torch.inference_mode():
        features = model.get_image_features(**processor(images=pictures, return_tensors="pt"))
    actual = load_encoder(str(folder), device="cpu").encode_frames(frames).vectors
    torch.testing.assert_close(actual, _pooled(features), atol=1e-6, rtol=0)


def test_texts_are_those_of_transformers_by_hand(folder: Path) -> None:
    model: Any = transformers.AutoModel.from_pretrained(folder).eval()
    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(folder)
    text = "a photo of the red cat"
    # CLIP reads the text alone; SigLIP was trained on texts padded to the full length.
    padding = {"padding": "max_length", "max_length": TEXT_TOKENS}
    clip = model.config.model_type == "clip"
    inputs = tokenizer(text, return_tensors="pt", **({} if clip else padding))
    with torch.inference_mode():
        expected = _pooled(model.get_text_features(**inputs))[0]
    actual = load_encoder(str(folder), device="cpu").encode_text(text)
    torch.testing.assert_close(actual.vector, expected, atol=1e-6, rtol=0)
    assert actual.max_tokens == TEXT_TOKENS


@pytest.mark.slow
def test_all_encoders_work_where_no_torchvision_is_installed(tmp_path: Path) -> None:
    models = {**SAVE, **SAVE_QWEN}
    for name, save in models.items():
        (tmp_path / name).mkdir()
        save(tmp_path / name)
    script = (
        "import sys; sys.modules['torchvision'] = None\n"  # find_spec and import then see none
        "import torch\n"
        "from keyscore_plugin.encoders import load_encoder\n"
        "from keyscore_plugin.types import Frames\n"
        "pixels = torch.zeros(2, 40, 40, 3, dtype=torch.uint8)\n"
        "frames = Frames(pixels, torch.arange(2), torch.arange(2.0))\n"
        f"for name in ('conse', *{[str(tmp_path / name) for name in models]}):\n"
        "    encoder = load_encoder(name, device='cpu')\n"
        "    width = encoder.encode_frames(frames).vectors.shape[1]\n"
        "    print(encoder.name == 'conse', width, 'transformers' in sys.modules)\n"
    )
    done = _python(script)
    # and `conse` does not even import transformers
    expected = ["True 384 False", *(f"False {width} True" for width in (24, 32, 32, 64))]
    assert done.stdout.splitlines() == expected, done.stderr


@pytest.mark.slow
def test_torchvision_that_does_not_load_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "site" / "torchvision"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise RuntimeError('operator nms does not exist')")
    (tmp_path / "model").mkdir()
    script = (
        "from keyscore_plugin.encoders import load_encoder\n"
        f"load_encoder({str(tmp_path / 'model')!r}, device='cpu')\n"
    )
    done = _python(script, PYTHONPATH=str(broken.parent))
    last = done.stderr.strip().splitlines()[-1]
    assert "MissingDependencyError: torchvision is installed but does not load" in last
    assert "operator nms does not exist" in last


def _python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), str(ROOT)]))
    variables = {**os.environ, **environment, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", script]
    return subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=200, check=False
    )


def test_encoder_object_is_handed_back() -> None:
    class Mine:
        name = "mine"
        device = torch.device("cpu")
        short_side = 32

        def encode_frames(self, frames: Frames) -> Any:
            raise NotImplementedError

        def encode_text(self, text: str) -> Any:
            raise NotImplementedError

    mine = Mine()
    assert load_encoder(mine) is mine


def test_conse_is_found_by_name() -> None:
    assert isinstance(load_encoder("conse", device="cpu"), ConseEncoder)


@pytest.mark.slow
def test_unreachable_models_are_one_line_that_names_conse() -> None:
    # In a separate process: the hub's settings are read at import.
    script = (
        "from keyscore_plugin.encoders import load_encoder\n"
        "from keyscore_plugin.errors import ModelError\n"
        "for name in ('auto', 'siglip2', 'some-lab/some-model'):\n"
        "    try:\n"
        "        load_encoder(name, device='cpu')\n"
        "    except ModelError as error:\n"
        "        print(error)\n"
    )
    closed = {"HF_HOME": "/nowhere", "HF_ENDPOINT": "http://127.0.0.1:9", "HF_HUB_OFFLINE": "0"}
    start = time.monotonic()
    done = _python(script, **closed)
    assert time.monotonic() - start < 60
    lines = done.stdout.splitlines()
    assert [line.split("'")[1] for line in lines] == [
        AUTO_ENCODER,
        "siglip2",
        "some-lab/some-model",
    ]
    assert all("no hub answers" in line and "use encoder='conse'" in line for line in lines)


def test_offline_setting_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="HF_HUB_OFFLINE is set; use encoder='conse'"):
        load_encoder("some-lab/no-such-model", device="cpu")


@pytest.mark.parametrize("name", ["a b", "one/two/three", ""])
def test_name_that_can_be_no_model_is_refused(name: str) -> None:
    with pytest.raises(ModelError, match="neither a folder nor a model id"):
        load_encoder(name, device="cpu")


def test_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot load the encoder .*encoder='conse'"):
        load_encoder(str(tmp_path), device="cpu")


def test_model_that_is_no_dual_encoder_is_refused(tmp_path: Path) -> None:
    SAVE["clip"](tmp_path)
    vision = transformers.ViTConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=1
    )
    transformers.ViTModel(vision).save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="ViTModel, which does not embed images and texts"):
        load_encoder(str(tmp_path), device="cpu")


def test_auto_device_is_the_gpu_when_there_is_one() -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert resolve_device("auto").type == expected


@pytest.mark.parametrize(("is_used", "number"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("word", ["auto", "cuda"])
def test_a_gpu_has_its_number_before_a_thread_with_another_one_asks(
    word: str, is_used: bool, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def current_device() -> int:
        asked.append(1)
        return 1

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: is_used)
    monkeypatch.setattr(torch.cuda, "current_device", current_device)
    sampler = KeyScoreSampler(encoder="conse", device=word)
    assert bool(asked) == is_used  # to ask is to take hold of the GPU
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    assert sampler.device == sampler.tensor_device == torch.device("cuda", number)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "", "meta", "cpu:3"])
def test_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(InputError, match="device"):
        load_encoder("conse", device=device)


@pytest.mark.parametrize("beyond", [0, 256, 999])  # torch itself takes cuda:256 for cuda:0
def test_gpu_that_is_not_there_is_refused(beyond: int) -> None:
    absent = f"cuda:{torch.cuda.device_count() + beyond}"
    with pytest.raises(InputError, match=f"{absent}.*use device='auto' or device='cpu'"):
        load_encoder("conse", device=absent)


def test_numbers_that_are_not_finite_are_an_error_and_no_ranking(folder: Path) -> None:
    encoder = HFEncoder(str(folder), torch.device("cpu"), local_files_only=True)
    for parameter in encoder._model.parameters():
        parameter.data.fill_(float("nan"))
    with pytest.raises(ModelError, match=r"not finite in torch.float32; give device='cpu'"):
        encoder.encode_frames(_frames())
    with pytest.raises(ModelError, match=r"not finite in torch.float32; give device='cpu'"):
        encoder.encode_text("a red cat")


def test_half_precision_gives_the_same_scores(folder: Path) -> None:
    whole, half = (
        HFEncoder(str(folder), torch.device("cpu"), local_files_only=True, dtype=dtype)
        for dtype in (torch.float32, torch.float16)
    )
    by_half, by_whole = assert_half_scores_as_whole(half, whole, _smooth_frames(12), atol=2e-3)
    assert int(by_half.total.argmax()) == int(by_whole.total.argmax())


@pytest.mark.gpu
def test_a_gpu_gives_the_same_scores_in_half_precision(folder: Path) -> None:
    frames = _smooth_frames(300)  # more than a batch
    here, there = (load_encoder(str(folder), device=device) for device in ("cpu", "cuda"))
    on_gpu = Frames(frames.pixels.cuda(), frames.indices, frames.pts_seconds)
    by_gpu, by_cpu = (
        score(encoder.encode_frames(given), encoder.encode_text("a red cat"))
        for encoder, given in ((there, on_gpu), (here, frames))
    )
    torch.testing.assert_close(by_gpu.semantic_raw.cpu(), by_cpu.semantic_raw, atol=2e-3, rtol=0)


@pytest.mark.gpu
def test_conse_gives_the_same_scores_on_a_gpu() -> None:
    frames = _smooth_frames(24)
    here, there = (load_encoder("conse", device=device) for device in ("cpu", "cuda"))
    by_gpu, by_cpu = (
        score(encoder.encode_frames(frames), encoder.encode_text("a red cat"))
        for encoder in (there, here)
    )
    torch.testing.assert_close(by_gpu.total.cpu(), by_cpu.total, atol=1e-4, rtol=0)
