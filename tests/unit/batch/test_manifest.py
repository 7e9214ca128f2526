"""What can be a manifest: a folder, lines of JSON, a table, a list, standard input."""

import io
import json
import os
import sys
from pathlib import Path

import pytest

from keyscore_plugin.batch.manifest import STDIN, Item, read_manifest
from keyscore_plugin.errors import InputError


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


def facts(items: list[Item]) -> list[tuple[object, ...]]:
    return [(item.id, item.video, item.caption, item.question) for item in items]


def test_a_folder_gives_the_videos_below_it_by_name(tmp_path: Path) -> None:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    for name in (
        "z.mp4",
        "a.MKV",
        "b/c.webm",
        "b/deep/d.avi",
        "notes.txt",
        "b/.part.mp4",
        "b/e.srt",
    ):
        (tmp_path / name).touch()
    items = read_manifest(tmp_path)
    names = ["a.MKV", "b/c.webm", "b/deep/d.avi", "z.mp4"]
    assert facts(items) == [(name, name, None, None) for name in names]
    assert [item.path for item in items] == [tmp_path / name for name in names]
    (tmp_path / "b" / "a0.mov").touch()
    assert {item.id for item in items} < {item.id for item in read_manifest(tmp_path)}


def test_a_folder_without_videos_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(InputError, match=r"no file below the folder .* has the suffix of a video"):
        read_manifest(tmp_path)


def test_a_folder_with_a_name_that_is_no_utf_8_is_read(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    (tmp_path / name).touch()
    assert facts(read_manifest(tmp_path)) == [(name, name, None, None)]


@pytest.mark.parametrize("name", ["videos.txt", "videos", "videos.lst"])
def test_a_list_has_a_name_a_line(tmp_path: Path, name: str) -> None:
    text = "\ufeffa.mp4\r\n\r\nsub/b, c.mp4\r\n  \n/abs/d {1}.mp4"
    items = read_manifest(write(tmp_path / name, text))
    assert facts(items) == [
        (1, "a.mp4", None, None),
        (3, "sub/b, c.mp4", None, None),
        (5, "/abs/d {1}.mp4", None, None),
    ]
    assert items[1].path == tmp_path / "sub" / "b, c.mp4"
    assert items[2].path == Path("/abs/d {1}.mp4")


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("name", ["videos.csv", "VIDEOS.CSV", "videos.txt"])
def test_a_table_names_its_columns(tmp_path: Path, name: str, delimiter: str) -> None:
    rows = [
        ["id", "video", "caption", "question"],
        ["x", "a.mp4", '"a dog, a ""cat""; \na tram"', ""],
        ["", "b.mp4", "", "where?"],
    ]
    text = "\r\n".join(delimiter.join(row) for row in rows)
    items = read_manifest(write(tmp_path / name, text))
    assert facts(items) == [
        ("x", "a.mp4", 'a dog, a "cat"; \na tram', None),
        (4, "b.mp4", None, "where?"),
    ]


def test_a_table_of_one_column_is_a_list_with_a_heading(tmp_path: Path) -> None:
    items = read_manifest(write(tmp_path / "videos.txt", "video\na.mp4\nb.mp4\n"))
    assert [item.video for item in items] == ["a.mp4", "b.mp4"]


@pytest.mark.parametrize("name", ["videos.jsonl", "videos.txt", "videos"])
def test_json_lines_are_known_by_their_name_or_their_first_line(tmp_path: Path, name: str) -> None:
    text = '\n {"video": "a.mp4", "caption": "a dog"}\n{"video": "b.mp4", "id": "x"}\n'
    items = read_manifest(write(tmp_path / name, text))
    assert facts(items) == [(2, "a.mp4", "a dog", None), ("x", "b.mp4", None, None)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.jsonl", "a.mp4\n", "line 1: not JSON"),
        ("m.csv", "a.mp4\nb.mp4\n", "line 1: no column is called 'video'; name the columns"),
        ("m.csv", "", "line 1: no column is called 'video'"),
        ("m.csv", "video,captoin\na.mp4,x\n", r"'captoin' \(did you mean 'caption'\?\); the keys"),
        ("m.csv", "video\na.mp4,x\n", "line 2: it has more fields than the table has columns"),
        ("m.csv", 'video,caption\na.mp4,"x', "after line 1: not CSV .unexpected end of data"),
        ("m.csv", "video,caption\n,x\n", "line 2: 'video' is missing"),
        ("m.csv", "video,id\na.mp4,x\nb.mp4,x\n", "line 3: id 'x' is taken by line 2"),
    ],
)
def test_a_file_that_is_not_what_it_seems_is_refused(
    tmp_path: Path, name: str, text: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(write(tmp_path / name, text))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["a.mp4\nb.mp4\n", "video,caption\na.mp4,\nb.mp4,\n", '{"video": "a.mp4"}\n{"video": "b.mp4"}'],
)
def test_standard_input_is_a_manifest_of_the_current_folder(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
    assert [item.path for item in read_manifest(STDIN)] == [Path("a.mp4"), Path("b.mp4")]


def test_standard_input_that_is_closed_or_no_text_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff")))
    with pytest.raises(InputError, match="cannot read the manifest -: byte 0 is not UTF-8"):
        read_manifest(STDIN)
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match="from standard input: it is closed"):
        read_manifest(STDIN)


def test_a_folder_has_no_text_for_a_sampler_that_needs_one(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    with pytest.raises(
        InputError, match="needs a text; add a caption or a question, or name a --c"
    ):
        read_manifest(tmp_path, needs_text=True)


def test_all_kinds_say_the_same(tmp_path: Path) -> None:
    line = {"video": "a.mp4", "caption": "ein Hund, 犬"}
    of_json = read_manifest(write(tmp_path / "m.jsonl", json.dumps(line)))
    (of_table,) = read_manifest(write(tmp_path / "m.csv", 'video,caption\na.mp4,"ein Hund, 犬"'))
    assert [(item.path, item.caption) for item in of_json] == [(of_table.path, of_table.caption)]


def test_a_table_bounds_the_part_to_choose_from_in_numbers(tmp_path: Path) -> None:
    table = write(tmp_path / "m.csv", "video,start,end\na.mp4,1.5,60\nb.mp4,,2\n")
    parts = [(item.start_seconds, item.end_seconds) for item in read_manifest(table)]
    assert parts == [(1.5, 60.0), (None, 2.0)]
    with pytest.raises(InputError, match=r"line 2: the start of a part .* got 'soon'"):
        read_manifest(write(tmp_path / "m.csv", "video,start\na.mp4,soon\n"))
