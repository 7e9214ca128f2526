"""Where a model's files are; a hub is asked only if it is needed."""

from pathlib import Path

import pytest

from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin._runtime.hub import is_local
from keyscore_plugin.errors import ModelError


@pytest.fixture
def snapshot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of ``some/clip`` in a local cache, on a machine that asks no hub."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    model = tmp_path / "models--some--clip"
    made = model / "snapshots" / ("a" * 40)
    made.mkdir(parents=True)
    (model / "refs").mkdir()
    (model / "refs" / "main").write_text("a" * 40)
    return made


@pytest.mark.parametrize(
    "weights",
    [
        "model.safetensors",
        "model.safetensors.index.json",
        "pytorch_model.bin",
        "pytorch_model.bin.index.json",
    ],
)
def test_a_model_is_here_when_its_config_and_its_weights_are(snapshot: Path, weights: str) -> None:
    for file in (weights, "config.json"):
        with pytest.raises(ModelError, match="no encoder 'some/clip': it is not in the local"):
            is_local("some/clip", kind="encoder", remedy="use another")
        (snapshot / file).touch()
    assert is_local("some/clip", kind="encoder", remedy="use another")


@pytest.mark.parametrize("name", ["a" * 300, "a/" * 300, "/" + "a" * 300, "a\0b", "\udcff"])
def test_a_name_that_can_be_no_path_is_no_model_in_one_line(name: str) -> None:
    with pytest.raises(ModelError, match="neither a folder nor a model id") as error:
        is_local(name, kind="encoder", remedy="use another")
    assert "\n" not in str(error.value)
    assert not is_folder(name)


def test_a_folder_that_may_not_be_looked_into_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    assert is_folder(str(tmp_path))
    monkeypatch.setattr("os.stat", refuse)  # root may look everywhere
    assert not is_folder(str(tmp_path))
