"""PEFT adapters of a Video-LLM: found, put on their model, and refused on another."""

import json
import sys
from pathlib import Path

import pytest
import torch

from keyscore_plugin import ClipQuestion, Frames, VlmCaptioner
from keyscore_plugin.captioners import load_captioner
from keyscore_plugin.errors import InputError, MissingDependencyError, ModelError
from tests.support import tiny
from tests.support.adapters import save_adapter
from tests.support.tiny.videos import numbered_frames


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("adapters")
    tiny.save("qwen2_5_vl", root / "base")
    save_adapter(root / "base", root / "adapter")
    return root


def answer(captioner: object) -> str:
    assert isinstance(captioner, VlmCaptioner)
    pixels = torch.stack([torch.as_tensor(one) for one in numbered_frames(2, (56, 56))])
    frames = Frames(pixels, torch.arange(2), torch.arange(2.0, dtype=torch.float64))
    return captioner.judge(ClipQuestion(frames, "What?", 2.0), max_new_tokens=12)


@pytest.mark.slow
def test_an_adapter_brings_its_model_and_changes_what_it_answers(folders: Path) -> None:
    base = load_captioner(str(folders / "base"), device="cpu")
    alone = load_captioner(str(folders / "adapter"), device="cpu")
    both = load_captioner(str(folders / "base"), device="cpu", adapter=str(folders / "adapter"))
    assert alone is not None
    assert alone.name == f"{folders / 'base'} + {folders / 'adapter'}"
    assert answer(alone) == answer(both) != answer(base)


@pytest.mark.slow
def test_an_adapter_of_another_model_is_one_line(folders: Path, tmp_path: Path) -> None:
    other = tiny.save("qwen3_vl", tmp_path / "other")
    with pytest.raises(ModelError, match=r"is of another model than .*a Qwen3VLFor") as error:
        load_captioner(str(other), device="cpu", adapter=str(folders / "adapter"))
    assert "\n" not in str(error.value)
    vision = save_adapter(folders / "base", tmp_path / "vision", targets=("qkv",))
    without_vision = tiny.save("llava_onevision", tmp_path / "llava")
    with pytest.raises(ModelError, match=r"cannot load the adapter .*trained on this model"):
        load_captioner(str(without_vision), device="cpu", adapter=str(vision))


def test_an_adapter_with_other_layers_than_the_model_is_one_line(
    folders: Path, tmp_path: Path
) -> None:
    """PEFT loads what fits and leaves the other layers at random."""
    wider = save_adapter(folders / "base", tmp_path / "wide", targets=("q_proj", "v_proj"))
    config = json.loads((wider / "adapter_config.json").read_text())
    config["target_modules"] = ["q_proj"]
    (wider / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"4 of its 8 weights have a place"):
        load_captioner(str(wider), device="cpu")


def test_an_adapter_that_names_no_model_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    with pytest.raises(ModelError, match=r"names no model; give the model as the captioner"):
        load_captioner(str(tmp_path), device="cpu")
    (tmp_path / "adapter_config.json").write_text("[")
    with pytest.raises(ModelError, match=r"cannot read the adapter_config.json"):
        load_captioner(str(tmp_path), device="cpu")


def test_a_folder_without_an_adapter_is_one_line(folders: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot load the adapter .*adapter_config.json"):
        load_captioner(str(folders / "base"), device="cpu", adapter=str(tmp_path))


@pytest.mark.parametrize("captioner", [None, "labels"])
def test_an_adapter_without_a_video_llm_is_refused(captioner: str | None) -> None:
    with pytest.raises(InputError, match=r"is for a Video-LLM, got the captioner"):
        load_captioner(captioner, device="cpu", adapter="somewhere")


def test_peft_is_named_where_it_is_missing(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingDependencyError, match=r"peft is not installed.*\[peft\]"):
        load_captioner(str(folders / "adapter"), device="cpu")
