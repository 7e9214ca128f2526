"""What the examples and the pages show runs as it stands there, offline."""

import re
import runpy
import shlex
import shutil
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from nbclient import NotebookClient
from PIL import Image

from keyscore_plugin import KeyScoreSampler, Selection
from keyscore_plugin.cli import main as cli
from keyscore_plugin.video.samples import sample_video
from tests.support.tiny import save
from tests.support.tiny.videos import frame_numbers, numbered_video

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A new folder, with the videos that the pages use."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(name: str, *words: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [name, *words])
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")


def test_every_example_is_run_here() -> None:
    source = Path(__file__).read_text()
    names = [path.name for path in EXAMPLES.iterdir() if path.suffix in (".py", ".ipynb")]
    assert len(names) == 7
    assert [name for name in names if f'"{name}"' not in source] == []
    assert all(len(path.read_text().splitlines()) <= 40 for path in EXAMPLES.glob("*.py"))


@pytest.mark.slow
def test_frames_are_chosen_and_saved(capsys: pytest.CaptureFixture[str]) -> None:
    run("select_frames.py", str(sample_video("carphone")), "--caption", "a man in a car")
    assert len(list(Path("chosen").glob("*s.png"))) == 4
    assert Path("chosen/why.png").exists()
    assert "caption='a man in a car'" in capsys.readouterr().out


def test_the_steps_by_hand(capsys: pytest.CaptureFixture[str]) -> None:
    run("score_by_hand.py")
    out = capsys.readouterr().out
    assert re.match(r"\d of 21 frames stand for the video\n", out)
    assert len(re.findall(r"^ +\d\.\d\d s  KeyScore [01]\.\d\d$", out, flags=re.MULTILINE)) == 4


def test_a_sampler_of_ones_own(capsys: pytest.CaptureFixture[str]) -> None:
    run("own_sampler.py")
    assert "sampler='best-of-parts', num_frames=4" in capsys.readouterr().out


def test_a_batch_is_written_and_read_back(capsys: pytest.CaptureFixture[str]) -> None:
    run("batch_manifest.py")
    ride, call, lost = capsys.readouterr().out.splitlines()
    assert len(ride.split(",")) == len(call.split(",")) == 8
    assert lost.startswith("lost: cannot read ")


def test_selections_become_the_frames_of_vlmevalkit(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbered_video("clip.mp4", n=24)
    numbered_video("short.mp4", n=2)
    Path("all.csv").write_text("video\nclip.mp4\nshort.mp4\nlost.mp4\n")
    asked = ["batch", "all.csv", "--out", "chosen.jsonl", "--sampler", "uniform"]
    assert cli.main([*asked, "--num-frames", "4"]) == 4
    run("vlmevalkit_frames.py", "chosen.jsonl", "images/Video-MME")
    found = sorted(path.relative_to("images").as_posix() for path in Path("images").rglob("*.jpg"))
    assert found == [f"Video-MME/clip/frame-{i}-of-4.jpg" for i in (1, 2, 3, 4)]
    first = np.asarray(Image.open(f"images/{found[0]}").convert("RGB")).mean(axis=(0, 1))
    assert frame_numbers(torch.from_numpy(first)[None]) == [3]
    short, lost = capsys.readouterr().out.splitlines()
    assert short == "short.mp4: left out, it has too few frames"
    assert lost.startswith("lost.mp4: left out, cannot read ")


@pytest.mark.slow
def test_a_model_answers_from_chosen_frames(
    elsewhere: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = save("qwen2_5_vl", elsewhere / "tiny")
    words = [str(sample_video("carphone")), "--model", str(model), "--encoder", "conse"]
    run("generate_with_sampler.py", *words)
    assert "What are the people riding?" in capsys.readouterr().out


@pytest.mark.slow
def test_the_notebook_runs_and_is_kept_without_outputs() -> None:
    nbformat = import_module("nbformat")  # says that it has types, and has few
    notebook = nbformat.read(EXAMPLES / "look_at_a_video.ipynb", as_version=4)
    assert [cell for cell in notebook.cells if cell.get("outputs")] == []
    NotebookClient(notebook, timeout=240).execute()
    shown = [
        output.data
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type in ("display_data", "execute_result")
    ]
    assert sum("image/png" in data for data in shown) == 1


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize("page", [PAGES[0], ROOT / "docs" / "index.md"], ids=lambda page: page.name)
def test_the_first_lines_of_python_run(page: Path) -> None:
    code = blocks(page, "python")[0].replace("video.mp4", str(sample_video("carphone")))
    names: dict[str, Any] = {}
    exec(compile(code, str(page), "exec"), names)
    assert len(names["selection"]) == 8


def test_the_code_on_the_page_of_schemas_runs(elsewhere: Path) -> None:
    shutil.copytree(ROOT / "docs", elsewhere / "docs")
    (code,) = blocks(ROOT / "docs" / "schema.md", "python")
    sampler = KeyScoreSampler(encoder="conse")
    selection: Selection = sampler(sample_video("carphone"), num_frames=2, caption="a man")
    exec(compile(code, "schema.md", "exec"), {"selection": selection})


def test_the_page_on_samplers_shows_the_code_of_the_example() -> None:
    shown, _ = blocks(ROOT / "docs" / "your-own-sampler.md", "python")
    assert shown in (EXAMPLES / "own_sampler.py").read_text()


def commands() -> list[str]:
    """Every command of ours in a block of a page, but those that need no argument."""
    lines = [
        line.partition("|")[2].strip() if line.startswith("find ") else line
        for page in PAGES
        for block in blocks(page, "bash")
        for line in block.splitlines()
    ]
    return [line for line in lines if re.match("keyscore (select|compare|batch) ", line)]


@pytest.mark.parametrize("command", sorted(set(commands())))
def test_a_command_lacks_its_video_alone(
    command: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a folder without the video or the list, it ends in the one line that says so."""
    Path("settings.json").write_text("{}")
    monkeypatch.setattr(sys, "stdin", None)
    words = shlex.split(command, comments=True)[1:]
    assert cli.main(words) in (2, 3)
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"(video\.mp4|film\.mp4|frames|videos(\.jsonl)?|standard input)\b", line), line
