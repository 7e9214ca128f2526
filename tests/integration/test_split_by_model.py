"""``split="model"`` through the command line and the hosts, by a tiny Video-LLM of one answer."""

import importlib
import json
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin import sample_video
from keyscore_plugin.cli import main as cli
from keyscore_transformers import enable, generate
from tests.support.lmms.assets import write_clips
from tests.support.lmms.eval_requests import TinyTask, ask
from tests.support.requires import require_or_skip
from tests.support.tiny.encoders import save_clip
from tests.support.tiny.scripted import save_scripted, scripted

pytestmark = pytest.mark.slow

BIKES = str(sample_video("bikes"))
QUESTION = "Do they ride past the tree?"
THINGS = "people on bikes\na tree"


def texts_of(selection: dict[str, Any]) -> list[str]:
    return [text["text"] for text in selection["texts"]]


def test_the_command_line_and_a_batch_ask_the_captioner(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require_or_skip("torchvision")
    save_clip(tmp_path / "clip")
    model = str(save_scripted(tmp_path / "model", THINGS))
    chosen = ["--encoder", str(tmp_path / "clip"), "--sampler", "topk", "--set", "split=model"]
    asked = ["select", BIKES, "--question", QUESTION, "--json", *chosen]
    assert cli.main([*asked, "--captioner", model]) == 0
    assert texts_of(json.loads(capsys.readouterr().out)) == THINGS.split("\n")
    assert cli.main(asked) == 2
    assert "set llmvs.model (--language-model)" in capsys.readouterr().err
    manifest, out = tmp_path / "list.jsonl", tmp_path / "out.jsonl"
    manifest.write_text(json.dumps({"video": BIKES, "question": QUESTION}) + "\n")
    run = ["batch", str(manifest), "--out", str(out), *chosen, "--captioner", model]
    assert cli.main(run) == 0
    assert texts_of(json.loads(out.read_text())) == THINGS.split("\n")


def test_transformers_asks_the_model_that_answers(tmp_path: Path) -> None:
    require_or_skip("torchvision")
    save_clip(tmp_path)
    processor, model = scripted(THINGS)
    enable(processor, model=model, encoder=str(tmp_path), config={"split": "model"})
    content = [{"type": "video", "path": BIKES}, {"type": "text", "text": QUESTION}]
    messages = [{"role": "user", "content": content}]
    generate(model, processor, messages, sampler="topk", num_frames=4, max_new_tokens=4)
    (selection,) = processor.last_selections
    assert [text.text for text in selection.texts] == THINGS.split("\n")


@pytest.mark.filterwarnings("default")
def test_lmms_eval_asks_the_model_that_is_evaluated(tmp_path: Path) -> None:
    require_or_skip("lmms_eval")
    write_clips(tmp_path)
    save_clip(tmp_path / "clip")
    config, log = tmp_path / "config.json", tmp_path / "log.jsonl"
    config.write_text(json.dumps({"split": "model"}))
    lmms = importlib.import_module("keyscore_lmms_eval.models")
    model = lmms.derived("qwen2_5_vl", "chat")(
        pretrained=str(save_scripted(tmp_path / "model", THINGS)),
        device="cpu",
        device_map="cpu",
        sampler="topk",
        sampler_encoder=str(tmp_path / "clip"),
        sampler_config=str(config),
        sampler_cache="none",
        sampler_log=str(log),
        num_frames=8,
    )
    ask(
        model,
        TinyTask(tmp_path),
        [{"id": "0", "videos": ["even.mp4"], "question": "Which colour?"}],
    )
    assert json.loads(log.read_text())["error"] is None  # without a model it would be an error
