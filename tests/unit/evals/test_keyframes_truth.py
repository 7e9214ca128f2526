"""Where the true keyframes come from, and what a broken data set says."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from evals.keyframes.ground_truth import read_keyframes
from evals.keyframes.votes import peaks_of_votes, read_votes
from keyscore_plugin.errors import InputError


def lay_out(root: Path, keyframes: Mapping[str, Sequence[str]]) -> Path:
    """Empty files as the data set names them."""
    (root / "Videos").mkdir(parents=True)
    for video, names in keyframes.items():
        (root / "Keyframe" / video).mkdir(parents=True)
        (root / "Videos" / video).touch()
        for name in names:
            (root / "Keyframe" / video / name).touch()
    return root


def test_keyframes_are_the_names_of_the_files(tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"b.mp4": ["990.jpg", "30.jpg", "1050.jpg"], "-a_B.mp4": ["0.jpg"]})
    (root / "Keyframe" / ".DS_Store").touch()
    (root / "Keyframe" / "b.mp4" / ".DS_Store").touch()
    (root / "Videos" / "without_keyframes.mp4").touch()
    found = read_keyframes(root, source="there")
    assert [(video.id, video.indices) for video in found] == [
        ("-a_B", (0,)),
        ("b", (30, 990, 1050)),
    ]
    assert [video.video for video in found] == [root / "Videos/-a_B.mp4", root / "Videos/b.mp4"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ([], "holds no keyframe"),
        (["30.jpg", "30.png"], "holds '30.png'; expected <frame index>.jpg alone"),
        (["frame30.jpg"], "holds 'frame30.jpg'"),
        (["-30.jpg"], "holds '-30.jpg'"),
        (["3\N{SUPERSCRIPT TWO}.jpg"], "expected <frame index>.jpg"),
        (["30.jpg", "030.jpg"], "names frame 30 twice"),
    ],
)
def test_a_broken_folder_is_one_clear_line(names: list[str], message: str, tmp_path: Path) -> None:
    root = lay_out(tmp_path, {"a.mp4": names})
    with pytest.raises(InputError, match=message) as caught:
        read_keyframes(root, source="there")
    assert str(root / "Keyframe" / "a.mp4") in str(caught.value)


def test_what_is_missing_is_named_with_its_source(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"2 of 2 files .* get them from there"):
        read_keyframes(tmp_path, source="there")
    root = lay_out(tmp_path / "data", {"a.mp4": ["1.jpg"], "b.mp4": ["1.jpg"]})
    (root / "Videos" / "b.mp4").unlink()
    with pytest.raises(InputError, match=r"1 of 2 files .* Videos/b\.mp4"):
        read_keyframes(root, source="there")
    lay_out(tmp_path / "empty", {})
    (tmp_path / "empty" / "Keyframe").mkdir()
    with pytest.raises(InputError, match="is empty"):
        read_keyframes(tmp_path / "empty", source="there")


@pytest.mark.parametrize(
    ("stretches", "peaks"),
    [
        ([1, 8, 1, 3, 9], [3, 9]),  # middles of the second and of the last
        ([9, 1, 2, 1, 1], [1]),  # 2 is a peak below the mean
        ([0, 6, 6, 6, 0], [5]),  # a plateau is one peak, in its middle
        ([0, 6, 6, 0, 0], [3]),  # of an even one, the earlier middle
        ([4, 4, 4], []),
    ],
)
def test_peaks_of_votes_agree_with_a_table_worked_by_hand(
    stretches: list[int], peaks: list[int]
) -> None:
    # One frame a second: a stretch is two frames, its middle the second.
    assert peaks_of_votes(np.repeat(stretches, 2), fps=1.0) == peaks


def test_a_peak_in_a_cut_off_last_stretch_stays_in_the_video() -> None:
    votes = np.repeat([0, 1], [60, 2])
    assert peaks_of_votes(votes, fps=30.0) == [61]


def write_votes(root: Path, name: str, votes: Sequence[float], *, users: int = 15) -> None:
    """``GT/<name>.mat``: of 15 users, as many as the vote says keep a frame, by rank."""
    (root / "GT").mkdir(parents=True, exist_ok=True)
    (root / "Videos").mkdir(exist_ok=True)
    order = np.arange(users)[None]
    kept = (order < np.round(np.array(votes)[:, None] * users)) * (order + 1.0)
    savemat(root / "GT" / f"{name}.mat", {"user_score": kept, "FPS": 1.0})


def test_votes_are_read_as_summe_publishes_them(tmp_path: Path) -> None:
    write_votes(tmp_path, "Saving dolphines", np.repeat([0.2, 0.8, 0.0], 2).tolist())
    (tmp_path / "Videos" / "Saving_dolphines.webm").touch()
    (video,) = read_votes(tmp_path, source="there")
    assert (video.id, video.indices) == ("Saving dolphines", (3,))
    assert video.video.name == "Saving_dolphines.webm"


@pytest.mark.parametrize("seed", range(8))
def test_votes_with_a_few_other_bytes_are_read_or_refused(seed: int, tmp_path: Path) -> None:
    write_votes(tmp_path, "Jumps", [])
    (tmp_path / "Videos" / "Jumps.mp4").touch()
    path = tmp_path / "GT" / "Jumps.mat"
    kept = np.repeat([[0], [1], [0]], 2, axis=0) * np.ones(15)
    savemat(path, {"user_score": kept, "FPS": 1.0}, do_compression=True)
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(seed)
    for place in rng.integers(128, len(content), 3):
        content[place] = rng.integers(256)
    path.write_bytes(content[: rng.integers(len(content))] if seed % 2 else content)
    with suppress(InputError):
        read_votes(tmp_path, source="there")


def test_broken_votes_are_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="get them from there"):
        read_votes(tmp_path, source="there")
    write_votes(tmp_path, "Jumps", [0.0, 0.0, 1.0, 1.0], users=3)
    with pytest.raises(InputError, match=r"Videos/Jumps\.mp4"):
        read_votes(tmp_path, source="there")
    with pytest.raises(InputError, match=r"shape \(4, 3\)"):  # its video need not be there
        read_votes(tmp_path, source="there", left_out=["Jumps"])
    (tmp_path / "Videos" / "Jumps.mp4").touch()
    with pytest.raises(InputError, match=r"shape \(4, 3\)"):
        read_votes(tmp_path, source="there")
    write_votes(tmp_path, "Jumps", [1.0, 1.0, 1.0, 1.0])
    with pytest.raises(InputError, match="so there is no peak"):
        read_votes(tmp_path, source="there")
    savemat(tmp_path / "GT" / "Jumps.mat", {"user_score": np.zeros((4, 15))})
    with pytest.raises(InputError, match="has no FPS"):
        read_votes(tmp_path, source="there")
    savemat(tmp_path / "GT" / "Jumps.mat", {"user_score": np.zeros((4, 15)), "FPS": 0.0})
    with pytest.raises(InputError, match="expected one number above 0"):
        read_votes(tmp_path, source="there")
    for scores in (np.full((4, 15), np.nan), np.full((4, 15), "kept", dtype=object)):
        savemat(tmp_path / "GT" / "Jumps.mat", {"user_score": scores, "FPS": 1.0})
        with pytest.raises(InputError, match=r"user_score holds .*; expected finite numbers"):
            read_votes(tmp_path, source="there")
    savemat(tmp_path / "GT" / "Jumps.mat", {"user_score": np.zeros((0, 15)), "FPS": 1.0})
    with pytest.raises(InputError, match=r"shape \(0, \d+\)"):
        read_votes(tmp_path, source="there")
    (tmp_path / "GT" / "Jumps.mat").write_text("no MATLAB")
    with pytest.raises(InputError, match="is not a MATLAB file"):
        read_votes(tmp_path, source="there")
    (tmp_path / "GT" / "Jumps.mat").write_bytes(b"")
    with pytest.raises(InputError, match="is not a MATLAB file"):
        read_votes(tmp_path, source="there")
