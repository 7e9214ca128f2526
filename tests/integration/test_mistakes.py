"""Table: what users get wrong, each answered by one short line that says what to do instead."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from keyscore_plugin import (
    KeyScoreError,
    KeyScoreSampler,
    SamplerConfig,
    Selection,
    get_sampler,
    open_video,
    propose,
    select,
)
from keyscore_plugin.cli.main import main
from keyscore_plugin.encoders import load_encoder
from keyscore_plugin.errors import MOST_CHARACTERS
from keyscore_plugin.hosts.download import DownloadLimits
from keyscore_plugin.report import write_report
from keyscore_plugin.video.samples import sample_video
from keyscore_qwen_vl_utils.reader import read
from keyscore_transformers import enable
from tests.support.tiny import FAMILIES
from tests.support.tiny.videos import numbered_video


def wrong(value: object) -> Any:
    """What is of no type that a call takes."""
    return value


GREY = np.zeros((4, 8, 6, 3), dtype=np.uint8)
UNIFORM = get_sampler("uniform")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(numbered_video(tmp_path_factory.mktemp("mistakes") / "clip.mp4", 24))


def choose(name: str, video: Any, **keywords: Any) -> Selection:
    return get_sampler(name)(video, **keywords)


def opened(video: str, use: Callable[[Any], Any]) -> Any:
    with open_video(video) as source:
        return use(source)


def closed(video: str) -> Any:
    with open_video(video) as source:
        pass
    return source.read([0])


def as_text(video: str) -> Any:
    with Path(video).open(encoding="latin-1") as text:
        return open_video(wrong(text))


CALLS: dict[str, tuple[Callable[[str], Any], str]] = {
    # The video.
    "a name that is mistyped": (lambda v: open_video(v + "x"), "check the path"),
    "a relative name": (lambda v: open_video("clip.mp4"), f"which starts at {Path.cwd()}"),
    "~": (lambda v: open_video("~/clip.mp4"), "give the whole path"),
    "a pattern": (lambda v: open_video("/videos/*.mp4"), "give the path of one file"),
    "quotation marks": (lambda v: open_video(f'"{v}"'), "leave out the quotation marks"),
    "a line break": (lambda v: open_video(f"{v}\n"), "line breaks around the path"),
    "an address": (lambda v: open_video("https://example.com/a.mp4"), "download it"),
    "a file: address": (lambda v: open_video(Path(v).as_uri()), "without file://"),
    "a camera": (lambda v: open_video(wrong(0)), "give a path"),
    "nothing": (lambda v: open_video(wrong(None)), "give a path"),
    "an empty name": (lambda v: open_video(""), "give the path of one video file"),
    "a folder of videos": (lambda v: open_video(Path(v).parent), "one video file"),
    "several videos": (lambda v: open_video([v, v], fps=2), "give several videos one by one"),
    "no bytes": (lambda v: open_video(b""), "give the bytes of a whole video file"),
    "a file object of texts": (as_text, "open(path, 'rb')"),
    "a file object at its end": (lambda v: open_video(io.BytesIO()), "rewound by seek(0)"),
    "the name as bytes": (lambda v: open_video(v.encode()), "give a video file"),
    "frames without a rate": (lambda v: open_video(GREY), "give fps="),
    "a rate with a file": (lambda v: open_video(v, fps=25), "leave fps out"),
    "frames from 0 to 1": (lambda v: open_video(GREY / 255, fps=25), "convert it to uint8"),
    "one frame": (lambda v: open_video(GREY[0], fps=25), "stack all frames"),
    "images of several sizes": (
        lambda v: open_video([PIL.Image.new("RGB", (n, 4)) for n in (4, 6)], fps=25),
        "scale them to one",
    ),
    # Reading it.
    "a decoder of others": (lambda v: open_video(v, "opencv"), "pyav"),
    "a frame that is not there": (lambda v: opened(v, lambda s: s.read([24])), "frames 0 to 23"),
    "a frame from the end": (lambda v: opened(v, lambda s: s.read([-1])), "frames 0 to 23"),
    "a number, not a list": (lambda v: opened(v, lambda s: s.read(3)), "one list such as [3]"),
    "times for indices": (lambda v: opened(v, lambda s: s.read([0.5])), "in pts_seconds()"),
    "one side": (lambda v: opened(v, lambda s: s.read([0], size=64)), "(height, width)"),
    "after closing": (closed, "inside its `with` block"),
    # Choosing.
    "a sampler that is mistyped": (lambda v: get_sampler("unifrom"), "uniform"),
    "a device of others": (lambda v: get_sampler("uniform", device="gpu"), "cuda:N"),
    "a GPU that is not there": (
        lambda v: get_sampler("uniform", device="cuda:99"),
        "use device='auto' or device='cpu'",
    ),
    "no text": (lambda v: choose("topk", v), "give a caption, give a question"),
    "an empty text": (lambda v: UNIFORM(v, caption=" "), "give a sentence, or leave it out"),
    "a text that is a number": (
        lambda v: UNIFORM(v, caption=wrong(["a", 2])),
        "must be a text or a list of texts",
    ),
    "no frames": (lambda v: UNIFORM(v, num_frames=0), "whole number >= 1"),
    "half a frame": (
        lambda v: UNIFORM(v, num_frames=wrong(1.5)),
        "whole number >= 1",
    ),
    "two budgets": (
        lambda v: choose("topk", v, num_frames=2, threshold=0.5, caption="a"),
        "give one of them",
    ),
    "a threshold of what ranks nothing": (lambda v: UNIFORM(v, threshold=0.5), "use num_frames"),
    "a threshold in words": (
        lambda v: KeyScoreSampler()(v, threshold=wrong("high"), caption="a"),
        "a finite number",
    ),
    "no encoder": (lambda v: load_encoder(wrong(None)), "is a name ('conse'"),
    "a captioner that is switched on": (
        lambda v: get_sampler("topk", captioner=wrong(True))(v),
        "is a name ('labels'",
    ),
    # Settings.
    "a setting of no stage": (lambda v: SamplerConfig.from_dict({"fps": 4}), "grid"),
    "a setting in words": (lambda v: SamplerConfig(guide=wrong("text")), "caption|question"),
    "a weight alone": (lambda v: SamplerConfig.from_dict({"score": {"alpha": 1.0}}), "sum to 1"),
    "a limit in words": (lambda v: DownloadLimits(wrong("2 GB")), "whole number"),
    # The parts.
    "arrays for tensors": (
        lambda v: select(wrong(np.ones(3)), wrong(np.ones(3)), num_frames=2),
        "Tensor",
    ),
    "times of other frames": (
        lambda v: select(torch.ones(3), torch.ones(2), num_frames=2),
        "one score and one time",
    ),
    "pixels for frames": (lambda v: propose(wrong(torch.ones(3))), "Frames"),
    "a file of a selection": (lambda v: Selection.from_json(v), "the text that to_json wrote"),
    "a report in another format": (
        lambda v: write_report(UNIFORM(v, num_frames=1), "why.pdf"),
        ".html, .png, .svg",
    ),
    "a sample that is not there": (lambda v: sample_video("cats"), "bikes"),
}


def message_of(call: Callable[[], Any]) -> str:
    with pytest.raises(KeyScoreError) as error:
        call()
    message = str(error.value)
    assert len(message) <= MOST_CHARACTERS
    assert message.isprintable()
    return message


@pytest.mark.parametrize("mistake", CALLS)
def test_a_mistake_in_python_is_answered_in_one_line(mistake: str, video: str) -> None:
    call, advice = CALLS[mistake]
    assert advice in message_of(lambda: call(video))


def template(**keywords: Any) -> Callable[[str], Any]:
    """A call of transformers' `apply_chat_template` on one video."""

    def call(video: str) -> Any:
        block = {"type": "video", "video": keywords.pop("video", video)}
        asked = {"role": "user", "content": [block, {"type": "text", "text": "Which?"}]}
        processor = enable(FAMILIES["qwen3_vl"].processor())
        return processor.apply_chat_template([asked], tokenize=True, return_dict=True, **keywords)

    return call


def element(**keywords: Any) -> Callable[[str], Any]:
    """A call of qwen-vl-utils on one video."""
    return lambda video: read({"type": "video", "video": video, "sampler": "uniform", **keywords})


HOSTS: dict[str, tuple[Callable[[str], Any], str]] = {
    "a model, not its processor": (
        lambda v: enable("Qwen/Qwen3-VL-2B"),
        "is no processor that takes",
    ),
    "URLs are allowed by a yes": (
        lambda v: enable(FAMILIES["qwen3_vl"].processor(), limits=wrong(True)),
        "limits=DownloadLimits",
    ),
    "a sampler that is mistyped": (template(sampler="unifrom"), "uniform"),
    "a sampler that is switched on": (template(sampler=True), "is a name ('uniform')"),
    "the class of a sampler": (template(sampler=KeyScoreSampler), "is a name ('uniform')"),
    "a rate with a sampler": (template(sampler="uniform", fps=2), "give num_frames"),
    "two budgets": (template(sampler="uniform", num_frames=4, token_budget=4), "give one"),
    "a budget in words": (template(sampler="uniform", token_budget="4"), "frames >= 1"),
    "a guide that is mistyped": (template(sampler="uniform", guide="text"), "caption|question"),
    "a pair that is mistyped": (template(sampler="uniform", pair="twice"), "duplicate"),
    "samplers of other videos": (template(sampler=["uniform", "topk"]), "for 1 videos"),
    "no file": (template(sampler="uniform", video="/no.mp4"), "check the path"),
    "an image": (template(sampler="uniform", video="a.png"), "a list of all its frames"),
    "an address": (template(sampler="uniform", video="https://a.b/c.mp4"), "DownloadLimits("),
    "frames without a rate": (template(sampler="uniform", video=GREY), "give video_metadata"),
    "no video": (template(sampler="uniform", video=None), "give a path, a URL"),
    "qwen-vl-utils: num_frames": (element(num_frames=4), "is nframes"),
    "qwen-vl-utils: a mistyped sampler": (element(sampler="unifrom"), "uniform"),
    "qwen-vl-utils: a sampler switched on": (element(sampler=True), "is a name ('uniform')"),
    "qwen-vl-utils: no text": (element(sampler="topk"), "put a 'caption'"),
    "qwen-vl-utils: an interval beyond": (element(video_start=100), "give another start or end"),
    "qwen-vl-utils: an address": (element(video="http://a.b/c.mp4"), "DownloadLimits("),
    "qwen-vl-utils: a decoder of others": (element(decoder="cv2"), "pyav"),
}


@pytest.mark.parametrize("mistake", HOSTS)
def test_a_mistake_in_a_host_is_answered_in_one_line(mistake: str, video: str) -> None:
    call, advice = HOSTS[mistake]
    assert advice in message_of(lambda: call(video))


COMMANDS: dict[str, tuple[str, int, str]] = {
    "no command": ("", 2, "select"),
    "a command that is mistyped": ("selct clip.mp4", 2, "select"),
    "no video": ("select", 2, "VIDEO"),
    "no file": ("select nowhere.mp4 --caption dog", 3, "check the path"),
    "no text": ("select clip.mp4", 2, "give a caption, give a question"),
    "two texts": ("select clip.mp4 --caption a --question b", 2, "--caption"),
    "an empty text": ("select clip.mp4 --caption ''", 2, "give a sentence, or leave it out"),
    "a count in words": ("select clip.mp4 --num-frames many", 2, "a whole number of 1 or more"),
    "two budgets": ("select clip.mp4 --num-frames 3 --threshold 1", 2, "--num-frames"),
    "a sampler that is mistyped": ("select clip.mp4 --sampler unifrom", 2, "uniform"),
    "a decoder of others": ("select clip.mp4 --sampler uniform --decoder cv2", 2, "pyav"),
    "a device of others": ("select clip.mp4 --sampler uniform --device gpu", 2, "cuda:N"),
    "a report in another format": ("select clip.mp4 --sampler uniform --report a.pdf", 2, ".html"),
    "an option that is not there": ("select clip.mp4 --frames 8", 2, "--frames"),
    "a threshold of what ranks nothing": (
        "select clip.mp4 --sampler uniform --threshold 0.5",
        2,
        "use num_frames",
    ),
    "an address": ("select https://a.b/c.mp4 --sampler uniform", 3, "download it"),
    "a folder": ("select . --sampler uniform", 3, "fps (--fps) for a folder of pictures"),
    "a folder of videos": ("select . --sampler uniform --fps 2", 3, "put images"),
    "a rate with a file": ("select clip.mp4 --sampler uniform --fps 2", 2, "leave fps out"),
    "a rate in words": ("select . --sampler uniform --fps fast", 2, "above 0"),
    "a page": ("select page.mp4 --sampler uniform", 3, "download the video itself"),
    "no manifest": ("batch none.jsonl --out out.jsonl --sampler uniform", 2, "none.jsonl"),
    "a video for a manifest": (
        "batch clip.mp4 --out out.jsonl --sampler uniform",
        2,
        "one video: keyscore select",
    ),
    "no output": ("batch list.jsonl", 2, "--out"),
    "a key that is mistyped": ("batch key.jsonl --out out.jsonl --sampler uniform", 2, "video"),
    "a line without a text": ("batch list.jsonl --out out.jsonl", 2, "add a caption"),
    "no workers": ("batch list.jsonl --out out.jsonl --workers 0", 2, "of 1 or more"),
}


@pytest.mark.parametrize("mistake", COMMANDS)
def test_a_mistake_on_the_command_line_is_answered_in_one_line(
    mistake: str,
    video: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command, code, advice = COMMANDS[mistake]
    monkeypatch.chdir(tmp_path)
    Path("clip.mp4").symlink_to(video)
    Path("page.mp4").write_text("<!doctype html>")
    Path("list.jsonl").write_text('{"video": "clip.mp4"}\n')
    Path("key.jsonl").write_text('{"file": "clip.mp4"}\n')
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(main([word.strip("'") for word in command.split()]))
    out, said = capsys.readouterr()
    assert ended.value.code == code
    assert out == ""
    assert said.count("\n") == 1
    assert len(said) <= MOST_CHARACTERS
    assert advice in said


def test_an_answer_on_the_command_line_is_short_whatever_was_given(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for words in (["select", "a" * 10**5, "--sampler", "uniform"], ["select", "--x" + "y" * 10**5]):
        with pytest.raises(SystemExit):
            raise SystemExit(main(words))
        said = capsys.readouterr().err
        assert said.count("\n") == 1
        assert len(said) <= MOST_CHARACTERS
