"""qwen-vl-utils patched by others after us: the sampler still chooses, or an error says why not."""

import copy
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import qwen_vl_utils
import torch
from PIL import Image
from qwen_vl_utils import fetch_video, process_vision_info, vision_process
from torch import Tensor

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.replacements import kept_replacements
from keyscore_qwen_vl_utils import hook, install, replaced, uninstall
from tests.support.fixed_sampler import FixedSampler
from tests.support.tiny.videos import frame_numbers, numbered_video

CHOSEN = [3, 10, 70, 101]
BLACK = torch.zeros(4, 3, 56, 56, dtype=torch.uint8)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """120 numbered frames."""
    return str(numbered_video(tmp_path_factory.mktemp("videos") / "numbered.mp4"))


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Ours first; what a test patches over it is taken away again, then ours."""
    readers = dict(vision_process.VIDEO_READER_BACKENDS)
    monkeypatch.setattr(vision_process, "VIDEO_READER_BACKENDS", readers)
    monkeypatch.setattr(vision_process, "fetch_video", vision_process.fetch_video)
    install()
    yield
    uninstall()


def read_black(element: dict[str, Any]) -> Any:
    """A reader of somebody else."""
    return BLACK, {"fps": 2.0, "frames_indices": [0, 1, 2, 3], "total_num_frames": 4}, 2.0


def replace_entries() -> None:
    for name in vision_process.VIDEO_READER_BACKENDS:
        vision_process.VIDEO_READER_BACKENDS[name] = read_black


def replace_table() -> None:
    readers = dict.fromkeys(vision_process.VIDEO_READER_BACKENDS, read_black)
    vision_process.VIDEO_READER_BACKENDS = readers


def wrap_fetch() -> None:
    stock = vision_process.fetch_video
    vision_process.fetch_video = lambda *args, **kwargs: stock(*args, **kwargs)
    replace_entries()


def messages(element: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [element]}]


def by_process_vision_info(element: dict[str, Any]) -> Tensor:
    pixels: Tensor = process_vision_info(messages(element))[1][0]
    return pixels


def by_fetch_video(element: dict[str, Any]) -> Tensor:
    pixels: Tensor = qwen_vl_utils.fetch_video(element)
    return pixels


def by_stock_fetch_video(element: dict[str, Any]) -> Tensor:
    """As a module does that imported the function before `install`."""
    pixels: Tensor = fetch_video(element)
    return pixels


def element(video: Any, **keys: Any) -> dict[str, Any]:
    return {"type": "video", "video": video, "resized_height": 56, "resized_width": 56, **keys}


@pytest.mark.parametrize("fetch", [by_process_vision_info, by_fetch_video, by_stock_fetch_video])
@pytest.mark.parametrize("patch", [replace_entries, replace_table, wrap_fetch])
def test_the_sampler_chooses_whatever_is_patched_afterwards(
    patch: Callable[[], None], fetch: Callable[[dict[str, Any]], Tensor], video: str
) -> None:
    patch()
    asked = element(video, sampler=FixedSampler(CHOSEN), nframes=4, pair="plain")
    assert frame_numbers(fetch(asked).mean(dim=(2, 3))) == CHOSEN
    assert torch.equal(fetch(element(video, nframes=4)), BLACK.float())  # theirs, as they wish


def test_what_others_replaced_is_listed_with_its_author(video: str) -> None:
    assert replaced() == []
    replace_entries()
    by_process_vision_info(element(video, sampler=FixedSampler(CHOSEN), nframes=4))
    found = {one.name: one.by for one in replaced()}
    assert found == {
        f"VIDEO_READER_BACKENDS[{name!r}]": f"{__name__}.read_black"
        for name in vision_process.VIDEO_READER_BACKENDS
    }
    # `keyscore doctor`, in another process, lists them too.
    assert found.items() <= {one.name: one.by for one in kept_replacements()}.items()


def test_a_reader_that_others_add_has_replaced_nothing() -> None:
    vision_process.VIDEO_READER_BACKENDS["theirs"] = read_black
    for _ in range(2):
        vision_process.get_video_reader_backend()
        assert replaced() == []
        assert isinstance(vision_process.VIDEO_READER_BACKENDS["theirs"], hook.SelectingReader)
    vision_process.VIDEO_READER_BACKENDS["theirs"] = read_black
    vision_process.get_video_reader_backend()
    assert [one.by for one in replaced()] == [f"{__name__}.read_black"]


def test_the_arguments_of_what_replaced_a_reader_are_not_listed() -> None:
    vision_process.VIDEO_READER_BACKENDS["decord"] = partial(read_black_video, token="secret")
    vision_process.get_video_reader_backend()
    assert [one.by for one in replaced()] == ["functools.partial"]


def test_a_table_of_ours_that_came_back_after_uninstall_is_watched_again() -> None:
    ours = dict(vision_process.VIDEO_READER_BACKENDS)
    uninstall()
    vision_process.VIDEO_READER_BACKENDS = ours
    install()
    replace_entries()
    vision_process.get_video_reader_backend()
    assert {one.by for one in replaced()} == {f"{__name__}.read_black"}


def test_threads_that_install_at_once_take_no_stock_reader_for_a_replacement(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uninstall()
    readers = hook._readers

    def in_between() -> dict[str, Any]:
        """Install, as another thread does, after this one has looked at the table."""
        seen = dict(readers())
        monkeypatch.setattr(hook, "_readers", readers)
        install()
        return seen

    monkeypatch.setattr(hook, "_readers", in_between)
    install()
    assert replaced() == []


def test_a_fetch_video_that_reads_by_itself_is_refused(video: str) -> None:
    vision_process.fetch_video = read_black_video
    for _ in range(2):
        with pytest.raises(InputError) as error:
            by_process_vision_info(element(video, sampler=FixedSampler(CHOSEN), nframes=4))
        assert "were not chosen by its sampler" in str(error.value)
        assert "<function read_black_video" in str(error.value)
        assert f" of {__name__} has replaced qwen_vl_utils.fetch_video" in str(error.value)
    assert torch.equal(by_process_vision_info(element(video)), BLACK)


def read_black_video(ele: dict[str, Any], **options: Any) -> Any:
    return BLACK, 2.0


def test_a_function_of_ours_that_somebody_kept_refuses_samplers_after_uninstall(video: str) -> None:
    kept = qwen_vl_utils.fetch_video
    replace_entries()
    uninstall()
    with pytest.raises(InputError, match=r"call keyscore_qwen_vl_utils\.install\(\) first"):
        kept(element(video, sampler="uniform", nframes=4))
    assert torch.equal(kept(element(video, nframes=4)), BLACK.float())


def test_the_functions_can_be_copied_as_the_stock_ones_can() -> None:
    for name in ("fetch_video", "get_video_reader_backend"):
        watched = getattr(vision_process, name)
        assert copy.deepcopy(watched).stock is watched.stock
    vision_process.get_video_reader_backend.cache_clear()


def test_a_sampler_for_an_image_is_refused() -> None:
    image = {"type": "image", "image": Image.new("RGB", (56, 56)), "sampler": "uniform"}
    with pytest.raises(InputError, match="was given for an image; leave it out"):
        process_vision_info(messages(image))
