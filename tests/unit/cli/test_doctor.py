"""`keyscore doctor` says what is here, and what calls KeyScore."""

import json
from importlib.metadata import EntryPoint, EntryPoints, version

import pytest

from keyscore_plugin.cli import doctor
from keyscore_plugin.cli.main import main
from keyscore_plugin.registries import AUTO_DECODER, AUTO_ENCODER

Capture = pytest.CaptureFixture[str]


def findings(capsys: Capture) -> dict[str, dict[str, str | None]]:
    assert main(["doctor", "--json"]) == 0
    return {one["name"]: one for one in json.loads(capsys.readouterr().out)}


def test_doctor_names_versions_devices_and_what_auto_means(capsys: Capture) -> None:
    found = findings(capsys)
    assert found["torch"]["version"] == version("torch")
    assert found["--decoder"]["text"] == f"auto means {AUTO_DECODER}"
    assert str(found["--encoder"]["text"]).startswith(f"auto means {AUTO_ENCODER}, which is ")
    assert str(found["--device"]["text"]).startswith("auto means c")
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in found)


def test_doctor_tells_a_host_with_our_entry_point_from_one_without(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda distribution: "1.0")
    ours = EntryPoint("keyscore", "keyscore_lmms_eval:manifests", "lmms_eval.models")
    theirs = EntryPoint("other", "somebody:models", "lmms_eval.models")
    for entries, start in (([theirs, ours], "hooked by"), ([theirs], "not hooked")):
        monkeypatch.setattr(doctor, "entry_points", lambda group, e=entries: EntryPoints(e))
        assert str(findings(capsys)["lmms-eval"]["text"]).startswith(start)


def test_doctor_says_which_hosts_are_not_installed(
    monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    monkeypatch.setattr(doctor, "_version", lambda distribution: None)
    found = findings(capsys)
    assert {found[name]["text"] for name in doctor.HOSTS} == {"not installed"}
