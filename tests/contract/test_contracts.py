"""What is used from outside, line by line as documented: it keeps its name and meaning."""

import json
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin.cli import main as cli
from keyscore_transformers import enable, generate
from tests.support import tiny
from tests.support.colour_encoder import ColourEncoder
from tests.support.tiny.videos import numbered_video

OPTIONS = (
    *("--caption", "--question", "--num-frames", "--threshold", "--sampler", "--encoder"),
    *("--captioner", "--decoder", "--grid", "--device", "--json", "--save-frames", "--report"),
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("contract") / "video.mp4"
    return str(numbered_video(path, n=40, fps=10, size=(64, 64)))


def test_the_documented_calls_in_python_choose_frames(video: str) -> None:
    from keyscore_plugin import (
        KeyScoreSampler,
        Selection,
        get_sampler,
        list_samplers,
        open_video,
        propose,
        score,
        select,
    )

    sampler = KeyScoreSampler(encoder="conse")
    selection = sampler(video, num_frames=8, caption="a dog is petted")
    assert isinstance(selection, Selection)
    assert selection.indices == sorted(set(selection.indices))
    assert selection.pts_seconds == pytest.approx([index / 10 for index in selection.indices])
    assert selection.scores is not None
    assert len(selection) == len(selection.pts_seconds) == len(selection.scores) == 8
    assert get_sampler("uniform")(video, num_frames=8).indices == list(range(2, 40, 5))
    assert {"keyscore", "stacfp", "topk", "uniform"} <= set(list_samplers())
    assert all(callable(call) for call in (open_video, propose, score, select))


def test_the_documented_calls_with_transformers_choose_frames(video: str) -> None:
    made, model = tiny.build("qwen2_5_vl")
    processor = enable(made, encoder=ColourEncoder())
    content = [{"type": "video", "path": video}, {"type": "text", "text": "How red is it?"}]
    messages = [{"role": "user", "content": content}]
    sampler: dict[str, Any] = {"sampler": "keyscore", "num_frames": 8, "caption": "red"}
    tokens = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
    inputs = processor.apply_chat_template(messages, **sampler, **tokens)
    assert {"input_ids", "pixel_values_videos"} <= set(inputs)
    assert len(processor.last_selections[0]) == 8
    assert isinstance(generate(model, processor, messages, **sampler, max_new_tokens=64), str)


def test_select_takes_its_options(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["select", "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert [option for option in OPTIONS if option not in text] == []


def test_json_on_standard_output_is_exactly_one_object(
    video: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["select", video, "--sampler", "uniform", "--num-frames", "2", "--json"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["indices"] == [10, 30]


def test_bad_usage_ends_with_2(video: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["select", video, "--sampler", "uniforn", "--json"]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "'uniforn'" in err


def test_a_video_that_cannot_be_read_ends_with_3(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "notes.mp4"
    path.write_text("not a video")
    assert cli.main(["select", str(path), "--sampler", "uniform", "--json"]) == 3
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert str(path) in err


def test_batch_writes_an_object_a_line_and_goes_on_without_repeating_one(
    video: str, tmp_path: Path
) -> None:
    manifest, out = tmp_path / "manifest.jsonl", tmp_path / "out.jsonl"
    lines = [{"video": video, "id": "a"}, {"video": "gone.mp4"}, {"video": video, "question": "?"}]
    manifest.write_text("".join(json.dumps(line) + "\n" for line in lines))
    argv = ["batch", str(manifest), "--out", str(out), "--sampler", "uniform"]
    assert cli.main(argv) == 4
    whole = out.read_text()
    first, failed, last = map(json.loads, whole.splitlines())
    assert (first["id"], first["video"], last["video"]) == ("a", video, video)
    assert failed.keys() == {"id", "video", "error"}
    out.write_text("".join(whole.splitlines(keepends=True)[:2]))
    assert cli.main(argv) == 4
    again = [json.loads(line) for line in out.read_text().splitlines()]
    assert [record["id"] for record in again] == [first["id"], failed["id"], last["id"]]
