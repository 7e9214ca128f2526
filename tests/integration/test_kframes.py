"""K-frames through the command line and the hosts, by tiny Video-LLMs that write given answers."""

import importlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyscore_lmms_eval.arguments import SamplerArguments
from keyscore_plugin import VlmCaptioner, sample_video
from keyscore_plugin.cli import main as cli
from keyscore_plugin.errors import ModelError
from keyscore_qwen_vl_utils.request import request_of
from keyscore_transformers import enable, generate
from tests.support import tiny
from tests.support.adapters import save_adapter
from tests.support.lmms.assets import write_clips
from tests.support.lmms.eval_requests import TinyTask, ask
from tests.support.requires import require_or_skip
from tests.support.tiny.read_back import prompt
from tests.support.tiny.scripted import save_scripted, scripted

pytestmark = pytest.mark.slow

Capture = pytest.CaptureFixture[str]
BIKES = str(sample_video("bikes"))  # ten seconds
QUESTION = "Where do they ride?"
CLIP = '[{"start": 2, "end": 4.5, "priority": 1, "reason": "They ride <past> the tree."}]'
SMALL = ["--set", "judge.num_frames=8", "--set", "judge.short_side=32"]
CONFIG = {"judge": {"num_frames": 8, "short_side": 32}}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("judges")
    save_scripted(root / "sound", CLIP)
    save_scripted(root / "prose", "They ride past the tree.")
    save_scripted(root / "loop", "they ride and ", stops=False)
    return root


def select(model: Path | str, *more: str, question: bool = True) -> list[str]:
    asked = ["--question", QUESTION] if question else []
    chosen = ["--sampler", "kframes", "--captioner", str(model), "--encoder", "conse", *SMALL]
    return ["select", BIKES, *asked, "--num-frames", "4", *chosen, *more]


def test_the_command_line_chooses_from_the_clip_that_the_model_names(
    models: Path, tmp_path: Path, capsys: Capture
) -> None:
    page = tmp_path / "why.html"
    assert cli.main([*select(models / "sound", "--json", "--report", str(page))]) == 0
    out, err = capsys.readouterr()
    selection = json.loads(out)
    assert "fallback" not in err
    assert selection["fallback"] is None
    assert selection["clips"]["reasons"] == ["They ride <past> the tree."]
    assert selection["clips"]["model"] == str(models / "sound")
    (start,), (end,) = selection["clips"]["starts"], selection["clips"]["ends"]
    assert all(start <= seconds < end for seconds in selection["pts_seconds"])
    assert "They ride &lt;past&gt; the tree." in page.read_text()


@pytest.mark.parametrize("model", ["prose", "loop"])
def test_the_command_line_says_that_the_model_named_no_clip(
    model: str, models: Path, capsys: Capture
) -> None:
    assert cli.main(select(models / model, "--json")) == 0
    out, err = capsys.readouterr()
    selection = json.loads(out)
    assert re.search(r"^fallback: .* named no clip that can be used \(no list\)", err, re.MULTILINE)
    assert f"fallback: {selection['fallback']}" in err
    assert len(selection["indices"]) == 4


def of_stills(folder: Path) -> Path:
    """A model whose processor reads pictures and no videos."""
    transformers: Any = importlib.import_module("transformers")
    processor, model = tiny.build("qwen2_5_vl")
    model.save_pretrained(folder)
    pictures = transformers.LlavaProcessor(processor.image_processor, processor.tokenizer)
    pictures.save_pretrained(folder)
    return folder


def test_what_cannot_be_asked_is_one_line(models: Path, tmp_path: Path, capsys: Capture) -> None:
    base, other = tiny.save("qwen2_5_vl", tmp_path / "base"), tiny.save("qwen3_vl", tmp_path / "q3")
    adapter = save_adapter(base, tmp_path / "adapter")
    for argv, message in [
        (select(models / "sound", question=False), "no text was given; give a question"),
        (select("labels"), "'labels' is not one; give the model id or folder of a Video-LLM"),
        (select(of_stills(tmp_path / "stills")), "reads no videos; give a Video-LLM"),
        (select(other, "--adapter", str(adapter)), "is of another model than"),
        (select("labels", "--adapter", str(adapter)), "is for a Video-LLM, got the captioner"),
    ]:
        assert cli.main(argv) == 2
        out, err = capsys.readouterr()
        lines = [line for line in err.splitlines() if line.startswith("keyscore: ")]
        assert (out, len(lines)) == ("", 1)
        assert message in lines[0]


def test_a_batch_resumes_with_the_same_model_only(
    models: Path, tmp_path: Path, capsys: Capture
) -> None:
    manifest, out = tmp_path / "list.jsonl", tmp_path / "out.jsonl"
    manifest.write_text(json.dumps({"video": BIKES, "question": QUESTION}) + "\n")
    options = ["--sampler", "kframes", "--encoder", "conse", "--num-frames", "2", *SMALL]
    run = ["batch", str(manifest), "--out", str(out), *options, "--captioner"]
    assert cli.main([*run, str(models / "prose")]) == 0
    assert "fallback: " in capsys.readouterr().err
    done = out.read_text()
    assert cli.main([*run, str(models / "prose")]) == 0
    assert out.read_text() == done
    assert cli.main([*run, str(models / "sound")]) == 2
    assert "holds id 1 with captioner " in capsys.readouterr().err
    assert cli.main([*run, "labels", "--out", str(tmp_path / "none.jsonl")]) == 2
    assert "'labels' is not one; give the model id" in capsys.readouterr().err
    assert (tmp_path / "none.jsonl").read_text() == ""  # the line stays open
    manifest.write_text(json.dumps({"video": BIKES}) + "\n")
    assert cli.main([*run, str(models / "prose")]) == 2
    assert "question" in capsys.readouterr().err


def test_transformers_asks_the_model_that_answers_with_its_users_text() -> None:
    processor, model = scripted(CLIP)
    enable(processor, model=model, encoder="conse", config=CONFIG)
    content = [{"type": "video", "path": BIKES}, {"type": "text", "text": QUESTION}]
    messages = [{"role": "user", "content": content}]
    answer = generate(model, processor, messages, sampler="kframes", num_frames=4, max_new_tokens=4)
    (selection,) = processor.last_selections
    assert answer == CLIP  # of the same weights, whatever they are asked
    assert (selection.question, selection.caption, selection.fallback) == (QUESTION, None, None)
    inputs = processor.apply_chat_template(
        messages, sampler="kframes", tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert QUESTION in prompt(inputs, processor)
    assert "the tree" not in prompt(inputs, processor)  # reasons are for people
    assert selection.clips is not None
    assert selection.clips.reasons == ("They ride <past> the tree.",)
    assert selection.clips.model == type(model).__name__


def test_transformers_asks_a_model_of_its_own_if_it_is_given() -> None:
    processor, model = scripted(CLIP)
    other_processor, other = scripted("[]")
    judge = VlmCaptioner(other, other_processor)
    enable(processor, model=model, captioner=judge, encoder="conse", config=CONFIG)
    content = [{"type": "video", "path": BIKES}, {"type": "text", "text": QUESTION}]
    messages = [{"role": "user", "content": content}]
    generate(model, processor, messages, sampler="kframes", max_new_tokens=4)
    assert "(no clip)" in (processor.last_selections[0].fallback or "")
    enable(processor, captioner="labels", encoder="conse", config=CONFIG)
    with pytest.raises(ModelError, match="'labels' is not one"):
        processor.apply_chat_template(messages, sampler="kframes", tokenize=True)


def test_a_clip_mode_reaches_the_sampler_through_every_host() -> None:
    processor, _ = scripted(CLIP)
    enable(processor, encoder="conse")
    video = {"type": "video", "path": BIKES, "clip_mode": "hybrid"}
    processor.apply_chat_template(
        [{"role": "user", "content": [video, {"type": "text", "text": QUESTION}]}],
        sampler="clips",
        num_frames=2,
        tokenize=True,
    )
    (selection,) = processor.last_selections
    assert selection.config["clips"]["mode"] == "hybrid"
    element = {"type": "video", "video": BIKES, "sampler": "clips", "clip_mode": "hybrid"}
    assert request_of(element).clip_mode == "hybrid"
    arguments, _ = SamplerArguments.split({"sampler": "clips", "clip_mode": "hybrid"})
    assert arguments is not None
    assert arguments.config().clips.mode == "hybrid"


@pytest.fixture
def lmms_model(models: Path, tmp_path: Path) -> Callable[[str], Any]:
    """Makes the model of lmms-eval that is evaluated, with the sampler."""
    require_or_skip("lmms_eval")

    def made(name: str) -> Any:
        config = tmp_path / "config.json"
        config.write_text(json.dumps(CONFIG))
        lmms = importlib.import_module("keyscore_lmms_eval.models")
        return lmms.derived("qwen2_5_vl", "chat")(
            pretrained=str(models / name),
            device="cpu",
            device_map="cpu",
            sampler="kframes",
            sampler_encoder="conse",
            sampler_config=str(config),
            sampler_cache="none",
            sampler_log=str(tmp_path / "log.jsonl"),
            num_frames=8,
        )

    return made


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("name", ["sound", "prose"])
def test_lmms_eval_asks_the_model_that_is_evaluated(
    name: str, lmms_model: Callable[[str], Any], tmp_path: Path
) -> None:
    write_clips(tmp_path)
    docs = [{"id": "0", "videos": ["even.mp4"], "question": "Which colour?"}]
    ask(lmms_model(name), TinyTask(tmp_path), docs)
    (line,) = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    assert line["error"] is None
    if name == "sound":
        assert line["fallback"] is None
        # A time moves by less than the distance of two frames that the model sees, 1.5 s.
        assert all(0.5 <= seconds <= 5.5 for seconds in line["shown_seconds"])
    else:
        assert "(no list)" in line["fallback"]
