"""From rankings to the table: who may rank, on which videos, with which weight."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evals.harness.cells import Cell
from evals.summaries.data import AnnotatedVideo, DataSet, read_data_set
from evals.summaries.evaluation import HUMAN, SummaryEvaluation
from evals.summaries.h5 import Annotation
from evals.summaries.predict import require_ranking, stretched
from evals.summaries.splits import protocols
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import InputError
from tests.support.summary_files import (
    Video,
    steps_of,
    write_h5,
    write_splits,
    write_titles,
    write_tsv,
)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (Cell("aks"), "aks gives no score to the frames that it does not choose"),
        (Cell("stacfp"), "use keyscore"),
        (Cell("keyscore", num_frames=8), "keyscore@8: every frame is ranked"),
        (Cell("topk", threshold=0.5), "leave out --num-frames and --threshold"),
    ],
)
def test_what_ranks_nothing_is_refused(cell: Cell, message: str) -> None:
    ranking = [Cell(name) for name in ("keyscore", "keyscore:S", "topk", "random")]
    require_ranking(ranking, SamplerConfig())
    with pytest.raises(InputError, match=message):
        require_ranking([Cell("uniform"), cell], SamplerConfig())
    with pytest.raises(InputError, match="leave topk out, or give another guide"):
        require_ranking(ranking, SamplerConfig(guide="importance"))


def test_scores_are_stretched_and_constant_ones_are_one() -> None:
    assert stretched(np.array([-0.2, 0.2, 0.0])).tolist() == pytest.approx([0.0, 1.0, 0.5])
    assert stretched(np.array([0.3, 0.3])).tolist() == [1.0, 1.0]


SPLITS = {"CSTA": (("a", "b"), ("c",)), "PGL-SUM": (("a",), ("a", "b"))}


def test_weights_are_means_of_means() -> None:
    values = {"a": 1.0, "b": 2.0, "c": 4.0}
    found = protocols(SPLITS, list(values))

    def mean(protocol: str) -> float:
        return sum(weight * values[key] for key, weight in found[protocol].items())

    assert mean("all") == pytest.approx(7 / 3)
    assert mean("CSTA splits, 2 of 5 splits") == pytest.approx((1.5 + 4) / 2)
    assert mean("PGL-SUM splits, 2 of 5 splits") == pytest.approx((1 + 1.5) / 2)
    # c is tested by none of its splits
    assert list(found["PGL-SUM splits, 2 of 5 splits"]) == ["a", "b"]


def test_other_than_the_five_published_splits_are_named() -> None:
    five = tuple((str(video),) for video in range(5))
    sets = {"CSTA": five, "PGL-SUM": five[:4], "both": five + five[:1]}
    assert list(protocols(sets, list("01234"))) == [
        "all",
        "CSTA splits",
        "PGL-SUM splits, 4 of 5 splits",
        "both splits, 6 of 5 splits",
    ]


def test_what_was_left_out_leaves_its_splits() -> None:
    csta = {"CSTA": SPLITS["CSTA"]}
    found = protocols(csta, ["b", "c"])
    assert found["CSTA splits, 2 of 5 splits"] == {"b": 0.5, "c": 0.5}
    with pytest.raises(InputError, match="all videos of split 0 of PGL-SUM were left out"):
        protocols(SPLITS, ["b", "c"])


def _video(key: str) -> AnnotatedVideo:
    annotation = Annotation(
        key=key,
        name=None,
        n_frames=30,
        picks=np.array([0, 15]),
        shots=np.array([[0, 14], [15, 29]]),
        user_summary=np.zeros((2, 30), dtype=np.bool_),
    )
    return AnnotatedVideo(annotation, Path(f"{key}.mp4"), "a title")


def test_other_annotations_make_another_run() -> None:
    one = _video("video_1")
    other_users = replace(one, users=np.ones((20, 2)))
    other_title = replace(one, title="another")
    summary = one.annotation.user_summary.copy()
    summary[1, 7] = True
    other_summary = replace(one, annotation=replace(one.annotation, user_summary=summary))
    digests = [
        SummaryEvaluation(DataSet("tvsum", {"video_1": video}, {})).settings()["annotations_sha256"]
        for video in (one, one, other_users, other_title, other_summary)
    ]
    assert digests[0] == digests[1]
    assert len(set(digests)) == 4


def _record(tau: float, undefined: int) -> dict[str, Any]:
    judged = {"tau": tau, "rho": 2 * tau, "undefined": undefined, "compared": 1}
    return {"scores": {}, "agreement": {"random@own": {**judged, "F": 0.5}, HUMAN: judged}}


def test_rows_hold_every_protocol_and_count_what_is_undefined() -> None:
    keys = ["video_1", "video_2", "video_3"]
    splits = {"CSTA": (("video_1",), ("video_2", "video_3"))}
    data = DataSet("summe", {key: _video(key) for key in keys}, splits)
    records: Mapping[str, dict[str, Any]] = {
        "video_1": _record(0.3, 0),
        "video_2": _record(0.0, 1),
        "video_3": _record(0.1, 0),
    }
    rows = SummaryEvaluation(data).rows(records, [Cell("random")])
    assert [(row.labels["sampler"], row.labels["videos"], row.n) for row in rows] == [
        ("random", "all", 3),
        (HUMAN, "all", 3),
        ("random", "CSTA splits, 2 of 5 splits", 3),
        (HUMAN, "CSTA splits, 2 of 5 splits", 3),
    ]
    assert {row.labels["dataset"] for row in rows} == {"summe, 3 of 25 videos"}
    everything, human, split, _ = rows
    assert everything.figures["tau"].value == pytest.approx(0.4 / 3)
    assert everything.figures["rho"].value == pytest.approx(0.8 / 3)
    assert split.figures["tau"].value == pytest.approx((0.3 + 0.05) / 2)
    assert everything.figures["undefined"].value == 1
    assert "F" not in human.figures


@pytest.mark.parametrize(
    ("name", "n", "title"),
    [
        ("tvsum", 50, "tvsum"),
        ("tvsum", 49, "tvsum, 49 of 50 videos"),
        ("summe", 25, "summe"),
        ("summe", 24, "summe, 24 of 25 videos"),
    ],
)
def test_every_row_says_how_many_of_the_published_videos_it_stands_on(
    name: str, n: int, title: str
) -> None:
    videos = {f"video_{number}": _video(f"video_{number}") for number in range(1, 51)}
    records = {key: _record(0.1, 0) for key in list(videos)[:n]}
    rows = SummaryEvaluation(DataSet(name, videos, {})).rows(records, [Cell("random")])
    assert [(row.labels["dataset"], row.n) for row in rows] == [(title, n)] * 2


KEYS = ("video_1", "video_2")
SUMME = {
    "video_1": Video.random(100, n_users=15, seed=1, name="Bike_Polo"),
    "video_2": Video.random(61, n_users=18, seed=2, name="Saving dolphines"),
}


@pytest.fixture
def summe(tmp_path: Path) -> Path:
    write_h5(tmp_path / "eccv16_dataset_summe_google_pool5.h5", SUMME)
    write_splits(tmp_path / "splits", dataset="SumMe", tests=[["video_1"]], keys=KEYS)
    for name in ("Bike Polo.webm", "Saving_Dolphines.mp4"):
        (tmp_path / "Videos").mkdir(exist_ok=True)
        (tmp_path / "Videos" / name).touch()
    return tmp_path


def test_summe_is_read_whole_and_its_videos_found_by_name(summe: Path) -> None:
    data = read_data_set("summe", summe, with_splits=True, with_titles=True)
    assert [video.video.name for video in data.videos.values()] == [
        "Bike Polo.webm",
        "Saving_Dolphines.mp4",
    ]
    assert [video.title for video in data.videos.values()] == ["Bike Polo", "Saving dolphines"]
    assert data.splits == {"PGL-SUM": (("video_1",),), "CSTA": (("video_1",),)}


def test_a_missing_file_names_its_source_and_the_layout(
    summe: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(summe)
    summe = Path()
    (summe / "Videos" / "Bike Polo.webm").unlink()
    with pytest.raises(InputError, match=r"Videos/Bike_Polo\.mp4; get them from .*SumMe"):
        read_data_set("summe", summe, with_splits=True, with_titles=True)
    (summe / "splits" / "SumMe_splits.txt").unlink()
    with pytest.raises(InputError, match=r"1 of 3 files .*SumMe_splits\.txt"):
        read_data_set("summe", summe, with_splits=True, with_titles=True)


def test_two_files_of_one_name_are_refused(summe: Path) -> None:
    (summe / "Videos" / "Bike_Polo.mp4").touch()
    with pytest.raises(InputError, match="2 files for 'Bike_Polo'"):
        read_data_set("summe", summe, with_splits=False, with_titles=True)


@pytest.mark.parametrize(
    ("name", "message"),
    [(None, "video_1 of the h5 file has no dataset 'video_name'"), ("Saving dolphines", "both")],
)
def test_summe_needs_a_name_of_its_own_for_each_video(
    name: str | None, message: str, summe: Path
) -> None:
    changed = {"video_name": name}
    write_h5(summe / "eccv16_dataset_summe_google_pool5.h5", SUMME, changed=changed)
    with pytest.raises(InputError, match=message):
        read_data_set("summe", summe, with_splits=False, with_titles=True)


@pytest.fixture
def tvsum(tmp_path: Path) -> Path:
    videos = {key: Video.random(90, n_users=20, seed=1) for key in KEYS}
    write_h5(tmp_path / "eccv16_dataset_tvsum_google_pool5.h5", videos)
    scores = {name: steps_of(90, n_users=20, seed=1) for name in ("aaa", "bbb")}
    write_tsv(tmp_path / "ydata-tvsum50-anno.tsv", scores)
    write_titles(tmp_path / "ydata-tvsum50-info.tsv", {"aaa": "A dog", "bbb": "A cat"})
    (tmp_path / "Videos").mkdir()
    for name in scores:
        (tmp_path / "Videos" / f"{name}.mp4").touch()
    return tmp_path


def test_tvsum_is_read_whole(tvsum: Path) -> None:
    data = read_data_set("tvsum", tvsum, with_splits=False, with_titles=True)
    assert [(key, video.title) for key, video in data.videos.items()] == [
        ("video_1", "A dog"),
        ("video_2", "A cat"),
    ]
    assert all(video.users is not None for video in data.videos.values())
    assert data.splits == {}


def test_titles_are_wanted_only_where_they_are_read(tvsum: Path) -> None:
    write_titles(tvsum / "ydata-tvsum50-info.tsv", {"aaa": "A dog"})
    with pytest.raises(InputError, match="no title of bbb, video_2 of the h5 file"):
        read_data_set("tvsum", tvsum, with_splits=False, with_titles=True)
    (tvsum / "ydata-tvsum50-info.tsv").unlink()
    data = read_data_set("tvsum", tvsum, with_splits=False, with_titles=False)
    assert {video.title for video in data.videos.values()} == {None}
