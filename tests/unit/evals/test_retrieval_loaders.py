"""The annotation files of evals.retrieval: read as they are, refused in one line when broken."""

import contextlib
import json
import pickle
import subprocess
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from evals.retrieval.dataset import Dataset
from evals.retrieval.didemo import read_didemo
from evals.retrieval.msrvtt import read_msrvtt
from evals.retrieval.msvd import read_builtin_pickle, read_msvd
from keyscore_plugin.errors import InputError
from tests.support.retrieval_data import (
    didemo_item,
    write_didemo,
    write_msrvtt,
    write_msvd,
    write_pickle,
)

CSV = "MSRVTT_JSFUSION_test.csv"
HEADER = "key,vid_key,video_id,sentence\n"
ONE_PAIR = "ret0,msr7,video7,a cat\n"


def refusal(read: Callable[[Path], Dataset], root: Path) -> str:
    with pytest.raises(InputError) as caught:
        read(root)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_msrvtt_as_it_is(tmp_path: Path) -> None:
    folder = write_msrvtt(tmp_path, {"video9770": "a person, connecting something", "video7": "x"})
    data = read_msrvtt(tmp_path)
    assert [(v.id, v.video, v.captions) for v in data.videos] == [
        ("video9770", folder / "video9770.mp4", ("a person, connecting something",)),
        ("video7", folder / "video7.mp4", ("x",)),
    ]
    assert data.title(2) == "msrvtt, 2 of 1000 videos"
    assert data.cut_seconds is None


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "expected the header"),
        ("key,video_id,sentence\nret0,video7,a cat\n", "expected the header"),
        ("key;vid_key;video_id;sentence\n", "expected the header"),
        (HEADER, "holds no pair"),
        (HEADER + "ret0,msr7,video7\n", "line 2: expected 4 fields"),
        (HEADER + "ret0,msr7,video7,a cat, asleep\n", "line 2: expected 4 fields"),
        (HEADER + "ret0,msr7,video7,  \n", "line 2: the caption is empty"),
        (HEADER + "ret0,msr7,../video7,a cat\n", "line 2: '../video7' is not the name"),
        (HEADER + "ret0,msr7,,a cat\n", "line 2: '' is not the name"),
        (HEADER + ONE_PAIR + "ret1,msr7,video7,a dog\n", "line 3: video 'video7' was already in"),
        (HEADER + ONE_PAIR + "ret0,msr8,video8,a dog\n", "line 3: key 'ret0' was already in"),
        (HEADER + 'ret0,msr7,video7,"a cat\n', "not CSV"),
        (HEADER + "ret0,msr7,video\x007,a cat\n", "line 2"),
    ],
)
def test_a_broken_msrvtt_file_is_one_line(tmp_path: Path, text: str, named: str) -> None:
    write_msrvtt(tmp_path, {})
    (tmp_path / CSV).write_text(text)
    line = refusal(read_msrvtt, tmp_path)
    assert named in line
    assert CSV in line


def test_msvd_as_it_is(tmp_path: Path) -> None:
    captions = {"-4wsuPCjDBc_5_15": ["a squirrel eats", "it eats a peanut"], "b_0_4": ["rain"]}
    folder = write_msvd(tmp_path, captions)
    (folder / "-4wsuPCjDBc_5_15.avi").touch()
    (folder / "b_0_4.mp4").touch()
    data = read_msvd(tmp_path)
    assert {v.id: list(v.captions) for v in data.videos} == captions
    assert [v.video.name for v in data.videos] == ["-4wsuPCjDBc_5_15.avi", "b_0_4.mp4"]
    assert data.title(2) == "msvd, 2 of 670 videos"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ([["a", "cat"]], "expected a dict of video ids"),
        ({"b": [["a", "cat"]]}, "no captions of 'a'"),
        ({"a": []}, "at least one"),
        ({"a": "a cat"}, "expected a list of captions"),
        ({"a": ["a cat"]}, "caption 1: expected a list of tokens"),
        ({"a": [["a", "cat"], ["a", b"dog"]]}, "caption 2: expected a list of tokens"),
        ({"a": [["a", "cat"], []]}, "caption 2: the caption is empty"),
        ({"a": [[" "]]}, "caption 1: the caption is empty"),
    ],
)
def test_a_broken_msvd_pickle_is_one_line(tmp_path: Path, value: Any, named: str) -> None:
    write_msvd(tmp_path, {"a": ["a cat"]})
    write_pickle(tmp_path, value)
    line = refusal(read_msvd, tmp_path)
    assert named in line
    assert "raw-captions.pkl" in line


@pytest.mark.parametrize(
    ("listed", "named"),
    [
        (b"", "names no video"),
        (b"\n  \n", "names no video"),
        (b"a\nb\na\n", "line 3: video 'a' was already in"),
        (b"a\n../a\n", "line 2: '../a' is not the name"),
        (b"a\n\xff\n", "byte 2 is not UTF-8"),
    ],
)
@pytest.mark.parametrize("dataset", ["msvd", "didemo"])
def test_a_broken_list_is_one_line(tmp_path: Path, dataset: str, listed: bytes, named: str) -> None:
    both = {"a": ["a cat"], "b": ["a dog"]}
    read, write = {"msvd": (read_msvd, write_msvd), "didemo": (read_didemo, write_didemo)}[dataset]
    write(tmp_path, both)
    (tmp_path / "test_list.txt").write_bytes(listed)
    line = refusal(read, tmp_path)
    assert named in line
    assert "test_list.txt" in line


def test_two_files_of_one_msvd_video_are_refused(tmp_path: Path) -> None:
    folder = write_msvd(tmp_path, {"a": ["a cat"]})
    (folder / "a.avi").touch()
    (folder / "a.mp4").touch()
    assert "several files of 'a': a.avi, a.mp4" in refusal(read_msvd, tmp_path)


class Bomb:
    """A pickle that would run a command when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[list[str]]]:
        return subprocess.check_call, (["touch", str(self.mark)],)


def test_a_pickle_runs_no_code(tmp_path: Path) -> None:
    mark = tmp_path / "it-ran"
    bomb = pickle.dumps({"a": Bomb(mark)})
    pickle.loads(bomb)
    assert mark.exists(), "the bomb must work, or this test shows nothing"
    mark.unlink()
    (tmp_path / "raw-captions.pkl").write_bytes(bomb)
    with pytest.raises(InputError, match="check_call"):
        read_builtin_pickle(tmp_path / "raw-captions.pkl")
    assert not mark.exists()


@pytest.mark.parametrize(
    "opcodes",
    [
        b"cbuiltins\neval\n(S'1'\ntR.",
        b"c__builtin__\ngetattr\n.",
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",
        b"cposix\nsystem\n.",
    ],
)
def test_no_name_but_a_container_is_looked_up(tmp_path: Path, opcodes: bytes) -> None:
    (tmp_path / "a.pkl").write_bytes(opcodes)
    with pytest.raises(InputError, match="no plain value"):
        read_builtin_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_plain_values_come_back_in_every_protocol(tmp_path: Path, protocol: int) -> None:
    value = {"a": [["ein", "kätzchen"], ("b",)], "n": {1, 2}, "o": OrderedDict(x=1)}
    grown: defaultdict[str, list[str]] = defaultdict(list, y=["z"])
    (tmp_path / "a.pkl").write_bytes(pickle.dumps([value, grown], protocol=protocol))
    assert read_builtin_pickle(tmp_path / "a.pkl") == [value, grown]


WHOLE = pickle.dumps({"a": [["a", "cat"]], "b": [["two", "dogs"], ["they", "bark"]]})


@pytest.mark.parametrize("n_bytes", range(len(WHOLE)))
def test_half_a_pickle_is_one_line(tmp_path: Path, n_bytes: int) -> None:
    (tmp_path / "a.pkl").write_bytes(WHOLE[:n_bytes])
    with pytest.raises(InputError, match=r"a\.pkl is not a pickle of plain values: .+$"):
        read_builtin_pickle(tmp_path / "a.pkl")


@pytest.mark.parametrize("at", range(len(WHOLE)))
def test_a_damaged_pickle_raises_nothing_else(tmp_path: Path, at: int) -> None:
    (tmp_path / "a.pkl").write_bytes(WHOLE[:at] + b"\xff" + WHOLE[at + 1 :])
    with contextlib.suppress(InputError):
        read_builtin_pickle(tmp_path / "a.pkl")


def test_didemo_makes_one_paragraph_of_all_descriptions(tmp_path: Path) -> None:
    described = {"1@N00_2_a.avi": ["a dog runs.", "it jumps."], "3@N01_4_b.mov": ["rain falls."]}
    folder = write_didemo(tmp_path, described)
    path = tmp_path / "test_data.json"
    path.write_text(json.dumps([*json.loads(path.read_text()), didemo_item(1, "other.mp4", "x")]))
    data = read_didemo(tmp_path)
    assert [(v.id, v.video, v.captions) for v in data.videos] == [
        ("1@N00_2_a.avi", folder / "1@N00_2_a.avi", ("a dog runs. it jumps.",)),
        ("3@N01_4_b.mov", folder / "3@N01_4_b.mov", ("rain falls.",)),
    ]
    assert data.cut_seconds == 31.0
    assert data.title(2) == "didemo, 2 of 1004 videos"


def _without(name: str) -> dict[str, Any]:
    item = didemo_item(7, "a", "a cat")
    del item[name]
    return item


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
        ('{"a": 1}', "expected a list of descriptions, got dict"),
        ("[3]", "item 1: expected an object, got int"),
        (json.dumps([_without("video")]), "item 1: 'video' is missing"),
        (json.dumps([_without("description")]), "item 1: 'description' is missing"),
        (json.dumps([_without("annotation_id")]), "item 1: 'annotation_id' is missing"),
        (json.dumps([didemo_item(7, "a", " ")]), "item 1: the caption is empty"),
        (json.dumps([{**didemo_item(7, "a", ""), "description": 5}]), "to be str, got 5"),
        (json.dumps([{**_without("video"), "video": ["a"]}]), "to be str, got ['a']"),
        (
            json.dumps([didemo_item(7, "a", "x"), didemo_item(7, "a", "y")]),
            "item 2: annotation_id '7' was already in",
        ),
        (json.dumps([didemo_item(7, "b", "x")]), "no description of 'a'"),
    ],
)
def test_a_broken_didemo_file_is_one_line(tmp_path: Path, text: str, named: str) -> None:
    write_didemo(tmp_path, {"a": ["a cat"]})
    (tmp_path / "test_data.json").write_text(text)
    line = refusal(read_didemo, tmp_path)
    assert named in line
    assert "test_data.json" in line


@pytest.mark.parametrize(
    ("read", "first"),
    [(read_msrvtt, CSV), (read_msvd, "raw-captions.pkl"), (read_didemo, "test_data.json")],
)
def test_missing_annotations_say_where_to_get_them(
    tmp_path: Path, read: Callable[[Path], Dataset], first: str
) -> None:
    line = refusal(read, tmp_path)
    for part in (first, "_Videos", "https://", "lay them out as"):
        assert part in line
