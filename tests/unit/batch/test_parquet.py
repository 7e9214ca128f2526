"""Parquet holds what the JSON lines hold."""

import json
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin.batch.parquet import LINES
from keyscore_plugin.cli.main import main
from tests.support.requires import require_or_skip
from tests.support.tiny.videos import numbered_video

ROOT = Path(__file__).parents[3]


def rows(folder: Path) -> Any:
    """The table that a reader of Parquet finds in a folder."""
    parquet: Any = import_module("pyarrow.parquet")
    return parquet.read_table(folder)


def as_line(row: dict[str, Any]) -> dict[str, Any]:
    """The JSON line of a row, but for the keys that are null."""
    if row["config"] is not None:
        row = {**row, "config": json.loads(row["config"]), "seconds": dict(row["seconds"])}
    return {name: value for name, value in row.items() if value is not None}


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    """A folder with a video, and a list of it and of one that does not exist."""
    require_or_skip("pyarrow")
    numbered_video(tmp_path / "0.mp4", n=24)
    (tmp_path / "list.txt").write_text("0.mp4\nlost.mp4\n")
    return tmp_path


def test_a_folder_gets_the_lines_as_one_table(videos: Path) -> None:
    out = videos / "out"
    asked = ["batch", str(videos / "list.txt"), "--sampler", "stacfp", "--num-frames", "2"]
    assert main([*asked, "--out", f"{out}/"]) == 4
    lines = [json.loads(line) for line in (out / LINES).read_text().splitlines()]
    table = rows(out)
    expected = [{k: v for k, v in line.items() if v is not None} for line in lines]
    assert [as_line(row) for row in table.to_pylist()] == expected
    schema = json.loads((ROOT / "docs" / "selection.schema.json").read_text())
    assert {*table.column_names} == {*schema["properties"], "id", "error"} - {"curves"}
    # Another run has nothing to answer, and asks for the same table by the folder's name alone.
    before = (out / LINES).read_bytes()
    (out / "selections.parquet").unlink()
    assert main([*asked, "--out", str(out)]) == 4
    assert (out / LINES).read_bytes() == before
    assert rows(out).equals(table)


def test_ids_and_names_of_any_kind_have_a_place(videos: Path) -> None:
    strange = os.fsdecode(b"\xe9.mp4")
    lines = [{"video": "lost.mp4"}, {"video": strange, "id": "second"}]
    (videos / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = ["batch", str(videos / "m.jsonl"), "--sampler", "uniform"]
    assert main([*asked, "--out", f"{videos / 'out'}/"]) == 4
    table = rows(videos / "out").to_pylist()
    assert [row["id"] for row in table] == ["1", "second"]
    assert [row["video"] for row in table] == ["lost.mp4", "\\udce9.mp4"]


def test_ids_beyond_64_bits_become_texts(videos: Path) -> None:
    lines = [{"video": "lost.mp4", "id": 2**63}, {"video": "lost.mp4", "id": -5}]
    (videos / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = ["batch", str(videos / "m.jsonl"), "--sampler", "uniform"]
    assert main([*asked, "--out", f"{videos / 'out'}/"]) == 4
    assert [row["id"] for row in rows(videos / "out").to_pylist()] == [str(2**63), "-5"]


def test_ids_of_the_same_text_are_refused_before_the_run(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"video": "lost.mp4", "id": 7}, {"video": "lost.mp4", "id": "7"}]
    (videos / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    asked = ["batch", str(videos / "m.jsonl"), "--sampler", "uniform"]
    assert main([*asked, "--out", f"{videos / 'out'}/"]) == 2
    assert "ids 7 and '7' of the manifest become the same text" in capsys.readouterr().err
    assert not (videos / "out").exists()
    assert main([*asked, "--out", str(videos / "out.jsonl")]) == 4
