"""HMDB-51 end to end: real footage in its format, a real encoder, figures worked out anew."""

import json
import string
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import accuracy_score, f1_score

from evals.harness.cache import CachedEncoder
from evals.hmdb51.__main__ import main
from evals.hmdb51.table import ON_TEST, ON_TRAIN
from keyscore_plugin import get_sampler, open_video
from keyscore_plugin.encoders import load_encoder
from tests.support import tiny
from tests.support.hmdb51_files import CLIPS, write_hmdb51

pytestmark = pytest.mark.slow

THRESHOLDS = (0.3, 0.9)
CELLS: dict[str, tuple[str, dict[str, Any]]] = {
    "uniform@2": ("uniform", {"num_frames": 2}),
    **{f"keyscore@t{x}": ("keyscore", {"threshold": x}) for x in THRESHOLDS},
}
IDS = {f"{label}/{clip.name}": clip.ids for label, clips in CLIPS.items() for clip in clips}
CLASSES = sorted(CLIPS)
N_FRAMES = {
    f"{label}/{clip.name}": 20 * len(clip.words) for label, clips in CLIPS.items() for clip in clips
}
Vector = npt.NDArray[np.float32]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hmdb51(tmp_path_factory.mktemp("hmdb51") / "data")


def options(root: Path, out: Path, **more: str) -> list[str]:
    given = {
        "root": str(root),
        "sampler": "uniform@2,keyscore",
        "threshold": ",".join(map(str, THRESHOLDS)),
        "encoder": "conse",
        "captioner": "labels",
        "device": "cpu",
        "out": str(out),
        **more,
    }
    return [f"--{name}={value}" for name, value in given.items()]


@pytest.fixture(scope="module")
def run(root: Path) -> Path:
    out = root.parent / "run"
    assert main(options(root, out)) == 0
    return out


def records(out: Path) -> dict[str, dict[str, Any]]:
    lines = (out / "records-0-of-1.jsonl").read_text().splitlines()
    return {record["id"]: record for record in map(json.loads, lines)}


def table(out: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((out / "result.json").read_text())["rows"]
    return rows


def one(rows: Sequence[dict[str, Any]], **labels: object) -> dict[str, Any]:
    (found,) = [
        row for row in rows if all(row["labels"][name] == told for name, told in labels.items())
    ]
    return found


def test_every_clip_is_captioned_once_and_the_caption_is_kept(run: Path) -> None:
    measured = records(run)
    assert measured.keys() == IDS.keys()
    for name, record in measured.items():
        assert record["caption"]["model"] == "labels"
        assert record["caption"]["text"].startswith("A video")
        assert record["n_frames"] == N_FRAMES[name]
        assert record["cells"].keys() == CELLS.keys()
    assert "beaker" in measured["pour/#15_Lab_(HQ)_pour_u_nm_np1_fr_goo_0.avi"]["caption"]["text"]


def test_frames_and_classes_are_those_of_the_product_by_hand(root: Path, run: Path) -> None:
    encoder = load_encoder("conse", device="cpu")
    prompts = [f"a video of a person {label.replace('_', ' ')}." for label in CLASSES]
    texts: Vector = np.stack([encoder.encode_text(text).vector.numpy() for text in prompts])
    for name, record in list(records(run).items())[::2]:  # half of them: this is the dear part
        once = CachedEncoder(lambda: encoder)
        with open_video(root / name) as video:
            for key, (sampler, budget) in CELLS.items():
                chooses = get_sampler(sampler, encoder=once, device="cpu")
                selection = chooses(video, caption=record["caption"]["text"], **budget)
                said = record["cells"][key]
                assert said["indices"] == selection.indices
                vectors = encoder.encode_frames(video.read(selection.indices)).vectors.numpy()
                mean: Vector = vectors.mean(0) / np.linalg.norm(vectors.mean(0))
                assert said["predicted"] == CLASSES[int((texts @ mean).argmax())]
                assert said["cosine"] == pytest.approx((texts @ mean).max(), abs=1e-5)


def scores(out: Path, key: str, ids: Sequence[str]) -> dict[str, float]:
    """A cell's figures on some clips, from the records, by scikit-learn and by hand."""
    cells = {name: record["cells"][key] for name, record in records(out).items()}
    true = [name.split("/")[0] for name in ids]
    said = [cells[name]["predicted"] for name in ids]
    asf = fmean(len(cells[name]["indices"]) for name in ids)
    return {
        "top-1": accuracy_score(true, said),
        "macro-F1": f1_score(true, said, average="macro", zero_division=0),
        "weighted-F1": f1_score(true, said, average="weighted", zero_division=0),
        "ASF": asf,
        "FRR-UFP": 1 - asf / 8,
        "FRR-Avg": 1 - asf / fmean(N_FRAMES[name] for name in ids),
    }


def part(split: int, number: int) -> list[str]:
    """Clips that a split trains on (1) or tests on (2)."""
    return [name for name, ids in IDS.items() if ids[split - 1] == number]


def test_every_figure_is_that_of_scikit_learn(run: Path) -> None:
    rows = table(run)
    sets = {f"split {split} test": part(split, 2) for split in (1, 2, 3)}
    for key, (sampler, budget) in CELLS.items():
        labels = {"sampler": sampler, "choice": None, "threshold": budget.get("threshold")}
        for clips, ids in (sets | {"all clips": list(IDS)}).items():
            row = one(rows, clips=clips, **labels)
            assert row["n"] == len(ids)
            for name, value in scores(run, key, ids).items():
                assert row["figures"][name]["value"] == pytest.approx(value)
        mean = one(rows, clips="mean of 3 test splits", **labels)
        each = [scores(run, key, ids) for ids in sets.values()]
        assert mean["n"] == len({name for ids in sets.values() for name in ids})
        for name in each[0]:
            assert mean["figures"][name]["value"] == pytest.approx(fmean(s[name] for s in each))
        spread = mean["figures"]["macro-F1 std"]["value"]
        assert spread == pytest.approx(stdev(s["macro-F1"] for s in each))


def test_thresholds_are_chosen_on_the_training_part_and_on_the_test_part(run: Path) -> None:
    rows = table(run)
    honest_differs = False
    for split in (1, 2, 3):
        chosen = {}
        for told, number in ((ON_TRAIN, 1), (ON_TEST, 2)):
            by_threshold = {
                x: scores(run, f"keyscore@t{x}", part(split, number))["macro-F1"]
                for x in THRESHOLDS
            }
            best = max(x for x in THRESHOLDS if by_threshold[x] == max(by_threshold.values()))
            row = one(rows, clips=f"split {split} test", choice=told)
            assert row["labels"]["threshold"] == best
            tested = scores(run, f"keyscore@t{best}", part(split, 2))["macro-F1"]
            assert row["figures"]["macro-F1"]["value"] == pytest.approx(tested)
            chosen[told] = tested
        assert chosen[ON_TRAIN] <= chosen[ON_TEST]
        honest_differs |= chosen[ON_TRAIN] < chosen[ON_TEST]
    assert honest_differs  # or this test could not tell one from the other


def test_the_run_says_what_decides_it_and_shows_it(run: Path) -> None:
    settings = json.loads((run / "result.json").read_text())["settings"]
    assert settings["templates"] == ["a video of a person {c}."]
    assert settings["splits"] == [1, 2, 3]
    assert settings["clips"] == "all"
    assert settings["captioner"] == "labels"
    assert settings["lists_not_70_and_30"][0] == "pour_test_split1.txt (1 and 2)"
    lines = (run / "table.md").read_text().splitlines()
    assert any("(the paper's)" in line for line in lines)
    part = "hmdb51, 4 of 51 classes, 12 of 6766 clips"
    assert all(line.startswith(f"| {part} | ") for line in lines[2:])
    # The picture draws its text as paths, each with a comment that says which.
    assert part in (run / "plot.svg").read_text()


def test_one_split_is_measured_on_its_test_clips_alone(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # As mteb does: split 1, its test clips, other prompts; uniform frames need no caption.
    argv = options(root, tmp_path, sampler="uniform@2", clips="test", splits="1")
    assert main([*argv, "--templates", "a video of {c}", "{c}"]) == 0
    noted = "hmdb51: 4 of 4 lists do not have the official 70 clips to train and 30 to test on"
    assert noted in capsys.readouterr().err
    measured = records(tmp_path)
    assert sorted(measured) == sorted(part(1, 2))
    assert all(record["caption"] is None for record in measured.values())
    (row,) = table(tmp_path)
    assert row["labels"]["clips"] == "split 1 test"
    accuracy = scores(tmp_path, "uniform@2", part(1, 2))["top-1"]
    assert row["figures"]["top-1"]["value"] == pytest.approx(accuracy)


def test_a_video_llm_writes_the_captions(root: Path, tmp_path: Path) -> None:
    processor, model = tiny.build("qwen2_5_vl")
    # Random weights may write blanks; the settings of a model are saved with it.
    letters = processor.tokenizer.convert_tokens_to_ids(list(string.ascii_letters))
    every = range(model.get_input_embeddings().num_embeddings)
    model.generation_config.suppress_tokens = [i for i in every if i not in letters]
    for each in (processor, model):
        each.save_pretrained(tmp_path / "vlm")
    argv = options(
        root, tmp_path / "run", captioner=str(tmp_path / "vlm"), clips="test", splits="3"
    )
    assert main([*argv, "--sampler=keyscore@2"]) == 0
    captions = [record["caption"] for record in records(tmp_path / "run").values()]
    assert len(captions) == len(part(3, 2))
    assert {caption["model"] for caption in captions} == {str(tmp_path / "vlm")}
    assert all(len(caption["text"]) == 48 for caption in captions)  # max_new_tokens, a letter each


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"splits": "1,4"}, "--splits '1,4' names no splits; give some of 1,2,3"),
        ({"splits": "2,2"}, "--splits '2,2' names no splits"),
        ({"splits": ""}, "--splits '' names no splits"),
        ({"templates": "a video"}, "--templates a video: neither a template with {c}"),
        ({"sampler": "uniform"}, "uniform@t0.3: a threshold needs scores, and uniform gives none"),
        ({"root": "/nowhere"}, "1 of 1 files are not under /nowhere: splits; get them from"),
        ({"leave-out": "talk/nobody.avi"}, "hmdb51 has no video 'talk/nobody.avi'"),
    ],
)
def test_bad_usage_is_one_line_and_exit_code_2(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: dict[str, str],
    message: str,
) -> None:
    others = [f"--{name}={value}" for name, value in changed.items()]
    assert main([*options(root, tmp_path), *others]) == 2
    assert_one_line(capsys, message)


def assert_one_line(capsys: pytest.CaptureFixture[str], message: str) -> None:
    lines = capsys.readouterr().err.strip().splitlines()
    # Besides it only the note on lists that are not official ones, where they were read.
    (error,) = [line for line in lines if "do not have the official" not in line]
    assert error.startswith("hmdb51: ")
    assert message in error


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (
            "--captioner",
            "keyscore@t0.3 needs a caption; give --captioner labels",
        ),
        (
            "--root",
            "--root is missing; name the folder with the files of the data set: get them from "
            "https://serre-lab.clps.brown.edu",
        ),
    ],
)
def test_what_has_to_be_given_is_asked_for(
    root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], missing: str, message: str
) -> None:
    argv = [each for each in options(root, tmp_path) if not each.startswith(missing)]
    assert main(argv) == 2
    assert_one_line(capsys, message)


def test_without_training_clips_no_threshold_is_chosen(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "splits").mkdir()
    (tmp_path / "sit").mkdir()
    (tmp_path / "sit" / "a.avi").touch()
    for split in (1, 2, 3):
        (tmp_path / "splits" / f"sit_test_split{split}.txt").write_text("a.avi 2\n")
    assert main(options(tmp_path, tmp_path / "run")) == 2
    assert_one_line(capsys, "split 1 has no clip to train on (ID 1), so no threshold can be chosen")


def test_a_clip_that_does_not_decode_is_named(root: Path, run: Path, tmp_path: Path) -> None:
    """Nothing is dropped from a mean in silence; a clip that is left out by name is."""
    some = tmp_path / "data"
    some.mkdir()
    for path in root.rglob("*"):
        if path.is_file():
            copy = some / path.relative_to(root)
            copy.parent.mkdir(exist_ok=True)
            copy.write_bytes(path.read_bytes())
    broken = "talk/Car_talk_h_nm_np1_fr_goo_0.avi"
    (some / broken).write_bytes(b"RIFF")
    argv = options(some, tmp_path / "run", sampler="uniform@2", clips="test", splits="1")
    assert main(argv) == 2
    left_out = [*argv, f"--leave-out={broken}", f"--out={tmp_path / 'other'}"]
    assert main(left_out) == 0
    (row,) = table(tmp_path / "other")
    assert row["n"] == len(part(1, 2)) - 1
    assert row["labels"]["dataset"] == "hmdb51, 4 of 51 classes, 11 of 6766 clips"
    ids = [name for name in part(1, 2) if name != broken]
    assert row["figures"]["macro-F1"]["value"] == pytest.approx(
        scores(tmp_path / "other", "uniform@2", ids)["macro-F1"]
    )
    (some / broken).unlink()  # nor need it be there
    assert main(argv) == 2
    assert main(left_out) == 0
