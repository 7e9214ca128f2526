"""ms-swift replaces every reader of qwen-vl-utils, and rows that raise; nothing of it is silent."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from keyscore_plugin.errors import InputError
from keyscore_qwen_vl_utils import swift
from tests.support.ms_swift.encode import FAMILY
from tests.support.requires import aside_or_skip
from tests.support.tiny import FAMILIES
from tests.support.tiny.videos import numbered_video

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
TRAIN = {
    "model": "model",
    "model_type": FAMILY,
    "template": FAMILY,
    "dataset": "rows.jsonl",
    "external_plugins": str(SUPPORT / "ms_swift" / "plugin.py"),
    "max_steps": "1",
    "tuner_type": "full",
    "torch_dtype": "float32",
    "split_dataset_ratio": "0",
    "dataloader_num_workers": "0",
    "save_strategy": "no",
    "report_to": "none",
    "output_dir": "out",
    "use_hf": "true",
    "use_cpu": "true",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny model and a video."""
    folder = tmp_path_factory.mktemp("swift")
    for part in FAMILIES[FAMILY].build():
        part.save_pretrained(folder / "model")
    numbered_video(folder / "numbered.mp4")
    return folder


def run(folder: Path, *command: str) -> str:
    """Standard output of a Python that finds ms-swift, in a process of its own."""
    paths = [ROOT, ROOT / "integrations", SUPPORT / "site", aside_or_skip("ms-swift")]
    own = {
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
        "HF_HUB_OFFLINE": "1",
        "KEYSCORE_BATCH": str(folder / "batch.pt"),
    }
    done = subprocess.run(
        [sys.executable, "-m", *command],
        env=os.environ | own,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return done.stdout


@pytest.fixture(scope="module")
def encoded(folder: Path) -> dict[str, Any]:
    """What the real package makes of each row of `tests.support.ms_swift.encode`."""
    printed = run(folder, "tests.support.ms_swift.encode", "model", "numbered.mp4")
    frames: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return frames


@pytest.mark.timeout(300)
def test_swift_sft_trains_on_the_frames_that_a_row_names_at_their_times(folder: Path) -> None:
    row = {
        "messages": [
            {"role": "user", "content": "<video>Which?"},
            {"role": "assistant", "content": "A"},
        ],
        "videos": [f"{folder}/numbered.mp4#frames=3,4,40,101"],
    }
    (folder / "rows.jsonl").write_text(json.dumps(row))
    options = [word for name, value in TRAIN.items() for word in (f"--{name}", value)]
    run(folder, "swift.cli.main", "sft", *options)
    batch = torch.load(folder / "batch.pt")
    family = FAMILIES[FAMILY]
    processor, _ = family.build()
    assert family.read_back(batch) == [3, 3, 4, 4, 40, 40, 101, 101]
    pad = processor.tokenizer.convert_tokens_to_ids("<|video_pad|>")
    temporal = batch["position_ids"][0][batch["input_ids"] == pad]
    # Two positions a second, from the first frame: .3, .4, 4 and 10.1 s, cut.
    assert (temporal - temporal[0]).unique_consecutive().tolist() == [0, 7, 19]


def test_install_refuses_a_transformers_that_has_no_interval_for_each_patch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(swift, "reads_rows", lambda: False)
    with pytest.raises(InputError, match=r"one interval for a whole video.*transformers>=5\.18"):
        swift.install()


@pytest.mark.timeout(300)
def test_ms_swift_gets_the_frames_that_the_sampler_chose(
    encoded: dict[str, Any],
) -> None:
    assert encoded["chosen"] == [15, 45, 75, 105]
    assert encoded["without"] == [0, 40, 79, 119]


@pytest.mark.timeout(300)
def test_ms_swift_gets_the_frames_that_a_row_names(encoded: dict[str, Any]) -> None:
    assert encoded["named"] == [3, 4, 40, 101]


@pytest.mark.timeout(300)
def test_what_cannot_be_met_ends_the_training_of_ms_swift_in_one_line(
    encoded: dict[str, Any],
) -> None:
    assert str(encoded["misspelt"]).startswith("keyscore: unknown sampler 'uniforn'")
    assert "Only accept either `fps` or `nframes`" in encoded["uncountable"]


@pytest.mark.timeout(300)
def test_a_video_that_cannot_be_read_is_logged_once_where_ms_swift_takes_another_row(
    encoded: dict[str, Any],
) -> None:
    assert encoded["instead"] == encoded["chosen"]
    (line,) = encoded["logged"]
    assert line.startswith("keyscore: cannot read lost.mp4: ")
    assert line.endswith("; ms-swift takes another row, unless --strict")


@pytest.mark.timeout(300)
def test_a_template_that_reads_videos_by_itself_ends_the_training_of_ms_swift(
    encoded: dict[str, Any],
) -> None:
    for ending in encoded["elsewhere"]:  # a row that names a sampler, and one that names frames
        assert re.search(r"numbered\.mp4.* were not chosen: the template 'qwen2_5_vl'", ending)


@pytest.mark.timeout(300)
def test_ms_swift_is_named_as_what_replaced_the_readers(encoded: dict[str, Any]) -> None:
    assert any(
        one.startswith("VIDEO_READER_BACKENDS['torchvision'] by swift.")
        for one in encoded["replaced"]
    )
