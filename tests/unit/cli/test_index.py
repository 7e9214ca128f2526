"""``keyscore index``: look, list, prune, and one line for each mistake."""

import json
import re
from argparse import ArgumentParser
from pathlib import Path

import pytest

from keyscore_plugin import get_sampler, sample_video
from keyscore_plugin.cli.main import main as cli
from keyscore_plugin.cli.options import add_choice_options, make_config
from keyscore_plugin.config import IndexConfig
from keyscore_plugin.video.copies import Copy
from tests.support.tiny.encoders import save_clip

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("encoder") / "tiny"
    folder.mkdir()
    save_clip(folder)
    return str(folder)


def test_what_is_looked_at_is_used_listed_and_pruned(
    encoder: str, tmp_path: Path, capsys: Capture
) -> None:
    video, index = str(sample_video("bikes")), str(tmp_path / "index")
    options = ["--encoder", encoder, "--index", index]
    assert cli(["index", video, *options]) == 0
    assert re.search(r"bikes\S*: looked at in [\d.]+ s", capsys.readouterr().err)

    asked = ["select", video, "--question", "a dog", "--encoder", encoder, "--json"]
    selections = []
    for more in ([], ["--index", index], ["--set", f"index.folder={index}"]):
        assert cli([*asked, *more]) == 0
        selections.append({**json.loads(capsys.readouterr().out), "seconds": None})
    assert selections[0] == selections[1] == selections[2]

    assert cli(["index", "--list", "--index", index]) == 0
    first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"bikes\S*  \S+tiny  fps  20 of 20 frames embedded  .*", first)
    assert last.startswith(f"{index}: 1 files, ")

    (file,) = Path(index).glob("*/*.safetensors")
    file.write_bytes(file.read_bytes()[:-9])
    assert cli(["index", "--prune", "--index", index]) == 0
    assert capsys.readouterr().out.startswith("deleted bikes")
    assert list(Path(index).glob("*")) == [Path(index) / ".lock"]


def test_a_video_that_came_without_a_name_is_listed_as_such(
    tmp_path: Path, capsys: Capture
) -> None:
    """As a proxy gets it: by a URL, or as data."""
    copy = Copy(sample_video("bikes").read_bytes())
    get_sampler("stacfp", index=str(tmp_path))(copy.path, num_frames=2)
    assert cli(["index", "--list", "--index", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("(from a URL or data)  no encoder  fps  ")


def test_other_settings_of_the_index_stay_when_a_folder_is_named(
    tmp_path: Path, capsys: Capture
) -> None:
    folder, settings = tmp_path / "index", tmp_path / "settings.json"
    settings.write_text(json.dumps({"index": {"folder": str(folder)}}))
    parser = ArgumentParser()
    add_choice_options(parser)
    limit = ["--set", "index.max_gb=5"]
    for words, wanted in (
        (["--index", "D"], IndexConfig("D", 5)),
        (["--index", "auto"], IndexConfig(None, 5)),
        (["--config", str(settings)], IndexConfig(str(folder), 5)),
    ):
        assert make_config(parser.parse_args([*words, *limit])).index == wanted
    assert cli(["index", "--list", "--config", str(settings)]) == 0
    assert capsys.readouterr().out == f"{folder}: 0 files, 0.0 MB\n"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "keyscore index takes videos to look at, or one of --list and --prune"),
        (["a.mp4", "--list"], "or one of --list and --prune; give either"),
        (["a.mp4", "--sampler", "uniform"], "uniform looks at no frames that an index keeps"),
        (["--list", "--index", __file__], r"the index .*test_index\.py is a file; give a folder"),
    ],
)
def test_a_mistake_is_one_line(
    words: list[str], message: str, tmp_path: Path, capsys: Capture
) -> None:
    words = [str(sample_video("bikes")) if word == "a.mp4" else word for word in words]
    index = [] if "--index" in words else ["--index", str(tmp_path)]
    assert cli(["index", *words, *index]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert re.search(message, output.err)
    assert len(output.err.splitlines()) == 1


def test_a_video_that_cannot_be_read_costs_only_itself(
    encoder: str, tmp_path: Path, capsys: Capture
) -> None:
    videos = [str(tmp_path / "absent.mp4"), str(sample_video("bikes"))]
    options = ["--encoder", encoder, "--index", str(tmp_path / "index")]
    assert cli(["index", *videos, *options]) == 4
    assert "absent.mp4: no such file exists" in capsys.readouterr().err
    assert cli(["index", videos[0], *options]) == 3
