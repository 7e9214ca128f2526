"""The newer families of transformers: the chosen frames, their times, and nothing else."""

from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_transformers import enable, generate
from keyscore_transformers.families import FAMILIES as TABLE
from keyscore_transformers.families import REFUSED, SINCE, times_of
from tests.support.fixed_sampler import FixedSampler
from tests.support.tiny import FAMILIES, NEWER_FAMILIES
from tests.support.tiny.family import Family, hf, installed_before
from tests.support.tiny.videos import numbered_frames, numbered_video

pytestmark = [
    pytest.mark.skipif(installed_before("5.23"), reason="their tiny models are those of 5.23"),
    # MiniCPM's, with NumPy 2.
    pytest.mark.filterwarnings("ignore:__array_wrap__:DeprecationWarning"),
]
KEYFRAMES = [3, 4, 40, 101]
FPS = 10
ANSWER = {"tokenize": True, "return_dict": True, "return_tensors": "pt"}


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twelve seconds whose frame i is a flat colour that names i."""
    return str(numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4", fps=FPS))


@pytest.fixture(params=sorted(NEWER_FAMILIES))
def family(request: pytest.FixtureRequest) -> Family:
    """Every newer family that the installed transformers has."""
    family = NEWER_FAMILIES[request.param]
    if family.missing:
        pytest.skip(f"transformers {transformers.__version__} has no {family.missing[0]}")
    return family


def messages(video: Any) -> list[dict[str, Any]]:
    content = [{"type": "video", "video": video}, {"type": "text", "text": "Which?"}]
    return [{"role": "user", "content": content}]


def test_the_model_gets_the_chosen_frames_and_their_times(family: Family, video: str) -> None:
    processor, model = family.build()
    enable(processor, model=model)
    sampler = FixedSampler(KEYFRAMES)
    inputs = processor.apply_chat_template(messages(video), sampler=sampler, **ANSWER)
    shown = [frame for frame in KEYFRAMES for _ in range(family.frames_per_patch)]
    assert family.read_back(inputs) == shown
    if family.read_times is not None:
        assert family.expected_times is not None
        seconds = family.expected_times([frame / FPS for frame in shown])
        assert family.read_times(inputs, processor, model) == seconds
    answer = generate(model, processor, messages(video), sampler=sampler, max_new_tokens=2)
    assert isinstance(answer, str)


def test_without_a_sampler_nothing_changes(family: Family) -> None:
    frames = torch.from_numpy(numbered_frames(8)).permute(0, 3, 1, 2)
    metadata = {
        "total_num_frames": 8,
        "fps": 2.0,
        "duration": 4.0,
        "frames_indices": list(range(8)),
    }
    keywords = {
        "videos": [[frames]],
        "video_metadata": [[metadata]],
        "do_sample_frames": False,
        "return_metadata": True,
        "return_tensors": "pt",
    }
    stock, enabled = family.processor(), enable(family.processor())
    text = stock.apply_chat_template(messages("clip.mp4"))
    expected, found = (processor(text=[text], **keywords) for processor in (stock, enabled))
    assert list(found) == list(expected)
    for name, value in expected.items():
        if isinstance(value, Tensor):
            assert torch.equal(found[name], value), name


def test_ernie_draws_the_true_times_on_the_frames(video: str) -> None:
    family = NEWER_FAMILIES["ernie4_5_vl_moe"]
    if family.missing:
        pytest.skip(f"transformers {transformers.__version__} has no {family.missing[0]}")
    matplotlib: Any = pytest.importorskip("matplotlib")
    stock, enabled = (family.processor() for _ in range(2))
    for processor in (stock, enabled):
        processor.video_processor.draw_on_frames = True
        processor.video_processor.font = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans.ttf"
    enable(enabled)
    drawn = enabled.apply_chat_template(messages(video), sampler=FixedSampler([3, 40]), **ANSWER)
    shown = [3, 3, 40, 40]
    metadata = {"total_num_frames": 120, "fps": 10.0, "duration": 12.0, "frames_indices": shown}
    by_hand = stock(
        text=[stock.apply_chat_template(messages(video))],
        videos=[[torch.from_numpy(numbered_frames(120)[shown]).permute(0, 3, 1, 2)]],
        video_metadata=[[metadata]],
        do_sample_frames=False,
        return_tensors="pt",
    )
    difference = (drawn["pixel_values_videos"] - by_hand["pixel_values_videos"]).abs()
    assert difference.max() < 0.05  # decoding of a lossless clip, in units of the deviation


def test_every_row_of_the_table_has_a_tiny_family() -> None:
    built = {**FAMILIES, **NEWER_FAMILIES}.values()
    made = {type(family.processor()).__name__ for family in built if not family.missing}
    too_old = {name for name, (release, _) in SINCE.items() if installed_before(release)}
    assert made == {name for name in TABLE if hasattr(transformers, name)} - too_old


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_a_family_that_cannot_be_done_says_why(name: str) -> None:
    if not hasattr(transformers, name):
        pytest.skip(f"transformers {transformers.__version__} has no {name}")
    processor = object.__new__(hf(name))
    processor.video_processor = object()
    with pytest.raises(InputError) as error:
        enable(processor)
    assert REFUSED[name] in str(error.value)


@pytest.mark.parametrize("name", sorted(SINCE))
def test_a_family_that_needs_a_later_transformers_says_so(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    release, why_not = SINCE[name]
    monkeypatch.setattr("transformers.__version__", "5.23.0")
    processor = object.__new__(hf(name))
    processor.video_processor = object()
    with pytest.raises(InputError) as error:
        enable(processor)
    assert why_not in str(error.value)
    assert str(error.value).endswith(f"; install transformers>={release}")
    monkeypatch.setattr("transformers.__version__", f"{release}.0.dev0")  # a build of its source
    assert times_of(processor) == TABLE[name]


def of_unknown_family() -> tuple[Any, Any]:
    """Qwen3-VL under a name that is not in the table."""
    processor, model = FAMILIES["qwen3_vl"].build()
    stock = type(processor)
    bases = tuple(base for base in stock.__mro__[1:2])
    processor.__class__ = type("NobodysProcessor", bases, dict(vars(stock)))
    return processor, model


def test_an_unknown_family_is_enabled_by_what_its_user_says(video: str) -> None:
    processor, model = of_unknown_family()
    with pytest.raises(InputError, match=r"NobodysProcessor is of no family .*times='metadata'"):
        enable(processor)
    enable(processor, model=model, times="metadata")
    sampler = FixedSampler(KEYFRAMES)
    inputs = processor.apply_chat_template(messages(video), sampler=sampler, **ANSWER)
    family = FAMILIES["qwen3_vl"]
    assert family.read_back(inputs) == [3, 3, 4, 4, 40, 40, 101, 101]
    assert family.read_times is not None
    assert family.read_times(inputs, processor, model) == [0.3, 0.4, 4.0, 10.1]
    assert "video_metadata" not in inputs


@pytest.mark.parametrize("times", ["metadata", "seconds"])
def test_a_known_family_needs_no_word_about_times(times: Any) -> None:
    with pytest.raises(InputError, match="leave it out"):
        enable(FAMILIES["qwen3_vl"].processor(), times=times)
