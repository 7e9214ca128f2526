"""QVHighlights as it is published, and every way to get it wrong."""

import json
from pathlib import Path
from typing import Any

import pytest

from evals.needle.qvhighlights import ANNOTATIONS, read_qvhighlights
from keyscore_plugin.errors import InputError
from keyscore_plugin.video.samples.joined import Needle

# A line of the published file, less its saliency scores, which are not read.
LINE: dict[str, Any] = {
    "qid": 2579,
    "query": "A girl and her mother cooked while talking with each other on facetime.",
    "duration": 150,
    "vid": "NUsG9BgSes0_210.0_360.0",
    "relevant_clip_ids": [41, 42],
    "relevant_windows": [[82, 150]],
}


def write(root: Path, *lines: dict[str, Any] | str, videos: bool = True) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (root / ANNOTATIONS).write_text("\n".join(texts) + "\n", encoding="utf-8")
    (root / "videos").mkdir()
    if videos:
        (root / "videos" / f"{LINE['vid']}.mp4").touch()
    return root


def test_queries_of_one_video_come_together(tmp_path: Path) -> None:
    second = {**LINE, "qid": 1, "query": "A phone", "relevant_windows": [[0, 2], [10, 12.5]]}
    (video,) = read_qvhighlights(write(tmp_path, LINE, second))
    assert video.path == tmp_path / "videos" / "NUsG9BgSes0_210.0_360.0.mp4"
    assert video.needles == (
        Needle(LINE["query"], ((82.0, 150.0),)),
        Needle("A phone", ((0.0, 2.0), (10.0, 12.5))),
    )


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ([LINE, LINE], "line 2: qid '2579' was already in"),
        ([LINE, "{"], "line 2 is not JSON"),
        ([{k: v for k, v in LINE.items() if k != "query"}], "line 1: expected qid"),
        ([{**LINE, "relevant_windows": []}], "expected relevant_windows"),
        ([{**LINE, "relevant_windows": [[5, 5]]}], "expected relevant_windows"),
        ([{**LINE, "relevant_windows": [[-1, 5]]}], "expected relevant_windows"),
        ([{**LINE, "relevant_windows": [[1, 2, 3]]}], "expected qid"),
        ([{**LINE, "relevant_windows": None}], "expected qid"),
        ([[1]], "expected qid"),
        ([{**LINE, "vid": "other"}], "videos/other.mp4"),
        ([], "holds no query"),
        ([{**LINE, "relevant_windows": [[0, float("inf")]]}], "expected relevant_windows"),
        ([{**LINE, "query": 5}], "expected words as vid and query"),
        ([{**LINE, "query": " "}], "expected words as vid and query"),
        ([{**LINE, "vid": ["a"]}], "expected words as vid and query"),
        ([{**LINE, "vid": "../other"}], "is not the name of a video file"),
        ([{**LINE, "vid": "/tmp/other"}], "is not the name of a video file"),
        (["[" * 100_000], "line 1 is not JSON"),
        (["9" * 5000], "line 1 is not JSON"),
    ],
)
def test_a_wrong_file_is_one_line(lines: list[Any], named: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        read_qvhighlights(write(tmp_path, *lines))
    assert named in str(error.value)
    assert "\n" not in str(error.value)


def test_a_query_may_hold_what_ends_a_line_elsewhere(tmp_path: Path) -> None:
    query = "A girl\u2028and\x85her mother"
    (video,) = read_qvhighlights(
        write(tmp_path, json.dumps({**LINE, "query": query}, ensure_ascii=False))
    )
    assert video.needles[0].caption == query


def test_marks_and_blank_lines_of_other_systems_are_read(tmp_path: Path) -> None:
    write(tmp_path)
    line = json.dumps({**LINE, "query": "one\u2028query"}, ensure_ascii=False)
    (tmp_path / ANNOTATIONS).write_bytes(f"\ufeff{line}\r\n\r\n".encode())
    (video,) = read_qvhighlights(tmp_path)
    assert [needle.caption for needle in video.needles] == ["one\u2028query"]


def test_another_encoding_is_one_line(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / ANNOTATIONS).write_bytes(b'{"qid": "\xe9"}')
    with pytest.raises(InputError, match="byte 9 is not UTF-8"):
        read_qvhighlights(tmp_path)


def test_no_data_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1 of 1 files .*moment_detr.*videos/<vid>\.mp4"):
        read_qvhighlights(tmp_path)
