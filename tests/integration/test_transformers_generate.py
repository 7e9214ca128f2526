"""Caption, choose, answer: real decoding and choosing, and tiny models that write nonsense."""

import string
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from keyscore_plugin import KeyScoreSampler
from keyscore_plugin.captioners.vlm import VlmCaptioner
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.registries import DECODERS
from keyscore_plugin.types import Caption, Frames, TextEmbedding
from keyscore_plugin.video.decoders.pyav import PyAVSource
from keyscore_plugin.video.samples import sample_video
from keyscore_transformers import enable, generate
from tests.support.colour_encoder import WORDS, ColourEncoder
from tests.support.tiny import FAMILIES, build
from tests.support.tiny.videos import numbered_frames

COLOURS = {"red": (220, 20, 20), "green": (20, 200, 20), "blue": (20, 20, 220)}
ASKED: list[str] = []  # what the decoder below was asked for


class CountingSource(PyAVSource):
    """The real decoder, and a record of what it was asked for."""

    def __init__(self, path: str, stream: int | None = None) -> None:
        ASKED.append("open")
        super().__init__(path, stream)

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """See `VideoSource.read`."""
        ASKED.append("read")
        return super().read(indices, size=size)

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """See `VideoSource.thumbnails`."""
        ASKED.append("thumbnails")
        return super().thumbnails(grid, short_side=short_side)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> str:
    """Name under which the counting decoder is registered for this test."""
    monkeypatch.setitem(DECODERS, "counting", f"{__name__}:CountingSource")
    ASKED.clear()
    return "counting"


class AnyWords(ColourEncoder):
    """Reads the colour words of any text; one without any is white."""

    def encode_text(self, text: str) -> TextEmbedding:
        words = text.lower().strip("?. ").split()
        return super().encode_text(" ".join(word for word in words if word in WORDS) or "white")


def write_scenes(path: Path, order: Sequence[str]) -> str:
    """Two seconds of each colour, at 10 frames a second, with noise so that frames differ."""
    noise = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for name in order:
            for _ in range(20):
                pixels = np.array(COLOURS[name]) + noise.integers(-15, 15, (64, 64, 3))
                rgb = pixels.clip(0, 255).astype(np.uint8)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return str(path)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def video(folder: Path) -> str:
    return write_scenes(folder / "red green blue.mp4", ["red", "green", "blue"])


@pytest.fixture(scope="module")
def other(folder: Path) -> str:
    return write_scenes(folder / "blue red green.mp4", ["blue", "red", "green"])


def messages(video: str, text: str = "When is it blue?") -> list[dict[str, Any]]:
    content = [{"type": "video", "path": video}, {"type": "text", "text": text}]
    return [{"role": "user", "content": content}]


def only_letters(model: Any, processor: Any) -> Any:
    """The model, able to write nothing but letters: random ones may write only blanks."""
    letters = set(processor.tokenizer.convert_tokens_to_ids(list(string.ascii_letters)))
    vocabulary = range(model.get_input_embeddings().num_embeddings)
    model.generation_config.suppress_tokens = [i for i in vocabulary if i not in letters]
    return model


def ready(family: str = "qwen2_5_vl", **settings: Any) -> tuple[Any, Any, list[int]]:
    """A processor enabled for its model, and the batch size of each time the model saw pixels."""
    processor, model = build(family)
    only_letters(model, processor)
    batches: list[int] = []

    def note(module: Any, args: Any, kwargs: Any) -> None:
        batches.append(len(kwargs["grid_thw"]))

    model.model.visual.register_forward_pre_hook(note, with_kwargs=True)
    settings = {"encoder": AnyWords(), **settings}
    return enable(processor, model=model, **settings), model, batches


@pytest.mark.slow
def test_a_real_clip_end_to_end(counting: str) -> None:
    """The clip is looked at once and its frames are read once, whatever else happens."""
    processor, model, batches = ready(encoder="conse", decoder=counting)
    asked = messages(str(sample_video("bikes")), "Where do the people ride?")
    answer = generate(model, processor, asked, sampler="keyscore", num_frames=4, max_new_tokens=5)
    (selection,) = processor.last_selections
    assert isinstance(answer, str)
    assert len(answer) == 5
    assert len(selection.indices) == 4
    assert selection.encoder == "conse"
    assert selection.caption is not None
    assert selection.caption.origin == "generated"
    assert selection.caption.model == type(model).__name__
    assert selection.question is None
    assert ASKED == ["open", "thumbnails", "read"]
    assert len(batches) == 2  # once for the caption, once for the answer


def test_the_caption_of_a_video_is_made_once(video: str) -> None:
    processor, model, batches = ready()
    first = generate(model, processor, messages(video), max_new_tokens=2)
    caption = processor.last_selections[0].caption
    assert len(batches) == 2
    again = generate(model, processor, messages(video), max_new_tokens=2)
    assert len(batches) == 3
    assert (again, processor.last_selections[0].caption) == (first, caption)


def test_captions_of_a_batch_are_made_together(video: str, other: str, counting: str) -> None:
    processor, model, batches = ready(decoder=counting)
    asked = [messages(video), messages(other), messages(video, "How long is it red?")]
    answers = generate(model, processor, asked, max_new_tokens=2)
    assert len(answers) == 3
    assert batches == [2, 3]  # captions of the two videos, then all the answers
    assert sorted(ASKED) == ["open"] * 2 + ["read"] * 2 + ["thumbnails"] * 2
    one, two, three = processor.last_selections
    assert one == three
    assert (one.video, two.video) == (video, other)
    alone, model, _ = ready()
    assert generate(model, alone, asked[1], max_new_tokens=2) == answers[1]
    assert alone.last_selections[0].caption == two.caption


def test_a_chat_without_a_video_is_answered_in_a_batch_as_alone(video: str) -> None:
    processor, model, _ = ready()
    text = [{"role": "user", "content": [{"type": "text", "text": "Hello."}]}]
    asked = [text, messages(video)]
    answers = generate(model, processor, asked, caption="blue", max_new_tokens=3)
    alone = [generate(model, processor, a, caption="blue", max_new_tokens=3) for a in asked]
    assert answers == alone


def test_a_given_caption_is_not_made_again(video: str) -> None:
    processor, model, batches = ready()
    generate(model, processor, messages(video), caption="blue", num_frames=2, max_new_tokens=2)
    (selection,) = processor.last_selections
    assert selection.caption is not None
    assert (selection.caption.text, selection.caption.origin) == ("blue", "given")
    assert all(index >= 40 for index in selection.indices)
    assert len(batches) == 1


def test_the_question_is_read_from_the_messages(video: str) -> None:
    processor, model, batches = ready()
    generate(model, processor, messages(video), guide="question", num_frames=2, max_new_tokens=2)
    (selection,) = processor.last_selections
    assert (selection.caption, selection.question) == (None, "When is it blue?")
    assert len(batches) == 1


def test_a_question_that_is_given_chooses(video: str) -> None:
    processor, model, batches = ready()
    generate(model, processor, messages(video), question="Where is red?", max_new_tokens=2)
    (selection,) = processor.last_selections
    assert (selection.caption, selection.question) == (None, "Where is red?")
    assert len(batches) == 1


def test_both_texts_score(video: str) -> None:
    processor, model, batches = ready()
    generate(model, processor, messages(video), guide="both", num_frames=2, max_new_tokens=2)
    (selection,) = processor.last_selections
    assert selection.caption is not None
    assert selection.question == "When is it blue?"
    assert selection.config["guide"] == "both"
    assert len(batches) == 2


def test_the_template_makes_the_same_caption(video: str) -> None:
    processor, _, batches = ready()
    keywords = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}
    processor.apply_chat_template(messages(video), sampler="keyscore", num_frames=4, **keywords)
    (selection,) = processor.last_selections
    assert selection.caption is not None
    assert selection.caption.origin == "generated"
    assert len(batches) == 1


def test_the_prompt_and_its_answer_can_be_set(video: str) -> None:
    processor, model = build("qwen2_5_vl")
    only_letters(model, processor)
    captioner = VlmCaptioner(model, processor, prompt="What?", max_new_tokens=7)
    enable(processor, captioner=captioner, model=model, encoder=AnyWords())
    generate(model, processor, messages(video), max_new_tokens=2)
    caption = processor.last_selections[0].caption
    assert caption is not None
    assert len(caption.text) == 7


def test_samplers_that_read_no_text_ask_for_none(video: str) -> None:
    processor, model, batches = ready()
    for sampler in ("uniform", "stacfp"):
        generate(model, processor, messages(video), sampler=sampler, num_frames=3, max_new_tokens=2)
        assert processor.last_selections[0].caption is None
    assert len(batches) == 2


def test_a_threshold_decides_how_many_frames(video: str) -> None:
    processor, model, _ = ready()
    generate(model, processor, messages(video), caption="blue", threshold=0.8, max_new_tokens=2)
    (selection,) = processor.last_selections
    assert selection.num_frames is None
    assert selection.scores is not None
    assert min(selection.scores) >= 0.8


def test_generate_enables_a_plain_processor(video: str) -> None:
    processor, model = build("qwen2_5_vl")
    generate(model, processor, messages(video), sampler="uniform", num_frames=2, max_new_tokens=1)
    assert len(processor.last_selections) == 1


def test_generate_keeps_the_settings_of_enable(video: str) -> None:
    processor, model = build("qwen2_5_vl")
    only_letters(model, processor)
    enable(processor, encoder=AnyWords(), config={"guide": "question"})
    generate(model, processor, messages(video), num_frames=2, max_new_tokens=1)
    (selection,) = processor.last_selections
    assert selection.encoder == "colour"
    assert (selection.caption, selection.question) == (None, "When is it blue?")


def test_a_captioner_of_the_callers_stays(video: str) -> None:
    class Red:
        name = "red"

        def caption(self, frames: Frames) -> Caption:
            return Caption("red", origin="generated", model=self.name)

    processor, model = build("qwen2_5_vl")
    enable(processor, encoder=AnyWords(), captioner=Red())
    generate(model, processor, messages(video), num_frames=2, max_new_tokens=1)
    caption = processor.last_selections[0].caption
    assert caption == Caption("red", origin="generated", model="red")


def test_another_model_captions_for_itself(video: str) -> None:
    processor, model, _ = ready()
    generate(model, processor, messages(video), num_frames=2, max_new_tokens=1)
    first = processor.last_selections[0].caption
    _, other = build("qwen2_5_vl")
    letters = processor.tokenizer.convert_tokens_to_ids(["x"])
    vocabulary = range(other.get_input_embeddings().num_embeddings)
    other.generation_config.suppress_tokens = [i for i in vocabulary if i not in letters]
    generate(other, processor, messages(video), num_frames=2, max_new_tokens=1)
    second = processor.last_selections[0].caption
    assert first is not None
    assert second is not None
    assert set(second.text) == {"x"} != set(first.text)


def test_a_sampler_object_keeps_its_own_guide(video: str) -> None:
    processor, model, _ = ready()
    own = KeyScoreSampler(SamplerConfig(guide="both"), encoder=AnyWords())
    asked: dict[str, Any] = {"caption": "red", "sampler": own, "max_new_tokens": 1}
    generate(model, processor, messages(video), guide="both", **asked)
    assert processor.last_selections[0].question == "When is it blue?"
    with pytest.raises(InputError, match=r"guide='caption'.*made for guide='both'"):
        generate(model, processor, messages(video), guide="caption", **asked)


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> str:
    if FAMILIES[request.param].missing:
        pytest.skip(f"transformers {transformers.__version__} has no {request.param}")
    return str(request.param)


def test_every_family_captions(family: str) -> None:
    processor, model = build(family)
    only_letters(model, processor)
    frames = torch.from_numpy(numbered_frames(5))
    times = torch.arange(5).double()
    captioner = VlmCaptioner(model, processor, max_new_tokens=6)
    videos = [
        Frames(frames, torch.arange(5), times),
        Frames(frames[:3], torch.arange(3), times[:3]),
        Frames(frames.flip(0), torch.arange(5), times),
    ]
    captions = captioner.caption_batch(videos)
    assert [len(caption.text) for caption in captions] == [6, 6, 6]
    assert {caption.model for caption in captions} == {type(model).__name__}
    alone = [VlmCaptioner(model, processor, max_new_tokens=6).caption(one) for one in videos]
    assert alone == captions


def test_no_messages_are_an_error() -> None:
    processor, model = build("qwen2_5_vl")
    with pytest.raises(InputError, match="messages is empty"):
        generate(model, processor, [])


def test_a_captioner_that_writes_nothing_is_an_error() -> None:
    processor, model = build("qwen3_vl")
    only_letters(model, processor)
    (blank,) = processor.tokenizer("\n")["input_ids"]
    letters = model.generation_config.suppress_tokens
    vocabulary = range(model.get_input_embeddings().num_embeddings)
    model.generation_config.suppress_tokens = [i for i in vocabulary if i != blank]
    assert set(letters) != set(model.generation_config.suppress_tokens)
    frames = Frames(torch.from_numpy(numbered_frames(2)), torch.arange(2), torch.arange(2.0))
    with pytest.raises(ModelError, match=r"wrote no caption.*give a caption"):
        VlmCaptioner(model, processor, max_new_tokens=3).caption(frames)
