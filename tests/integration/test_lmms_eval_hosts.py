"""The other models of lmms-eval: the frames that reach each of them are those of the log."""

import base64
import importlib
import io
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from keyscore_plugin.errors import CacheError, InputError, ModelError
from keyscore_plugin.registries import SAMPLERS
from tests.support.http_servers import serving, unvisited
from tests.support.lmms.assets import save_answering, write_clips
from tests.support.lmms.eval_requests import TinyTask, ask, echoing_model
from tests.support.lmms.media_files import write_animation, write_webm
from tests.support.requires import require_or_skip
from tests.support.tiny import FAMILIES
from tests.support.tiny.family import hf
from tests.support.tiny.read_back import prompt
from tests.support.tiny.videos import frame_numbers, numbered_video

# What the hosts warn about is theirs.
pytestmark = pytest.mark.filterwarnings("default")

EVEN = {"id": "0", "videos": ["even.mp4"], "question": "Which colour?"}
UNEVEN = {"id": "1", "videos": ["uneven.mp4"], "question": "At what time?"}
DOCS = [EVEN, UNEVEN]


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_or_skip("lmms_eval")
    folder = tmp_path_factory.mktemp("hosts")
    write_clips(folder)
    numbered_video(folder / "one.mp4", n=1)
    numbered_video(folder / "three.mp4", n=3, seconds=[40_000, 40_000.1, 40_000.2])
    for family in ("qwen2_vl", "qwen2_5_vl", "internvl", "llava_onevision", "qwen3_vl"):
        save_answering(family, folder / family)
    return folder


@pytest.fixture
def log(tmp_path: Path) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(x) for x in (tmp_path / "log.jsonl").read_text().splitlines()]


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Any]:
    """Makes a model of lmms-eval with a sampler whose log is in the test's folder."""

    def made(model_id: str, kind: str, **arguments: Any) -> Any:
        models = importlib.import_module("keyscore_lmms_eval.models")
        ours = {"sampler": "uniform", "num_frames": 6, "sampler_log": str(tmp_path / "log.jsonl")}
        return models.derived(model_id, kind)(**{**ours, **arguments})

    return made


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Tensor]]:
    """The tensors of every call of a model of transformers, as it gets them."""
    kept: list[dict[str, Tensor]] = []
    mixin: Any = next(
        c for c in hf("Qwen2VLForConditionalGeneration").__mro__ if "generate" in vars(c)
    )
    stock = mixin.generate

    def generate(self: Any, *args: Any, **kwargs: Any) -> Any:
        kept.append({k: v for k, v in kwargs.items() if isinstance(v, Tensor)})
        return stock(self, *args, **kwargs)

    monkeypatch.setattr(mixin, "generate", generate)
    return kept


def check_frames_by_question(
    family: str, assets: Path, lines: list[dict[str, Any]], inputs: list[dict[str, Tensor]]
) -> None:
    """See that the model got, with each question, the frames and times that the log names for it.

    Times are those of a family that is told any.
    """
    tiny = FAMILIES[family]
    processor = hf("AutoProcessor").from_pretrained(assets / family)
    by_question = {line["question"]: line for line in lines}
    for given in inputs:
        [question] = [text for text in by_question if text in prompt(given, processor)]
        line = by_question[question]
        assert tiny.read_back(given) == line["shown"]
        if tiny.read_times is not None and tiny.expected_times is not None:
            network = hf("AutoModelForImageTextToText").from_pretrained(assets / family)
            expected = tiny.expected_times(line["shown_seconds"])
            assert tiny.read_times(given, processor, network) == pytest.approx(expected)


def local(assets: Path, family: str) -> dict[str, Any]:
    return {"pretrained": str(assets / family), "device": "cpu", "device_map": "cpu"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_id", "kind", "family"),
    [
        ("qwen2_vl", "simple", "qwen2_vl"),
        ("qwen2_5_vl", "simple", "qwen2_5_vl"),
        ("qwen3_vl", "chat", "qwen3_vl"),
        ("internvl_hf", "chat", "internvl"),
        ("llava_hf", "chat", "llava_onevision"),
        ("llava_hf", "simple", "llava_onevision"),
        ("huggingface", "chat", "qwen3_vl"),
    ],
)
def test_a_model_of_transformers_gets_the_chosen_frames(
    model_id: str,
    kind: str,
    family: str,
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    inputs: list[dict[str, Tensor]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if model_id == "huggingface":
        # lmms-eval 0.7.3 loads every model of it by AutoModel, and these cannot generate.
        host = importlib.import_module("lmms_eval.models.chat.huggingface")
        monkeypatch.setattr(host, "AutoModel", hf("AutoModelForImageTextToText"))
    answers = ask(make(model_id, kind, **local(assets, family)), TinyTask(assets), DOCS)
    assert all(answer[0] in "AB" for answer in answers)
    assert len(inputs) == len(DOCS)
    check_frames_by_question(family, assets, log(), inputs)
    assert all(len(line["shown"]) == 6 for line in log())


@pytest.mark.parametrize(
    ("model_id", "kind", "family", "fold"),
    [
        ("qwen3_vl", "chat", "qwen3_vl", 2),
        ("llava_hf", "chat", "llava_onevision", 1),
        ("llava_hf", "simple", "llava_onevision", 1),
    ],
)
def test_videos_of_fewer_frames_than_the_budget_and_late_clocks(
    model_id: str,
    kind: str,
    family: str,
    fold: int,
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    inputs: list[dict[str, Tensor]],
) -> None:
    docs = [{**EVEN, "videos": [name]} for name in ("one.mp4", "three.mp4")]
    answers = ask(make(model_id, kind, **local(assets, family)), TinyTask(assets), docs)
    assert all(answer[0] in "AB" for answer in answers)
    one, three = log()
    assert (one["error"], three["error"]) == (None, None)
    assert (one["indices"], one["shown"]) == ([0], [0] * fold)
    assert three["indices"] == [0, 1, 2]
    assert three["shown"] == [0, 1, 2, 2][: 2 + fold]
    assert three["pts_seconds"] == pytest.approx([40_000, 40_000.1, 40_000.2])
    assert three["start_pts_seconds"] == 40_000
    assert three["shown_seconds"] == pytest.approx([0, 0.1, 0.2, 0.2][: 2 + fold])
    shown = sorted(tuple(FAMILIES[family].read_back(given)) for given in inputs)
    assert shown == sorted(tuple(line["shown"]) for line in (one, three))


def test_a_budget_buys_half_as_many_keyframes_where_each_fills_a_token(
    assets: Path, make: Callable[..., Any], log: Callable[[], list[dict[str, Any]]]
) -> None:
    model = make("qwen2_vl", "simple", pair="duplicate", **local(assets, "qwen2_vl"))
    ask(model, TinyTask(assets), DOCS)
    for line in log():
        assert len(line["indices"]) == 3
        assert line["shown"] == [i for i in line["indices"] for _ in range(2)]


def test_the_models_own_budget_is_the_default(
    assets: Path, make: Callable[..., Any], log: Callable[[], list[dict[str, Any]]]
) -> None:
    arguments = {**local(assets, "qwen2_vl"), "num_frames": None, "max_num_frames": 10}
    ask(make("qwen2_vl", "simple", **arguments), TinyTask(assets), [EVEN])
    assert [len(line["shown"]) for line in log()] == [10]


@pytest.mark.slow
def test_a_caption_by_the_model_itself_guides(
    assets: Path, make: Callable[..., Any], log: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    model = make(
        "qwen2_vl",
        "simple",
        **local(assets, "qwen2_vl"),
        sampler="keyscore",
        sampler_encoder="conse",
        guide="caption",
        sampler_cache=str(tmp_path / "cache"),
    )
    ask(model, TinyTask(assets), [EVEN])
    [line] = log()
    assert set(line["caption"]) <= {"A", "B"}  # all it can say


class _OneLetter:
    """Stands for the remote code of InternVL 2 and 3: keeps the pixels, answers A."""

    def __init__(self) -> None:
        self.pixels: list[Tensor] = []

    def chat(self, tokenizer: Any, pixels: Tensor, *args: Any, **kwargs: Any) -> tuple[str, None]:
        self.pixels.append(pixels)
        return "A", None


@pytest.mark.parametrize("model_id", ["internvl2", "internvl3", "internvl3_5"])
def test_internvl_2_and_3_cut_the_chosen_frames_into_tiles(
    model_id: str,
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    remote = _OneLetter()

    def light(self: Any, num_frame: int = 32, **more: Any) -> None:
        self.num_frame, self.modality, self.max_num, self.total_max_num = num_frame, "video", 1, 64
        self._model, self._tokenizer, self._device = remote, None, torch.device("cpu")
        self._rank, self._world_size = 0, 1

    models = importlib.import_module("keyscore_lmms_eval.models")
    monkeypatch.setattr(models.stock_class(model_id, "simple"), "__init__", light)
    model = make(model_id, "simple", modality="video")
    assert ask(model, TinyTask(assets), DOCS) == ["A", "A"]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    for pixels, line in zip(remote.pixels, log(), strict=True):
        colours = (pixels.float().mean((2, 3)) * std + mean) * 255
        assert frame_numbers(colours) == line["shown"]


def test_llava_onevision_loads_the_chosen_frames(
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded: list[list[int]] = []

    def light(self: Any, max_frames_num: int = 32, **more: Any) -> None:
        self.max_frames_num, self._rank, self._world_size = max_frames_num, 0, 1

    def generate_until(self: Any, requests: list[Any]) -> list[str]:
        """The steps of the stock method that touch the video; the rest needs the package llava."""
        for request in requests:
            _, _, doc_to_visual, doc_id, task, split = request.args
            visual = doc_to_visual(self.task_dict[task][split][doc_id])
            assert type(visual[0]) is str
            pixels = torch.from_numpy(self.load_video(visual, self.max_frames_num))
            loaded.append(frame_numbers(pixels.double().mean((1, 2))))
        return ["A"] * len(requests)

    models = importlib.import_module("keyscore_lmms_eval.models")
    stock = models.stock_class("llava_onevision", "simple")
    monkeypatch.setattr(stock, "__init__", light)
    monkeypatch.setattr(stock, "generate_until", generate_until)
    model = make("llava_onevision", "simple")
    two = {**EVEN, "videos": ["even.mp4", "uneven.mp4"]}
    assert ask(model, TinyTask(assets), [*DOCS, two]) == ["A", "A", ""]
    assert loaded == [line["shown"] for line in log()[:3]]
    # It reads the first video only, and says nothing; we do.
    assert "does not read" in log()[3]["error"]


@pytest.fixture
def server() -> Iterator[SimpleNamespace]:
    """An OpenAI-like server that answers A and keeps what it was asked."""
    asked: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            message = {"role": "assistant", "content": "A"}
            choice = {"index": 0, "finish_reason": "stop", "message": message}
            body = {"id": "0", "object": "chat.completion", "created": 0, "model": "tiny"}
            content = json.dumps({**body, "choices": [choice]}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Quiet."""

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield SimpleNamespace(url=f"http://127.0.0.1:{http.server_port}/v1", asked=asked)
    http.shutdown()
    http.server_close()


def images_in(content: list[dict[str, Any]]) -> list[int]:
    """Frame numbers of the images of a message."""
    pixels = []
    for part in content:
        if part["type"] == "image_url":
            png = base64.b64decode(part["image_url"]["url"].partition(",")[2])
            pixels.append(np.asarray(Image.open(io.BytesIO(png)).convert("RGB")).mean((0, 1)))
    return frame_numbers(torch.tensor(np.array(pixels)))


def test_openai_sends_the_chosen_frames_as_images(
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    server: SimpleNamespace,
) -> None:
    model = make("openai", "chat", model_version="tiny", base_url=server.url, api_key="none")
    assert ask(model, TinyTask(assets), DOCS) == ["A", "A"]
    shown = {line["question"]: line["shown"] for line in log()}
    for request in server.asked:
        content = request["messages"][0]["content"]
        [question] = [text for text in shown if text in content[-1]["text"]]
        assert images_in(content) == shown[question]
    assert len(server.asked) == 2


def test_vllm_builds_messages_of_the_chosen_frames_and_their_times(
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    built: list[list[dict[str, Any]]] = []

    def light(self: Any, nframes: int = 32, **more: Any) -> None:
        self.nframes, self.fps, self.is_qwen3_vl, self.max_new_tokens = nframes, None, True, 16
        self.max_pixels, self.min_image_pixels, self.max_frame_num = 12544, 28, 768
        self._rank, self._world_size = 0, 1

    def generate_until(self: Any, requests: list[Any]) -> list[str]:
        """The step of the stock method before it calls the engine, which is not installed."""
        built.extend(self.make_one_request(request)[0][0]["content"] for request in requests)
        return ["A"] * len(requests)

    models = importlib.import_module("keyscore_lmms_eval.models")
    stock = models.stock_class("vllm", "chat")
    monkeypatch.setattr(stock, "__init__", light)
    monkeypatch.setattr(stock, "generate_until", generate_until)
    assert ask(make("vllm", "chat"), TinyTask(assets), DOCS) == ["A", "A"]
    for content, line in zip(built, log(), strict=True):
        assert images_in(content) == line["shown"]
        told = [part["text"] for part in content[:-1] if part["type"] == "text"]
        assert told == [f"<{seconds:.1f} seconds>" for seconds in line["shown_seconds"]]


@pytest.mark.parametrize(
    ("model_id", "kind", "arguments", "reason"),
    [
        ("internvl", "simple", {}, "images only"),
        ("vllm", "simple", {}, "leave --force_simple out"),
        ("openai", "chat", {"pass_video_url": True}, "pass_video_url=True"),
        ("openai", "chat", {"pair": "duplicate"}, "single images"),
        ("internvl2", "simple", {}, "add it to model_args"),
        ("internvl3", "simple", {"modality": "image"}, "reads videos only with modality=video"),
        ("qwen2_5_vl", "simple", {"batch_size": 4}, "batch_size=4"),
        ("qwen2_5_vl", "chat", {"sampler": "best"}, "unknown sampler 'best'"),
        ("qwen2_5_vl", "chat", {"sampler": None, "guide": "caption"}, "without a sampler"),
        ("vllm", "chat", {"sampler": "precomputed"}, "sampler_file=FILE"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_model_is_loaded(
    model_id: str,
    kind: str,
    arguments: dict[str, Any],
    reason: str,
    make: Callable[..., Any],
) -> None:
    require_or_skip("lmms_eval")
    if arguments.get("sampler", "") is None:
        arguments = {**arguments, "num_frames": None, "sampler_log": None}
    with pytest.raises(InputError, match=reason):
        make(model_id, kind, **arguments)


@pytest.mark.parametrize("model_id", ["video_llava", "async_openai"])
def test_a_sampler_for_a_model_that_none_can_serve_is_refused(model_id: str) -> None:
    """Both pass over arguments that they do not know."""
    require_or_skip("lmms_eval")
    registry = importlib.import_module("keyscore_lmms_eval.registry")
    # Where the plugin is installed, lmms-eval itself has called it.
    registry.refuse_samplers_elsewhere()
    get_model = importlib.import_module("lmms_eval.models").get_model
    with pytest.raises(InputError, match=r"cannot serve .* take one of huggingface, internvl2"):
        get_model(model_id).create_from_arg_string("pretrained=m,sampler=keyscore")


def test_arguments_without_a_sampler_go_to_the_stock_class() -> None:
    require_or_skip("lmms_eval")
    base = importlib.import_module("lmms_eval.api.model").lmms
    importlib.import_module("keyscore_lmms_eval.registry").refuse_samplers_elsewhere()
    made: list[dict[str, Any]] = []

    def init(self: Any, **arguments: Any) -> None:
        made.append(arguments)

    methods = dict.fromkeys(base.__abstractmethods__, init)
    theirs: Any = type("Theirs", (base,), {**methods, "__init__": init})
    for arguments in ("a=1", "a=1,sampler=none"):
        theirs.create_from_arg_string(arguments, {"device": "cpu", "unset": None})
    assert made == [{"a": 1, "device": "cpu"}, {"a": 1, "sampler": "none", "device": "cpu"}]


def test_a_part_of_a_video_is_chosen_from_and_keeps_its_times_in_the_whole(
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    inputs: list[dict[str, Tensor]],
    tmp_path: Path,
) -> None:
    class PartTask(TinyTask):
        def doc_to_messages(self, doc: Any) -> list[dict[str, Any]]:
            messages = super().doc_to_messages(doc)
            messages[0]["content"][0] |= {"start_time": 2.0, "end_time": 5.0}
            return messages

    arguments = {"min_pixels": 3136, "max_pixels": 12544, **local(assets, "qwen3_vl")}
    ask(make("qwen3_vl", "chat", **arguments), PartTask(assets), [EVEN])
    [line] = log()
    assert all(20 <= index <= 50 for index in line["indices"])
    again = {"sampler": "precomputed", "sampler_file": str(tmp_path / "log.jsonl")}
    again["sampler_log"] = str(tmp_path / "again.jsonl")
    ask(make("qwen3_vl", "chat", **arguments, **again), PartTask(assets), [EVEN])
    repeated = json.loads((tmp_path / "again.jsonl").read_text())
    names = ("indices", "pts_seconds", "shown", "shown_seconds")
    assert [repeated[name] for name in names] == [line[name] for name in names]
    for given in inputs:
        assert FAMILIES["qwen3_vl"].read_back(given) == line["shown"]


class GuessingTask(TinyTask):
    """Its messages are made by lmms-eval itself, which tells a visual's kind by its name."""

    def doc_to_messages(self, doc: Any) -> list[dict[str, Any]]:
        tasks = importlib.import_module("lmms_eval.api.task").ConfigurableMessagesTask
        messages: list[dict[str, Any]] = tasks._build_user_turn(
            self.doc_to_visual(doc), self.doc_to_text(doc)
        )
        assert [part["type"] for part in messages[0]["content"]][:-1] != ["video"]
        return messages


MISNAMED = [
    {"id": "0", "videos": ["numbered.webm"], "question": "Which colour?"},
    {"id": "1", "videos": ["numbered.gif"], "question": "At what time?"},
]


# One host for each way in, as above.
@pytest.mark.parametrize(
    ("model_id", "kind", "family"),
    [
        ("qwen3_vl", "chat", "qwen3_vl"),
        ("internvl_hf", "chat", "internvl"),
        ("llava_hf", "simple", "llava_onevision"),
    ],
)
def test_a_video_that_is_named_like_a_sound_or_a_still_is_shown(
    model_id: str,
    kind: str,
    family: str,
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    inputs: list[dict[str, Tensor]],
    tmp_path: Path,
) -> None:
    write_webm(tmp_path / "numbered.webm")
    write_animation(tmp_path / "numbered.gif")
    answers = ask(make(model_id, kind, **local(assets, family)), GuessingTask(tmp_path), MISNAMED)
    assert all(answer[0] in "AB" for answer in answers)
    assert [line["error"] for line in log()] == [None, None]
    assert len(inputs) == len(MISNAMED)
    check_frames_by_question(family, assets, log(), inputs)


def test_a_video_whose_name_the_model_does_not_know_is_an_error_in_the_log(
    assets: Path, make: Callable[..., Any], log: Callable[[], list[dict[str, Any]]], tmp_path: Path
) -> None:
    write_webm(tmp_path / "numbered.webm")
    write_animation(tmp_path / "numbered.gif")
    model = make("qwen2_vl", "simple", **local(assets, "qwen2_vl"))
    assert ask(model, GuessingTask(tmp_path), MISNAMED) == ["", ""]
    assert all("does not read" in line["error"] for line in log())


def test_a_later_patch_of_the_model_is_an_error_in_the_log(
    assets: Path, make: Callable[..., Any], log: Callable[[], list[dict[str, Any]]]
) -> None:
    model = make("llava_hf", "simple", **local(assets, "llava_onevision"))
    model.load_video = lambda video, most: np.zeros((most, 56, 56, 3), np.uint8)
    assert ask(model, TinyTask(assets), [EVEN]) == [""]
    assert "does not read" in log()[0]["error"]


def test_what_was_not_chosen_from_is_loaded_by_the_stock_method() -> None:
    """`llava_hf` and `llava_onevision` load any path as a video, a still too."""
    require_or_skip("lmms_eval")
    seams = importlib.import_module("keyscore_lmms_eval.injection")
    loader = seams.PlannedLoader(lambda video, n: (video, n))
    loader.plans = [SimpleNamespace(span=SimpleNamespace(path="a.mp4"))]  # of an earlier document
    assert loader("red.png", 4) == ("red.png", 4)
    assert loader(["red.png"], 4) == (["red.png"], 4)


class DataTask(TinyTask):
    """Its videos stand in their URLs."""

    def doc_to_visual(self, doc: Any) -> list[str]:
        videos = [(self.folder / name).read_bytes() for name in doc["videos"]]
        return [f"data:video/mp4;base64,{base64.b64encode(video).decode()}" for video in videos]


@pytest.mark.parametrize(
    ("model_id", "kind", "family"),
    [("qwen3_vl", "chat", "qwen3_vl"), ("llava_hf", "simple", "llava_onevision")],
)
def test_a_video_may_stand_in_its_url(
    model_id: str,
    kind: str,
    family: str,
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    inputs: list[dict[str, Tensor]],
) -> None:
    ask(make(model_id, kind, sampler="stacfp", **local(assets, family)), DataTask(assets), [EVEN])
    [line], [given] = log(), inputs
    assert line["error"] is None
    assert line["video"].startswith("'data:video/mp4;base64,")
    assert len(line["video"]) <= 80
    assert FAMILIES[family].read_back(given) == line["shown"]


def test_a_run_without_any_video_says_that_nothing_was_chosen(assets: Path) -> None:
    model = echoing_model(is_simple=True, sampler="uniform", sampler_log="none")
    logger = importlib.import_module("lmms_eval.utils").eval_logger
    said: list[str] = []
    handler = logger.add(said.append)
    try:
        assert ask(model, TinyTask(assets), [{**EVEN, "videos": []}]) == [""]
    finally:
        logger.remove(handler)
    assert "sampler=uniform has nothing to choose from: none of 1 documents names" in "".join(said)


class UrlTask(TinyTask):
    """Names its videos by URL."""

    address = ""

    def doc_to_visual(self, doc: Any) -> list[str]:
        return [f"{self.address}/{name}" for name in doc["videos"]]


# One host for each way in: qwen-vl-utils, the processor of transformers, load_video.
URL_HOSTS = [
    ("qwen3_vl", "chat", "qwen3_vl"),
    ("llava_hf", "chat", "llava_onevision"),
    ("llava_hf", "simple", "llava_onevision"),
]


def test_urls_are_refused_unless_allowed(assets: Path, make: Callable[..., Any]) -> None:
    task = UrlTask(assets)
    model = make("qwen2_vl", "simple", **local(assets, "qwen2_vl"))
    with unvisited() as url:
        task.address = url.rpartition("/")[0]
        with pytest.raises(InputError) as error:
            ask(model, task, [EVEN])
        assert str(error.value) == (
            f"no frames could be selected from any of 1 videos: {task.address}/even.mp4 is a URL, "
            "and URLs are not fetched unless allowed; download it and give its path, or allow "
            "URLs by sampler_max_download_gb=...,sampler_max_download_seconds=... in model_args"
        )


@pytest.mark.parametrize(("model_id", "kind", "family"), URL_HOSTS)
def test_urls_are_fetched_within_the_limits_of_model_args(
    model_id: str,
    kind: str,
    family: str,
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
) -> None:
    size = {doc["id"]: (assets / doc["videos"][0]).stat().st_size for doc in DOCS}
    docs = sorted(DOCS, key=lambda doc: size[doc["id"]])
    task = UrlTask(assets)
    arguments = {**local(assets, family), "sampler_max_download_gb": min(size.values()) / 1e9}
    with serving(assets) as task.address:
        answers = ask(make(model_id, kind, **arguments), task, docs)
    assert [bool(answer) for answer in answers] == [True, False]
    assert [len(line.get("shown", [])) for line in log()] == [6, 0]
    assert "allow more by sampler_max_download_gb=" in log()[1]["error"]


def test_too_many_precomputed_frames_for_the_budget_are_refused(
    assets: Path, make: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "frames.json").write_text(json.dumps([[1, 2, 3, 4, 5, 6, 7]]))
    file = {"sampler": "precomputed", "sampler_file": str(tmp_path / "frames.json")}
    model = make("qwen2_vl", "simple", **local(assets, "qwen2_vl"), **file)
    with pytest.raises(InputError, match="has 7 frames, and num_frames=6 allows 6"):
        ask(model, TinyTask(assets), [EVEN])


def test_an_encoder_that_cannot_be_loaded_ends_the_run_at_the_first_video(
    assets: Path, make: Callable[..., Any], tmp_path: Path
) -> None:
    arguments = {
        "sampler": "keyscore",
        "sampler_encoder": str(tmp_path / "absent"),
        "sampler_cache": "none",
    }
    model = make("qwen2_vl", "simple", **local(assets, "qwen2_vl"), **arguments)
    with pytest.raises(ModelError):
        ask(model, TinyTask(assets), DOCS)


def test_a_cache_that_cannot_be_used_ends_the_run_and_costs_no_document_its_answer(
    assets: Path, make: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    arguments = {"sampler": "stacfp", "sampler_cache": str(tmp_path / "file" / "cache")}
    model = make("qwen2_vl", "simple", **local(assets, "qwen2_vl"), **arguments)
    with pytest.raises(CacheError, match="give another folder, or none"):
        ask(model, TinyTask(assets), DOCS)


def test_a_video_that_a_memory_does_not_hold_costs_its_own_answer_alone(
    assets: Path,
    make: Callable[..., Any],
    log: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(SAMPLERS, "small-gpu", "tests.support.lmms.eval_requests:SmallGpuSampler")
    arguments = {"sampler": "small-gpu", "sampler_cache": "none"}
    model = make("qwen2_vl", "simple", **local(assets, "qwen2_vl"), **arguments)
    answers = ask(model, TinyTask(assets), [UNEVEN, EVEN])
    assert [bool(answer) for answer in answers] == [False, True]
    errors = [line["error"] for line in log()]
    assert errors == ["the memory of the device does not hold it", None]
    with pytest.raises(InputError, match="from any of 1 videos: the memory"):
        ask(model, TinyTask(assets), [UNEVEN])
