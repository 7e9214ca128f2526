"""`keyscore doctor` says what is here, and what calls KeyScore."""

import json
from datetime import datetime, timezone
from importlib.metadata import EntryPoint, EntryPoints, version
from pathlib import Path

import pytest

from keyscore_plugin._runtime.files import write_whole
from keyscore_plugin.cli import doctor
from keyscore_plugin.cli.main import main
from keyscore_plugin.hosts import keep_replacement
from keyscore_plugin.hosts.replacements import kept_replacements
from keyscore_plugin.registries import AUTO_DECODER, AUTO_ENCODER

Capture = pytest.CaptureFixture[str]
NOON = datetime(2026, 11, 1, 12, tzinfo=timezone.utc)


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


def test_doctor_says_what_undid_a_hook_and_since_when(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.setenv("KEYSCORE_CACHE", str(tmp_path / "cache"))
    for by, day in (("a.read", 1), ("b.read", 2), ("b.read", 3)):
        noticed = datetime(2026, 11, day, tzinfo=timezone.utc)
        keep_replacement("qwen-vl-utils", "VIDEO_READER_BACKENDS['decord']", by, noticed=noticed)
    assert main(["doctor"]) == 0
    _, _, last = capsys.readouterr().out.partition("replacements\n")
    assert last.startswith("  VIDEO_READER_BACKENDS['decord']  of qwen-vl-utils: b.read took ")
    assert "first noticed 2026-11-02T00:00:00+00:00, last 2026-11-03T00:00:00+00:00" in last
    assert "a.read" not in last


@pytest.mark.parametrize("damaged", ["damaged", "[]", '{"name": "x"}', "numbers"])
def test_a_damaged_note_of_a_replaced_hook_costs_itself_alone(
    damaged: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Capture
) -> None:
    monkeypatch.setenv("KEYSCORE_CACHE", str(tmp_path))
    keep_replacement("host", "broken", "a.read", noticed=NOON)
    [path] = (tmp_path / "replacements").iterdir()
    numbers = json.dumps(dict.fromkeys(json.loads(path.read_bytes()), 1))
    keep_replacement("host", "whole", "a.read", noticed=NOON)
    path.write_text(numbers if damaged == "numbers" else damaged)
    assert [one["name"] for one in findings(capsys).values() if one["kind"] == "replacement"] == [
        "whole"
    ]


def test_processes_that_notice_replaced_hooks_at_once_keep_all_of_them(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("KEYSCORE_CACHE", str(tmp_path))
    place = "keyscore_plugin.hosts.replacements.write_whole"

    def write_late(path: Path, content: bytes) -> None:
        """Write after another process, which noticed something else in between."""
        monkeypatch.setattr(place, write_whole)
        keep_replacement("host", "theirs", "a.read", noticed=NOON)
        write_whole(path, content)

    monkeypatch.setattr(place, write_late)
    keep_replacement("host", "ours", "a.read", noticed=NOON)
    assert [one.name for one in kept_replacements()] == ["ours", "theirs"]
