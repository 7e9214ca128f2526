"""How an enabled processor looks from outside: its signatures, class, repr, and threads."""

import inspect
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
import transformers
from transformers import ProcessorMixin

from keyscore_plugin import KeyScoreSampler
from keyscore_transformers import enable
from tests.support.fixed_sampler import FixedSampler
from tests.support.tiny import FAMILIES, build
from tests.support.tiny.family import Family
from tests.support.tiny.videos import numbered_video

QWEN3 = FAMILIES["qwen3_vl"]
ANSWER = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}


@pytest.fixture(params=sorted(FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    """Every family that the installed transformers has."""
    family = FAMILIES[request.param]
    if family.missing:
        pytest.skip(f"transformers {transformers.__version__} has no {family.missing[0]}")
    return family


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4"))


def messages(video: str) -> list[dict[str, Any]]:
    content = [{"type": "video", "video": video}, {"type": "text", "text": "Which?"}]
    return [{"role": "user", "content": content}]


def test_it_takes_what_the_stock_processor_takes(family: Family) -> None:
    """vLLM and the tests of transformers read the keywords of a processor from its signature."""
    stock, enabled = family.processor(), enable(family.processor())
    for name in ("__call__", "apply_chat_template"):
        theirs, ours = getattr(stock, name), getattr(enabled, name)
        assert inspect.signature(ours) == inspect.signature(theirs)
        assert ours.__annotations__ == theirs.__annotations__
        assert ours.__doc__ == theirs.__doc__
        on_class = getattr(type(enabled), name)
        assert inspect.signature(on_class) == inspect.signature(getattr(type(stock), name))
    assert inspect.signature(type(enabled)) == inspect.signature(type(stock))
    # They also tell an old processor by what its parent class lacks.
    assert issubclass(type(enabled).__mro__[1], ProcessorMixin)


PARTS = ("image_processor", "video_processor", "feature_extractor", "tokenizer")


def test_its_class_makes_stock_processors(family: Family) -> None:
    enabled = enable(family.processor(), sampler="uniform")
    parts = {name: getattr(enabled, name) for name in PARTS if hasattr(enabled, name)}
    made = type(enabled)(**parts)
    assert type(made) is type(family.processor())
    assert not hasattr(made, "last_selections")


def test_what_its_class_loads_shares_nothing_with_it(video: str, tmp_path: Path) -> None:
    processor = enable(QWEN3.processor())
    processor.save_pretrained(tmp_path)
    loaded = type(processor).from_pretrained(tmp_path)
    assert type(loaded) is type(QWEN3.processor())
    assert enable(loaded, device="cpu").last_selections == []
    processor.apply_chat_template(messages(video), sampler=FixedSampler([3]), **ANSWER)
    assert loaded.last_selections == []
    assert "device='auto'" in repr(processor)


def test_its_repr_says_how_it_was_enabled() -> None:
    processor, model = build("qwen3_vl")
    stock = repr(processor)
    first, rest = repr(enable(processor, device="cpu")).split("\n", 1)
    assert rest == stock
    assert first == (
        "KeyScore enabled: sampler=None, encoder='auto', captioner=None, decoder='auto', "
        "device='cpu', limits=None"
    )
    enable(processor, model=model, sampler=KeyScoreSampler(), encoder="conse")
    assert repr(processor).startswith(
        "KeyScore enabled: sampler=KeyScoreSampler(encoder='auto', captioner=None), "
        "encoder='conse', captioner='Qwen3VLForConditionalGeneration', "
    )


def test_a_later_patch_of_its_class_undoes_nothing(
    video: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    processor = enable(QWEN3.processor())
    stock = type(QWEN3.processor())
    called = []

    def patch(original: Any) -> Any:
        def patched(self: Any, *args: Any, **kwargs: Any) -> Any:
            called.append(original.__name__)
            return original(self, *args, **kwargs)

        return patched

    for name in ("__call__", "apply_chat_template"):
        monkeypatch.setattr(stock, name, patch(getattr(stock, name)))
    inputs = processor.apply_chat_template(messages(video), sampler=FixedSampler([3, 40]), **ANSWER)
    assert called == ["apply_chat_template", "__call__"]
    assert QWEN3.read_back(inputs) == [3, 3, 40, 40]


def test_each_thread_sees_its_own_selections(video: str) -> None:
    processor = enable(QWEN3.processor())
    together = Barrier(4, timeout=60)

    def ask(number: int) -> list[list[int]]:
        seen = []
        for frame in range(number, 60, 20):
            together.wait()
            processor.apply_chat_template(messages(video), sampler=FixedSampler([frame]), **ANSWER)
            together.wait()
            seen += [selection.indices for selection in processor.last_selections]
        return seen

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(ask, range(4)))
    assert found == [[[number], [number + 20], [number + 40]] for number in range(4)]
    assert len(processor.last_selections) == 1  # this thread made no call: those of another
    processor.apply_chat_template(messages(video), sampler=FixedSampler([7, 9]), **ANSWER)
    assert [selection.indices for selection in processor.last_selections] == [[7, 9]]
