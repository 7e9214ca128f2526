"""Every way of calling an enabled processor; wrong ways; and what stays as it was."""

import base64
import copy
import io
import pickle
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch
import transformers
from torch import Tensor
from transformers import AutoProcessor, pipeline
from transformers.pipelines import PIPELINE_REGISTRY
from transformers.video_utils import VideoMetadata

from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.hosts import BACKEND
from keyscore_transformers import DownloadLimits, enable, generate
from tests.support.fixed_sampler import FixedSampler
from tests.support.http_servers import serving, unvisited
from tests.support.tiny import FAMILIES, build
from tests.support.tiny.family import installed_before
from tests.support.tiny.videos import numbered_frames, numbered_video

QWEN3 = FAMILIES["qwen3_vl"]
KEYFRAMES = [3, 40, 101]
SHOWN = [3, 3, 40, 40, 101, 101]
ANSWER = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
FACTS: dict[str, Any] = {"total_num_frames": 120, "fps": 10.0, "duration": 12.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    numbered_video(folder / "a clip.mp4")
    return folder


@pytest.fixture(scope="module")
def video(folder: Path) -> str:
    return str(folder / "a clip.mp4")


@pytest.fixture
def processor() -> Any:
    return enable(QWEN3.processor())


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[str]:
    """Address of the folder over HTTP."""
    with serving(folder) as address:
        yield address


def messages(video: Any, **keywords: Any) -> list[dict[str, Any]]:
    block = {"type": "video", "video": video, **keywords}
    return [{"role": "user", "content": [block, {"type": "text", "text": "Which?"}]}]


def frames() -> Tensor:
    return torch.from_numpy(numbered_frames())


def image_files(folder: Path) -> list[str]:
    folder.mkdir(exist_ok=True)
    for number, frame in enumerate(numbered_frames()):
        PIL.Image.fromarray(frame).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(120)]


def fixed() -> FixedSampler:
    return FixedSampler(KEYFRAMES)


def test_what_is_said_at_the_chosen_frames_is_written_before_the_video(
    processor: Any, video: str, tmp_path: Path
) -> None:
    subtitles = tmp_path / "a.srt"
    subtitles.write_text(
        "1\n00:00:00,000 --> 00:00:00,400\nHello <b>there</b>\n\n"
        "2\n00:00:06,000 --> 00:00:07,000\nNo frame\n\n"
        "3\n00:00:10,000 --> 00:00:11,000\nGood bye\n"
    )
    asked = {"sampler": fixed(), "subtitles": subtitles}
    silent = processor.apply_chat_template(messages(video), **asked, **ANSWER)
    inputs = processor.apply_chat_template(messages(video), **asked, with_texts=True, **ANSWER)
    before, _, after = processor.decode(inputs["input_ids"][0]).partition("<0.3 seconds>")
    assert "[0.0-0.4 s] Hello there\n[10.0-11.0 s] Good bye\n" in before
    assert "there" not in after
    assert torch.equal(inputs["pixel_values_videos"], silent["pixel_values_videos"])
    assert processor.last_selections[0].indices == KEYFRAMES
    refused = "with_texts=True writes what is said into the prompt"
    with pytest.raises(InputError, match=refused):
        processor.apply_chat_template(messages(video), with_texts=True, **asked)
    with pytest.raises(InputError, match=refused):
        processor(text=["a"], videos=[video], with_texts=True, **asked)


WAYS: dict[str, Callable[[Any, str], Any]] = {
    "flat": lambda p, v: p.apply_chat_template(messages(v), sampler=fixed(), **ANSWER),
    "processor_kwargs": lambda p, v: p.apply_chat_template(
        messages(v), processor_kwargs={"sampler": fixed(), "num_frames": 3}, **ANSWER
    ),
    "processor_kwargs and a flat keyword": lambda p, v: p.apply_chat_template(
        messages(v), processor_kwargs={"sampler": fixed()}, num_frames=3, **ANSWER
    ),
    "videos_kwargs": lambda p, v: p.apply_chat_template(
        messages(v), videos_kwargs={"sampler": fixed(), "num_frames": 3}, **ANSWER
    ),
    "videos_kwargs in processor_kwargs": lambda p, v: p.apply_chat_template(
        messages(v),
        processor_kwargs={"videos_kwargs": {"sampler": fixed(), "num_frames": 3}},
        **ANSWER,
    ),
    "in the block": lambda p, v: p.apply_chat_template(
        messages(v, sampler=fixed(), num_frames=3), **ANSWER
    ),
    "in the block, over the call's": lambda p, v: p.apply_chat_template(
        messages(v, sampler=fixed()), sampler="uniform", num_frames=3, **ANSWER
    ),
    "the processor itself": lambda p, v: p(
        text=[p.apply_chat_template(messages(v))],
        videos=[v],
        sampler=fixed(),
        num_frames=3,
        return_tensors="pt",
    ),
    "the processor itself, nested": lambda p, v: p(
        text=[p.apply_chat_template(messages(v))],
        videos=[[Path(v)]],
        videos_kwargs={"sampler": fixed(), "num_frames": 3},
        return_tensors="pt",
    ),
    "file URL": lambda p, v: p.apply_chat_template(
        messages(Path(v).as_uri()), sampler=fixed(), **ANSWER
    ),
    "bytes": lambda p, v: p.apply_chat_template(
        messages(Path(v).read_bytes()), sampler=fixed(), **ANSWER
    ),
    "file object": lambda p, v: p.apply_chat_template(
        messages(io.BytesIO(Path(v).read_bytes())), sampler=fixed(), **ANSWER
    ),
    "data: URL": lambda p, v: p.apply_chat_template(
        messages(f"data:video/mp4;base64,{base64.b64encode(Path(v).read_bytes()).decode()}"),
        sampler=fixed(),
        **ANSWER,
    ),
    "bytes, to the processor itself": lambda p, v: p(
        text=[p.apply_chat_template(messages(v))],
        videos=[Path(v).read_bytes()],
        sampler=fixed(),
        num_frames=3,
        return_tensors="pt",
    ),
    "image files": lambda p, v: p(
        text=[p.apply_chat_template(messages(v))],
        videos=[image_files(Path(v).parent / "frames")],
        video_metadata=[FACTS],
        sampler=fixed(),
        num_frames=3,
        return_tensors="pt",
    ),
    "image files in the block": lambda p, v: p.apply_chat_template(
        messages(image_files(Path(v).parent / "frames")),
        video_metadata=[FACTS],
        sampler=fixed(),
        **ANSWER,
    ),
    "array, frames first": lambda p, v: p.apply_chat_template(
        messages(frames()), sampler=fixed(), video_metadata=[FACTS], **ANSWER
    ),
    "array, channels second": lambda p, v: p.apply_chat_template(
        messages(frames().permute(0, 3, 1, 2).numpy()),
        sampler=fixed(),
        video_metadata=[FACTS],
        **ANSWER,
    ),
    "array with its facts in the block": lambda p, v: p.apply_chat_template(
        messages(frames(), video_metadata=FACTS), sampler=fixed(), **ANSWER
    ),
    "images with metadata": lambda p, v: p(
        text=[p.apply_chat_template(messages(v))],
        videos=[[PIL.Image.fromarray(frame) for frame in numbered_frames()]],
        video_metadata=[FACTS],
        sampler=fixed(),
        return_tensors="pt",
    ),
    "a default of enable": lambda p, v: enable(p, sampler=fixed()).apply_chat_template(
        messages(v), **ANSWER
    ),
    "a deep copy": lambda p, v: copy.deepcopy(p).apply_chat_template(
        messages(v), sampler=fixed(), **ANSWER
    ),
    "pickled": lambda p, v: pickle.loads(pickle.dumps(p)).apply_chat_template(
        messages(v), sampler=fixed(), **ANSWER
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_asking_gives_the_chosen_frames(processor: Any, video: str, way: str) -> None:
    inputs = WAYS[way](processor, video)
    assert QWEN3.read_back(inputs) == SHOWN
    assert QWEN3.read_times is not None
    assert QWEN3.read_times(inputs, processor, None) == [0.3, 4.0, 10.1]


def piped(processor: Any, model: Any) -> Any:
    return pipeline("image-text-to-text", model=model, processor=processor)


URL_WAYS: dict[str, Callable[[Any, Any, str], Any]] = {
    "template": lambda p, m, url: p.apply_chat_template(messages(url), sampler=fixed(), **ANSWER),
    "in the block": lambda p, m, url: p.apply_chat_template(
        messages(url, sampler=fixed()), **ANSWER
    ),
    "the processor itself": lambda p, m, url: p(
        text=["<|video_pad|>"], videos=[url], sampler=fixed()
    ),
    "generate": lambda p, m, url: generate(m, p, messages(url), sampler=fixed()),
    "generate, not enabled before": lambda p, m, url: generate(
        m, QWEN3.processor(), messages(url), sampler=fixed()
    ),
    "pipeline": lambda p, m, url: piped(p, m)(text=messages(url, sampler=fixed())),
}


@pytest.mark.parametrize("way", URL_WAYS)
def test_a_url_is_refused_unless_allowed(way: str) -> None:
    processor, model = build("qwen3_vl")
    with unvisited() as url:
        with pytest.raises(InputError) as error:
            URL_WAYS[way](enable(processor), model, url)
        assert str(error.value) == (
            f"{url} is a URL, and URLs are not fetched unless allowed; download it and give its "
            "path, or allow URLs by enable(processor, limits=DownloadLimits(max_bytes=..., "
            "max_seconds=...))"
        )


@pytest.mark.parametrize("limits", [True, {"max_bytes": 5}])
def test_limits_that_are_none_are_refused_before_any_video(limits: Any) -> None:
    with pytest.raises(InputError, match=r"is no DownloadLimits; allow URLs by enable\("):
        enable(QWEN3.processor(), limits=limits)


def test_a_url_is_fetched_within_its_limits(server: str, video: str) -> None:
    url = f"{server}/a%20clip.mp4"
    processor = enable(QWEN3.processor(), limits=DownloadLimits())
    inputs = processor.apply_chat_template(messages(url), sampler=fixed(), **ANSWER)
    assert QWEN3.read_back(inputs) == SHOWN
    assert processor.last_selections[0].video == url
    size = Path(video).stat().st_size
    enable(processor, limits=DownloadLimits(max_bytes=size - 1))
    with pytest.raises(VideoError, match=r"a%20clip\.mp4.*larger than.*max_bytes"):
        processor.apply_chat_template(messages(url), sampler=fixed(), **ANSWER)
    enable(processor, limits=DownloadLimits(max_seconds=1e-6))
    with pytest.raises(VideoError, match=r"within 1e-06 s.*max_seconds"):
        processor.apply_chat_template(messages(url), sampler=fixed(), **ANSWER)
    enable(processor, limits=DownloadLimits())
    with pytest.raises(VideoError, match=r"(?i)not found"):
        processor.apply_chat_template(messages(f"{server}/none.mp4"), sampler=fixed(), **ANSWER)


@pytest.mark.parametrize("task", ["image-text-to-text", "any-to-any"])
def test_pipelines_pass_the_sampler_on(video: str, task: Any) -> None:
    if task not in PIPELINE_REGISTRY.get_supported_tasks():
        pytest.skip(f"transformers {transformers.__version__} has no {task}")
    processor, model = build("qwen3_vl")
    pipe: Any = pipeline(task, model=model, processor=enable(processor))
    asked = {"sampler": fixed(), "num_frames": 2}
    calls: list[tuple[Any, dict[str, Any]]] = [(messages(video, **asked), {})]
    if not installed_before("5.9") or task == "any-to-any":  # it dropped the keywords of a chat
        calls += [(messages(video), asked), (messages(video), {"processor_kwargs": asked})]
    for talk, keywords in calls:
        assert len(pipe(text=talk, max_new_tokens=3, **keywords)) == 1
        (selection,) = processor.last_selections
        assert selection.indices == KEYFRAMES[:2]
        processor = pipe.processor = enable(QWEN3.processor())


def test_each_conversation_is_asked_with_its_own_text(processor: Any, video: str) -> None:
    sampler = FixedSampler(KEYFRAMES, needs_text=True)
    talk = [
        {"role": "user", "content": [{"type": "text", "text": "Hello."}]},
        {"role": "assistant", "content": [{"type": "text", "text": "Hi!"}]},
        *messages(video),
    ]
    content = messages(video)[0]["content"][:1] * 2 + [{"type": "text", "text": "Same?"}]
    again = [{"role": "user", "content": content}]
    inputs = processor.apply_chat_template([talk, again], sampler=sampler, padding=True, **ANSWER)
    assert [call["question"] for call in sampler.calls] == ["Which?", "Same?"]
    assert QWEN3.read_back(inputs) == SHOWN * 3


def test_earlier_videos_of_a_chat_keep_their_selection(processor: Any, video: str) -> None:
    sampler = FixedSampler(KEYFRAMES, needs_text=True)
    answer = {"role": "assistant", "content": [{"type": "text", "text": "3."}]}
    chat = messages(video)
    for question in ("And why?", "Really?"):
        chat += [answer, {"role": "user", "content": [{"type": "text", "text": question}]}]
        processor.apply_chat_template(chat, sampler=sampler, **ANSWER)
    assert [call["question"] for call in sampler.calls] == ["Which?"] * 2


def test_the_same_video_asked_alike_is_chosen_from_once(processor: Any, video: str) -> None:
    sampler = fixed()
    processor.apply_chat_template([messages(video)] * 3, sampler=sampler, padding=True, **ANSWER)
    assert len(sampler.calls) == 1
    assert len(processor.last_selections) == 3


def test_captions_may_be_one_a_video(processor: Any, video: str) -> None:
    sampler = FixedSampler(KEYFRAMES, needs_text=True)
    two = [messages(video), messages(video)]
    processor.apply_chat_template(two, sampler=sampler, caption=["a", "b"], **ANSWER)
    assert [call["caption"] for call in sampler.calls] == ["a", "b"]
    with pytest.raises(InputError, match="caption has 3 entries for 2 videos"):
        processor.apply_chat_template(two, sampler=sampler, caption=["a", "b", "c"], **ANSWER)


def test_a_video_may_have_several_texts(processor: Any, video: str) -> None:
    sampler = FixedSampler(KEYFRAMES, needs_text=True)
    processor.apply_chat_template(messages(video), sampler=sampler, caption=["a", "b"], **ANSWER)
    two = [messages(video), messages(video)]
    captions = [["a", "b"], "c"]
    processor.apply_chat_template(two, sampler=sampler, caption=captions, **ANSWER)
    assert [call["caption"] for call in sampler.calls] == [("a", "b"), ("a", "b"), "c"]


def test_token_budget_counts_uniform_frames(processor: Any, video: str) -> None:
    uniform = QWEN3.processor().apply_chat_template(
        messages(video), num_frames=4, fps=None, **ANSWER
    )
    sampler = FixedSampler([1, 30, 60, 90])
    chosen = processor.apply_chat_template(
        messages(video), sampler=sampler, token_budget=4, **ANSWER
    )
    assert chosen["video_grid_thw"].tolist() == uniform["video_grid_thw"].tolist()
    assert sampler.calls[0]["num_frames"] == 2


def test_text_alone_needs_no_video(processor: Any) -> None:
    talk = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    stock = QWEN3.processor()
    found = processor.apply_chat_template(talk, sampler="keyscore", num_frames=8, **ANSWER)
    expected = stock.apply_chat_template(talk, **ANSWER)
    assert torch.equal(found["input_ids"], expected["input_ids"])
    assert processor.apply_chat_template(talk, sampler="keyscore") == stock.apply_chat_template(
        talk
    )


def test_a_call_that_chooses_nothing_leaves_no_selection_of_the_call_before(
    processor: Any, video: str
) -> None:
    text = [{"role": "user", "content": [{"type": "text", "text": "Hello"}]}]
    for talk in (text, messages("absent.mp4")):
        processor.apply_chat_template(messages(video), sampler=fixed(), **ANSWER)
        assert len(processor.last_selections) == 1
        with suppress(VideoError):
            processor.apply_chat_template(talk, sampler="uniform", **ANSWER)
        assert processor.last_selections == []


def test_sampler_none_overrules_the_default_of_enable(video: str) -> None:
    processor = enable(QWEN3.processor(), sampler=fixed())
    keywords = {"num_frames": 4, "fps": None, "do_sample_frames": True}
    found = processor.apply_chat_template(messages(video), sampler=None, **keywords, **ANSWER)
    expected = QWEN3.processor().apply_chat_template(messages(video), **keywords, **ANSWER)
    assert torch.equal(found["pixel_values_videos"], expected["pixel_values_videos"])
    assert processor.last_selections == []


def test_frames_that_a_call_keeps_are_not_chosen_from_by_default(video: str) -> None:
    processor = enable(QWEN3.processor(), sampler=fixed())
    rows = frames()[:8].permute(0, 3, 1, 2)
    facts = {**FACTS, "frames_indices": list(range(8))}
    chosen_before = {**facts, "video_backend": BACKEND}
    flat = {"video_metadata": [facts], "do_sample_frames": False}
    nested = {"videos_kwargs": flat}
    call: dict[str, Any] = {"text": ["<|video_pad|>"], "videos": [rows], "return_tensors": "pt"}
    for keywords, meant in (
        (flat, flat),
        (nested, nested),
        ({"video_metadata": [chosen_before]}, flat),
    ):
        found = processor(**call, **copy.deepcopy(keywords))
        expected = QWEN3.processor()(**call, **copy.deepcopy(meant))
        assert torch.equal(found["pixel_values_videos"], expected["pixel_values_videos"])
        assert torch.equal(found["input_ids"], expected["input_ids"])
    assert processor.last_selections == []


def test_two_views_of_one_memory_are_two_videos(processor: Any) -> None:
    pixels = frames()
    views = [pixels[:60], pixels[::2]]
    inputs = processor(
        text=["<|video_pad|>"] * 2,
        videos=views,
        video_metadata=[{"fps": 10.0}] * 2,
        sampler=FixedSampler([3, 40]),
        return_tensors="pt",
        padding=True,
    )
    assert QWEN3.read_back(inputs) == [3, 3, 40, 40, 6, 6, 80, 80]


BARE = [PIL.Image.fromarray(frame) for frame in numbered_frames(4)]
REFUSED: dict[str, tuple[Callable[[Any, str], Any], str]] = {
    "a list of images": (
        lambda p, v: p.apply_chat_template(messages(BARE), sampler="keyscore", **ANSWER),
        "times of .*4 frames.* are unknown",
    ),
    "image files without metadata": (
        lambda p, v: p.apply_chat_template(
            messages(image_files(Path(v).parent / "frames")), sampler=fixed(), **ANSWER
        ),
        "give video_metadata",
    ),
    "an array without metadata": (
        lambda p, v: p.apply_chat_template(messages(frames()), sampler=fixed(), **ANSWER),
        "give video_metadata",
    ),
    "a caption sampler without any text": (
        lambda p, v: p(text=["<|video_pad|>"], videos=[v], sampler="keyscore"),
        "no text to choose the frames by; give caption=.*question.*model=model",
    ),
    "guide=caption without caption or captioner": (
        lambda p, v: p.apply_chat_template(
            messages(v), sampler="keyscore", guide="caption", **ANSWER
        ),
        "no text .* for guide='caption'; give caption=",
    ),
    "one video without a sampler": (
        lambda p, v: p.apply_chat_template(
            [messages(v), messages(v, sampler="uniform")], padding=True, **ANSWER
        ),
        "video 1 of 2 has no sampler",
    ),
    "frames that are kept": (
        lambda p, v: p.apply_chat_template(
            messages(v), sampler="uniform", do_sample_frames=False, **ANSWER
        ),
        "do_sample_frames=False keeps every frame, and a sampler chooses some",
    ),
    "frames that are kept, in the block": (
        lambda p, v: p.apply_chat_template(
            messages(v, do_sample_frames=False), sampler="uniform", **ANSWER
        ),
        "do_sample_frames=False keeps every frame",
    ),
    "two videos in one block": (
        lambda p, v: p.apply_chat_template(messages([v, v]), sampler="uniform", **ANSWER),
        "a content block has 2 videos; give each one a separate block",
    ),
    "a budget of ours without a sampler": (
        lambda p, v: p.apply_chat_template(messages(v), token_budget=4, **ANSWER),
        r"token_budget is for a sampler, and the call names no sampler; add sampler=\.\.\.",
    ),
    "a guide without a sampler, nested": (
        lambda p, v: p(text=["<|video_pad|>"], videos=[v], videos_kwargs={"guide": "question"}),
        "guide is for a sampler",
    ),
    "a pair without a sampler, in the block": (
        lambda p, v: p.apply_chat_template(messages(v, pair="pack"), **ANSWER),
        "pair is for a sampler",
    ),
    "a part without a sampler, in the block": (
        lambda p, v: p.apply_chat_template(messages(v, video_start=1.0), **ANSWER),
        "video_start is for a sampler",
    ),
    "bounds of the processor's own sampling": (
        lambda p, v: p.apply_chat_template(messages(v), sampler="uniform", max_frames=4, **ANSWER),
        "max_frames is for the processor's own sampling, and a sampler spends a budget",
    ),
    "a bound of the stock sampling, nested": (
        lambda p, v: p(
            text=["<|video_pad|>"],
            videos=[v],
            videos_kwargs={"sampler": "uniform", "min_frames": 4},
        ),
        "min_frames is for the processor's own sampling",
    ),
    "a rate": (
        lambda p, v: p.apply_chat_template(messages(v), sampler="uniform", fps=1, **ANSWER),
        "fps is a rate",
    ),
    "two budgets": (
        lambda p, v: p.apply_chat_template(
            messages(v), sampler="uniform", num_frames=4, token_budget=4, **ANSWER
        ),
        "exclude each other",
    ),
    "a keyword twice": (
        lambda p, v: p.apply_chat_template(
            messages(v), sampler="uniform", videos_kwargs={"sampler": "stacfp"}, **ANSWER
        ),
        "sampler is given twice",
    ),
    "an unknown sampler": (
        lambda p, v: p.apply_chat_template(messages(v), sampler="best", **ANSWER),
        "unknown sampler 'best'",
    ),
    "an unknown pair": (
        lambda p, v: p.apply_chat_template(messages(v), sampler="uniform", pair="x", **ANSWER),
        "unknown pair 'x'",
    ),
    "an unknown guide": (
        lambda p, v: p.apply_chat_template(messages(v), sampler="uniform", guide="x", **ANSWER),
        "guide 'x' is not",
    ),
}


@pytest.mark.parametrize("wrong", REFUSED)
def test_wrong_use_is_an_error_not_uniform_frames(processor: Any, video: str, wrong: str) -> None:
    call, message = REFUSED[wrong]
    with pytest.raises(InputError, match=message):
        call(processor, video)


def test_a_prompt_alone_is_that_of_the_stock_processor(processor: Any, video: str) -> None:
    """As for qwen-vl-utils, whose elements have keys that only it reads; nothing is chosen."""
    element = messages(video, sampler="keyscore", fps=1.0, max_frames=8)
    expected = QWEN3.processor().apply_chat_template(element, add_generation_prompt=True)
    for call in ({}, {"sampler": "keyscore", "num_frames": 4}, {"tokenize": False}):
        found = processor.apply_chat_template(element, add_generation_prompt=True, **call)
        assert found == expected
    part = messages(video, video_start=1.0)
    assert processor.apply_chat_template(part, add_generation_prompt=True) == expected
    assert processor.last_selections == []


def test_blocks_that_are_no_business_of_ours_stay_so(processor: Any, video: str) -> None:
    """A rate in the block, as qwen-vl-utils has it; a text that is not a rate."""
    block = {"type": "video", "video": video, "fps": 1.0}
    odd = [{"role": "user", "content": [block, {"type": "text", "text": None}]}]
    found = processor.apply_chat_template(odd, num_frames=4, fps=None, **ANSWER)
    expected = QWEN3.processor().apply_chat_template(odd, num_frames=4, fps=None, **ANSWER)
    assert torch.equal(found["pixel_values_videos"], expected["pixel_values_videos"])
    with pytest.raises(InputError, match="fps is a rate"):
        processor.apply_chat_template(odd, sampler="uniform", **ANSWER)


@pytest.mark.parametrize(
    "metadata",
    [FACTS, [FACTS], [[FACTS]], [VideoMetadata(**FACTS)]],
    ids=lambda m: type(m).__name__,
)
def test_metadata_in_any_shape_goes_where_it_went(metadata: Any) -> None:
    stock, enabled = QWEN3.processor(), enable(QWEN3.processor())
    video = frames().permute(0, 3, 1, 2)
    found, expected = (
        one(
            text=["<|video_pad|>"],
            videos=[video],
            video_metadata=copy.deepcopy(metadata),
            num_frames=4,
            fps=None,
            do_sample_frames=True,
            return_tensors="pt",
        )
        for one in (enabled, stock)
    )
    assert torch.equal(found["input_ids"], expected["input_ids"])
    assert torch.equal(found["pixel_values_videos"], expected["pixel_values_videos"])


def test_a_missing_file_is_named(processor: Any) -> None:
    with pytest.raises(VideoError, match=r"none\.mp4"):
        processor.apply_chat_template(messages("none.mp4"), sampler="uniform", **ANSWER)


def test_what_is_no_video_family_cannot_be_enabled() -> None:
    tokenizer = QWEN3.processor().tokenizer
    with pytest.raises(InputError, match="Qwen3VLProcessor"):
        enable(tokenizer)


def test_only_this_instance_changes(processor: Any, video: str) -> None:
    other = QWEN3.processor()
    before = {name: type(part) for name, part in vars(other).items()}
    again = enable(enable(processor))
    assert again is processor
    assert type(processor).__mro__.count(type(other)) == 1
    assert len(type(processor).__mro__) == len(type(other).__mro__) + 2
    assert type(processor).__name__ == type(other).__name__
    assert isinstance(processor, type(other))
    assert not hasattr(type(other), "last_selections")
    assert type(other).__call__ is not type(processor).__call__
    assert {name: type(part) for name, part in vars(other).items()} == before
    assert vars(processor).keys() == vars(other).keys()
    stock = other.apply_chat_template(messages(video), num_frames=4, fps=None, **ANSWER)
    assert QWEN3.read_back(stock) != SHOWN


def test_saved_and_loaded_it_is_as_before(processor: Any, video: str, tmp_path: Path) -> None:
    QWEN3.processor().save_pretrained(tmp_path / "stock")
    processor.apply_chat_template(messages(video), sampler=fixed(), **ANSWER)
    processor.save_pretrained(tmp_path / "enabled")
    for path in sorted((tmp_path / "stock").iterdir()):
        assert (tmp_path / "enabled" / path.name).read_bytes() == path.read_bytes(), path.name
    auto: Any = AutoProcessor
    loaded = auto.from_pretrained(tmp_path / "enabled")
    inputs = enable(loaded).apply_chat_template(messages(video), sampler=fixed(), **ANSWER)
    assert QWEN3.read_back(inputs) == SHOWN


def test_a_copy_shares_the_model_and_not_the_memory(video: str) -> None:
    processor, model = build("qwen3_vl")
    twin = copy.deepcopy(enable(processor, model=model))
    assert twin._keyscore.model is model
    assert twin.tokenizer is not processor.tokenizer
    twin.apply_chat_template(messages(video), sampler=fixed(), **ANSWER)
    assert processor.last_selections == []
    assert len(twin.last_selections) == 1


def test_the_selection_says_how_it_was_made(processor: Any, video: str) -> None:
    processor.apply_chat_template(messages(video), sampler="uniform", num_frames=4, **ANSWER)
    (selection,) = processor.last_selections
    assert (selection.sampler, selection.num_frames, selection.video) == ("uniform", 4, video)
    assert replace(selection).indices == [15, 45, 75, 105]


@pytest.mark.parametrize(
    ("sampler", "said"), [("", "unknown sampler ''"), ([], "a sampler is a name .* got \\[\\]")]
)
def test_a_block_that_names_a_sampler_badly_is_refused(
    sampler: Any, said: str, processor: Any, video: str
) -> None:
    with pytest.raises(InputError, match=said):
        processor.apply_chat_template(messages(video, sampler=sampler), **ANSWER)
