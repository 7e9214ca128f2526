"""HMDB-51's lists and folders, hand-written, in their exact form and in every broken one."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from evals.hmdb51.data import Part, list_name, read_hmdb51, read_list, uneven
from keyscore_plugin.errors import InputError

# Of the kind that HMDB-51 has: signs, spaces, classes that begin like others.
LISTS = {
    "kick": ["#20_Rhythm_(HQ)!_kick_f_cm_np1_fr_bad_0.avi", "a kick.avi", "same.avi"],
    "kick_ball": ["same.avi", "b.avi"],
    "sit": ["sit_down.avi", "c.avi"],
    "situp": ["d.avi", "e.avi"],
}
PARTS = (2, 1, 0)  # of the clips of a class, in split 1; split 2 and 3 begin one and two later


def write(root: Path, lists: Mapping[str, list[str]] = LISTS) -> Path:
    """The data set: empty clips, for nobody decodes them here, and lists like the official ones."""
    (root / "splits").mkdir()
    for label, names in lists.items():
        (root / label).mkdir()
        for name in names:
            (root / label / name).touch()
        for split in (1, 2, 3):
            parts = [PARTS[(row + split - 1) % 3] for row in range(len(names))]
            # The official files have a space at the end of each line.
            lines = [f"{name} {part} \n" for name, part in zip(names, parts, strict=True)]
            (root / "splits" / list_name(label, split)).write_text("".join(lines))
    return root


def test_clips_are_read_with_their_parts(tmp_path: Path) -> None:
    data = read_hmdb51(write(tmp_path))
    assert data.classes == ("kick", "kick_ball", "sit", "situp")
    assert [clip.id for clip in data.clips[:4]] == [
        "kick/#20_Rhythm_(HQ)!_kick_f_cm_np1_fr_bad_0.avi",
        "kick/a kick.avi",
        "kick/same.avi",
        "kick_ball/b.avi",
    ]
    assert data.clips[1].parts == {1: Part.TRAIN, 2: Part.UNUSED, 3: Part.TEST}
    assert data.clips[1].video == tmp_path / "kick" / "a kick.avi"
    assert len({clip.id for clip in data.clips}) == len(data.clips) == 9
    assert [clip.id for clip in data.of_part(1, Part.UNUSED)] == ["kick/same.avi"]


def test_classes_that_begin_alike_keep_their_own_clips(tmp_path: Path) -> None:
    clips = read_hmdb51(write(tmp_path)).clips
    found = {label: sorted(c.video.name for c in clips if c.label == label) for label in LISTS}
    assert found == {label: sorted(names) for label, names in LISTS.items()}


def test_only_the_splits_asked_for_have_to_be_there(tmp_path: Path) -> None:
    write(tmp_path)
    for path in (tmp_path / "splits").glob("*[23].txt"):
        path.unlink()
    data = read_hmdb51(tmp_path, [1])
    assert data.splits == (1,)
    assert all(list(clip.parts) == [1] for clip in data.clips)
    with pytest.raises(InputError, match=r"4 of 8 files are not under .*kick_test_split2.txt"):
        read_hmdb51(tmp_path, [2])


def test_lists_that_are_not_70_and_30_are_named(tmp_path: Path) -> None:
    assert read_hmdb51(write(tmp_path)).uneven[0] == "kick_test_split1.txt (1 and 1)"
    official = {f"{row}.avi": Part.TRAIN if row < 70 else Part.TEST for row in range(100)}
    assert uneven(official | {"x.avi": Part.UNUSED}) is None
    assert uneven(official | {"x.avi": Part.TEST}) == (70, 31)


def test_classes_and_clips_that_are_not_there_are_counted_in_the_title(tmp_path: Path) -> None:
    few = read_hmdb51(write(tmp_path))
    assert few.title(0) == "hmdb51, 4 of 51 classes, 9 of 6766 clips"
    assert few.title(2) == "hmdb51, 4 of 51 classes, 7 of 6766 clips"
    labels = tuple(map(str, range(51)))
    whole = replace(few, classes=labels, clips=few.clips[:1] * 6766)
    assert whole.title(0) == "hmdb51"
    assert replace(whole, classes=labels[1:]).title(0) == "hmdb51, 50 of 51 classes"
    assert whole.title(1) == "hmdb51, 6765 of 6766 clips"


def test_the_digest_changes_with_a_list(tmp_path: Path) -> None:
    before = read_hmdb51(write(tmp_path)).digest
    path = tmp_path / "splits" / "sit_test_split2.txt"
    path.write_text(path.read_text().replace("sit_down.avi 1", "sit_down.avi 0"))
    assert read_hmdb51(tmp_path).digest != before


@pytest.mark.parametrize("ending", ["\r\n", "\n\n", " \n", "\t\n"])
def test_ends_of_lines_do_not_matter(tmp_path: Path, ending: str) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes(f"\ufeffa.avi 1{ending}b c.avi 2{ending}".encode())
    assert read_list(path) == {"a.avi": Part.TRAIN, "b c.avi": Part.TEST}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a.avi 1\nb.avi 3\n", r"line 2: 'b.avi 3'; expected 'name.avi ID' with ID 1"),
        ("a.avi -1\n", r"line 1: 'a.avi -1'; expected"),
        ("a.avi 1.0\n", r"line 1: 'a.avi 1.0'; expected"),
        ("a.avi ²\n", r"line 1: 'a.avi ²'; expected"),
        ("a.avi\n", r"line 1: 'a.avi'; expected"),
        ("1\n", r"line 1: '1'; expected"),
        ("a.avi,1\n", r"line 1: 'a.avi,1'; expected"),
        ("a.avi 1 2\n", r"line 1: 'a.avi 1' is not the name of a clip"),
        ("a.mp4 1\n", r"line 1: 'a.mp4' is not the name of a clip"),
        ("../a.avi 1\n", r"line 1: '../a.avi' is not the name of a clip"),
        ("a.avi 1\nb.avi 2\n\na.avi 1\n", r"line 4: clip 'a.avi' was already in"),
        ("", r"lists no clip"),
        ("\n \n", r"lists no clip"),
    ],
)
def test_a_wrong_list_is_one_line_that_says_where(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path)
    (tmp_path / "splits" / "sit_test_split3.txt").write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        read_hmdb51(tmp_path)
    assert "sit_test_split3.txt" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_list_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"cannot read .*list.txt"):
        read_list(tmp_path / "list.txt")


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        ("splits", "1 of 1 files are not under .*: splits; get them from https://serre-lab"),
        ("situp", r"1 of 16 files are not under .*: situp; .*<class>/<name>.avi"),
        ("splits/kick_test_split2.txt", r"1 of 16 files .*: splits/kick_test_split2.txt;"),
        ("sit/c.avi", r"1 of 9 files .*: sit/c.avi;"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, gone: str, message: str) -> None:
    path = write(tmp_path) / gone
    path.rename(tmp_path.parent / f"{tmp_path.name}-taken-away")
    with pytest.raises(InputError, match=message):
        read_hmdb51(tmp_path)


def test_a_class_without_any_list_is_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    (tmp_path / "swing").mkdir()
    (tmp_path / "swing" / "f.avi").touch()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"3 of 20 files .*splits/swing_test_split1.txt"):
        read_hmdb51(Path())


@pytest.mark.parametrize("other", ["notes", "splits/readme.txt", "sit/Thumbs.db"])
def test_what_is_no_clip_and_no_list_does_not_disturb(tmp_path: Path, other: str) -> None:
    path = write(tmp_path) / other
    if path.suffix:
        path.touch()
    else:
        path.mkdir()
    assert len(read_hmdb51(tmp_path).clips) == 9


def test_a_clip_that_a_list_forgot_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    path = tmp_path / "splits" / "situp_test_split2.txt"
    path.write_text("d.avi 2\n")
    with pytest.raises(
        InputError,
        match=r"1 times a clip .* the first: situp/e.avi \(not in situp_test_split2.txt\)",
    ):
        read_hmdb51(tmp_path)


def test_a_clip_whose_ending_is_in_capitals_is_not_passed_over(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / "situp" / "z.AVI").touch()
    with pytest.raises(InputError, match=r"situp/z\.AVI \(not in"):
        read_hmdb51(tmp_path)


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "splits").mkdir()
    with pytest.raises(InputError, match="holds no class; get HMDB-51 from https://serre-lab"):
        read_hmdb51(tmp_path)


def test_a_split_that_tests_nothing_is_refused(tmp_path: Path) -> None:
    write(tmp_path)
    for path in (tmp_path / "splits").glob("*_test_split3.txt"):
        path.write_text(path.read_text().replace(".avi 2", ".avi 0"))
    with pytest.raises(InputError, match=r"split 3 .* has no clip to test"):
        read_hmdb51(tmp_path)
