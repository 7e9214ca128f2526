"""LLMVS from the command line and in a host: real clips, real captions, a tiny language model."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin.cli.main import main
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import ModelError
from keyscore_plugin.hosts import (
    Fold,
    HostProfile,
    HostRequest,
    SamplerPool,
    SelectionCache,
    choose,
)
from keyscore_plugin.hosts.query import QUERY_RULES
from keyscore_plugin.video.samples import sample_video
from keyscore_serving import FrameChooser, FrameRequest, ServerSettings
from tests.support.importance import language_model_folder

pytestmark = pytest.mark.slow

HOST = HostProfile(rule=QUERY_RULES["serving"], allowed_by="limits", give_text="give a caption")


def options() -> list[str]:
    return [
        *("--sampler", "llmvs", "--captioner", "labels", "--num-frames", "4", "--device", "cpu"),
        *("--language-model", language_model_folder(), "--set", "grid.sample_fps=1"),
    ]


def test_a_selection_from_the_command_line_holds_the_captions_and_so_does_its_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "why.html"
    video = str(sample_video("bikes"))
    assert main(["select", video, *options(), "--json", "--report", str(report)]) == 0
    selection = json.loads(capsys.readouterr().out)
    assert len(selection["frame_captions"]) == len(selection["indices"]) == 4
    assert any(
        text.startswith("A picture that seems to show") for text in selection["frame_captions"]
    )
    page = report.read_text()
    assert "<th>caption</th>" in page
    assert all(text in page for text in selection["frame_captions"])
    assert main(["select", video, *options()]) == 0
    printed = capsys.readouterr()
    assert all(text in printed.out for text in selection["frame_captions"])
    assert "note: no trained head" in printed.err


def test_a_batch_is_resumed_with_the_same_language_model_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.jsonl").write_text(json.dumps({"video": str(sample_video("bikes"))}))
    run = ["batch", str(tmp_path / "list.jsonl"), "--out", str(tmp_path / "out.jsonl"), *options()]
    assert main(run) == 0
    assert main(run) == 0
    assert "1 of them from before" in capsys.readouterr().err
    assert main([*run, "--set", "llmvs.window=5"]) == 2
    assert "llmvs.window 7, this run asks for 5" in capsys.readouterr().err


def test_a_host_keeps_a_selection_by_its_language_model(tmp_path: Path) -> None:
    def chosen(**llmvs: Any) -> Any:
        config = SamplerConfig.from_dict(
            {
                "grid": {"sample_fps": 1},
                "llmvs": {"model": language_model_folder(), **llmvs},
            }
        )
        return choose(
            HostRequest(
                video=sample_video("bikes"), sampler="llmvs", num_frames=4, caption="a tram"
            ),
            host=HOST,
            samplers=SamplerPool(captioner="labels", config=config, device="cpu"),
            fold=Fold(frames_per_patch=1),
            cache=SelectionCache(tmp_path),
            read=False,
        )

    first, again, other = chosen(), chosen(), chosen(window=1)
    assert (first.cached, again.cached, other.cached) == (False, True, False)
    assert again.selection.frame_captions == first.selection.frame_captions
    assert first.selection.caption is None  # a text changes nothing


def test_a_server_chooses_with_the_models_of_its_operator() -> None:
    llmvs = {"model": language_model_folder()}
    config = SamplerConfig.from_dict({"grid": {"sample_fps": 1}, "llmvs": llmvs})
    settings = ServerSettings(encoder="conse", captioner="labels", config=config)
    chosen = FrameChooser(settings).choose(
        str(sample_video("bikes")),
        FrameRequest(sampler="llmvs", num_frames=4),
        fold=Fold(frames_per_patch=1),
    )
    assert len(chosen.selection.frame_captions) == 4
    wrong = replace(config, llmvs=replace(config.llmvs, model="nowhere/nothing"))
    with pytest.raises(ModelError, match="language model 'nowhere/nothing'"):
        FrameChooser(replace(settings, config=wrong))
