"""The files of TVSum and SumMe: what is read of them, and what a broken one says."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from evals.summaries.annotators import read_annotators, scores_at_picks
from evals.summaries.h5 import read_h5
from evals.summaries.splits import read_csta, read_pgl_sum
from evals.summaries.videos import read_titles
from keyscore_plugin.errors import InputError
from tests.support.summary_files import (
    Video,
    steps_of,
    write_h5,
    write_splits,
    write_titles,
    write_tsv,
)

USERS = range(3, 5)
VIDEOS = {
    "video_10": Video.random(100, n_users=4, seed=1, name="Bike_Polo"),
    "video_2": Video.random(61, n_users=3, seed=2),
}
KEYS = tuple(VIDEOS)


def test_videos_come_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    found = read_h5(write_h5(tmp_path / "a.h5", VIDEOS), n_users=USERS)
    assert list(found) == ["video_2", "video_10"]


def test_what_was_written_is_read(tmp_path: Path) -> None:
    found = read_h5(write_h5(tmp_path / "a.h5", VIDEOS), n_users=USERS)
    for key, video in VIDEOS.items():
        assert found[key].n_frames == video.n_frames
        assert found[key].name == video.name
        assert found[key].step == 15
        assert found[key].picks.tolist() == list(range(0, video.n_frames, 15))
        assert found[key].shots.tolist() == [list(shot) for shot in video.shots]
        assert (found[key].user_summary == (video.user_summary > 0)).all()


def test_a_name_is_read_from_an_array_of_one(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", VIDEOS, changed={"video_name": ["Base jumping"]})
    assert read_h5(path, n_users=USERS)["video_10"].name == "Base jumping"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"user_summary": None}, "no dataset 'user_summary'"),
        ({"picks": None}, "no dataset 'picks'"),
        ({"n_steps": 6}, "n_steps is 6"),
        ({"picks": np.array([0, 15, 15, 45, 60, 75, 90])}, "picks must rise"),
        ({"picks": np.arange(7) * 20}, "inside the 100 frames"),
        ({"user_summary": np.zeros((4, 99))}, r"shape \(4, 99\)"),
        ({"user_summary": np.zeros((2, 100))}, "has 2 users; expected 3 to 4"),
        ({"user_summary": np.zeros((5, 100))}, "has 5 users; expected 3 to 4"),
        ({"change_points": np.array([[0, 49], [51, 99]])}, "shots that touch"),
        ({"change_points": np.array([[1, 49], [50, 99]])}, "from frame 0"),
        ({"change_points": np.array([[0, 49], [50, 79]])}, "from frame 0 to 99"),
        ({"change_points": np.array([0, 99])}, r"expected \(n_shots, 2\)"),
        ({"n_frames": np.array([100, 100])}, r"n_frames has shape \(2,\); expected one value"),
        ({"n_steps": "seven"}, "n_steps holds .*; expected whole numbers"),
        ({"picks": np.arange(7) * 14.5}, "picks holds float64; expected whole numbers"),
        ({"picks": np.full(7, np.nan)}, "picks holds float64"),
        ({"user_summary": np.full((4, 100), np.inf)}, "user_summary holds float64"),
        ({"picks": np.full(7, 1e300)}, "picks holds float64"),
        ({"picks": None, "picks/inner": 1}, "picks is not a dataset"),
        ({"video_name": ["a", "b"]}, r"video_name has shape \(2,\)"),
    ],
)
def test_a_broken_group_is_one_clear_line(
    changed: dict[str, Any], message: str, tmp_path: Path
) -> None:
    path = write_h5(tmp_path / "a.h5", VIDEOS, changed=changed)
    with pytest.raises(InputError, match=message) as caught:
        read_h5(path, n_users=USERS)
    assert f"{path}: video_10" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_no_h5_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.h5").write_text("<html>sign in to download</html>")
    with pytest.raises(InputError, match="is not a readable h5 file"):
        read_h5(tmp_path / "a.h5", n_users=USERS)


def test_an_h5_that_points_at_nothing_says_so(tmp_path: Path) -> None:
    path = write_h5(tmp_path / "a.h5", VIDEOS, changed={"picks": None})
    with h5py.File(path, "a") as file:
        file["video_10/picks"] = h5py.SoftLink("/nowhere")
    with pytest.raises(InputError, match="is not a readable h5 file"):
        read_h5(path, n_users=USERS)


def test_an_empty_file_and_a_foreign_group_say_so(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w"):
        pass
    with pytest.raises(InputError, match="holds no video"):
        read_h5(tmp_path / "a.h5", n_users=USERS)
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["video_1"] = 1
    with pytest.raises(InputError, match="video_1 is not a group"):
        read_h5(tmp_path / "c.h5", n_users=USERS)
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["clip/picks"] = 1
    with pytest.raises(InputError, match="'clip'; expected groups video_1"):
        read_h5(tmp_path / "b.h5", n_users=USERS)


def test_annotators_are_read_and_sampled_at_the_picks(tmp_path: Path) -> None:
    videos = {"video_1": VIDEOS["video_10"], "video_2": VIDEOS["video_2"]}
    annotations = read_h5(write_h5(tmp_path / "a.h5", videos), n_users=USERS)
    scores = {
        "-esJrBWj2d8": steps_of(100, n_users=20, seed=1),
        "0tmA_C6XwfM": steps_of(61, n_users=20, seed=2),
    }
    joined = scores_at_picks(read_annotators(write_tsv(tmp_path / "a.tsv", scores)), annotations)
    for key, (video_id, expected) in zip(videos, scores.items(), strict=True):
        assert joined[key][0] == video_id
        assert (joined[key][1] == expected[:, ::15]).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: ["../" + lines[0], *lines[1:]], "line 1: '../aaa' is not the name of a"),
        (lambda lines: lines[:-1], "has 19 lines; expected 20 users"),
        (lambda lines: [*lines, lines[0]], "line 41: aaa comes a second time"),
        (lambda lines: [lines[0].replace("\t", " "), *lines[1:]], "line 1 has 1 fields"),
        (lambda lines: [lines[0] + ",", *lines[1:]], "line 1: the scores must be numbers"),
        (lambda lines: [lines[0] + ",6", *lines[1:]], "line 1: the scores must be from 1 to 5"),
        (lambda lines: [lines[0] + ",nan", *lines[1:]], "must be from 1 to 5"),
        (lambda lines: [lines[0] + ",5", *lines[1:]], "of aaa have 70 to 71 scores"),
    ],
)
def test_a_broken_tsv_is_one_clear_line(change: Any, message: str, tmp_path: Path) -> None:
    scores = {name: steps_of(70, n_users=20, seed=1) for name in ("aaa", "bbb")}
    path = write_tsv(tmp_path / "a.tsv", scores)
    path.write_text("\n".join(change(path.read_text().splitlines())))
    with pytest.raises(InputError, match=message):
        read_annotators(path)


def test_files_that_do_not_belong_together_say_so(tmp_path: Path) -> None:
    annotations = read_h5(write_h5(tmp_path / "a.h5", VIDEOS), n_users=USERS)
    short, long = np.ones((20, 61)), np.ones((20, 100))
    assert list(scores_at_picks({"a": short, "b": long}, annotations)) == ["video_2", "video_10"]
    with pytest.raises(InputError, match="TSV has 1 videos and the h5 file 2"):
        scores_at_picks({"a": short}, annotations)
    with pytest.raises(InputError, match=r"video_2 .* has 5 picks .* b, .* has 100 scores"):
        scores_at_picks({"b": long, "a": short}, annotations)


def test_both_sets_of_splits_are_read(tmp_path: Path) -> None:
    tests = [["video_2"], ["video_10", "video_2"]]
    write_splits(tmp_path, dataset="TVSum", tests=tests, keys=KEYS)
    expected = (("video_2",), ("video_10", "video_2"))
    assert read_pgl_sum(tmp_path / "tvsum_splits.json", KEYS) == expected
    with pytest.raises(InputError, match="names ''"):  # the second split trains on nothing
        read_csta(tmp_path / "TVSum_splits.txt", KEYS)
    write_splits(tmp_path, dataset="TVSum", tests=tests[:1], keys=KEYS)
    assert read_csta(tmp_path / "TVSum_splits.txt", KEYS) == expected[:1]


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train_keys": []}, "expected a list of splits, got dict"),
        ([], "expected a list of splits"),
        ([{"train_keys": ["video_2"]}], "split 0 has no list 'test_keys'"),
        ([["video_2"]], "split 0 has no list 'train_keys'"),
        ([{"train_keys": [], "test_keys": ["video_99"]}], "names 'video_99'"),
        ([{"train_keys": ["video_2"], "test_keys": ["video_2"]}], "names 'video_2' twice"),
        ([{"train_keys": ["video_2"], "test_keys": []}], "tests no video"),
    ],
)
def test_a_broken_split_file_is_one_clear_line(splits: Any, message: str, tmp_path: Path) -> None:
    path = tmp_path / "splits.json"
    path.write_text(json.dumps(splits))
    with pytest.raises(InputError, match=message):
        read_pgl_sum(path, KEYS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("TVSum/split0/video_2", "line 1 has 3 parts"),
        ("TVSum/split0/video_2/video_3\n", "line 1 names 'video_3'"),
        ("TVSum/split0/video_2/video_10,video_2\n", "names 'video_2' twice"),
    ],
)
def test_a_broken_split_line_is_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "splits.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_csta(path, KEYS)


def test_splits_that_are_no_json_say_so(tmp_path: Path) -> None:
    (tmp_path / "splits.json").write_text("TVSum/split0")
    with pytest.raises(InputError, match="is not JSON"):
        read_pgl_sum(tmp_path / "splits.json", KEYS)


def test_titles_may_hold_a_lone_quotation_mark(tmp_path: Path) -> None:
    titles = {"aaa": 'How to fix a 26" wheel', "bbb": "It's a dog"}
    assert read_titles(write_titles(tmp_path / "info.tsv", titles)) == titles


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id\turl\naaa\thttps://\n", "has no column 'title'"),
        ("video_id\ttitle\naaa\tx\naaa\ty\n", "aaa comes twice"),
        ("video_id\ttitle\naaa\t \n", "aaa has no title"),
        ("video_id\ttitle\naaa\n", "aaa has no title"),
        ("", "has no column 'video_id'"),
        ("title\tvideo_id\nA\n", "line 2 names no video"),
        (f"video_id\ttitle\naaa\t{'a' * 200_000}\n", "field larger than field limit"),
    ],
)
def test_broken_titles_are_one_clear_line(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "info.tsv").write_text(text)
    with pytest.raises(InputError, match=message):
        read_titles(tmp_path / "info.tsv")


def test_what_is_no_text_says_so(tmp_path: Path) -> None:
    path = tmp_path / "packed"
    path.write_bytes(b"\x1f\x8b\x08\x00\xff")
    for read in (read_annotators, read_titles):
        with pytest.raises(InputError, match="byte 1 is not UTF-8"):
            read(path)
    for read_splits in (read_pgl_sum, read_csta):
        with pytest.raises(InputError, match="byte 1 is not UTF-8"):
            read_splits(path, KEYS)
