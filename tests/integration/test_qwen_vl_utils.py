"""qwen-vl-utils with a sampler in the element: true frames, true times, errors that surface."""

import math
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import qwen_vl_utils
import torch
from PIL import Image
from qwen_vl_utils import process_vision_info, vision_process
from torch import Tensor
from transformers.video_utils import VideoMetadata

from keyscore_plugin import Sampler, open_video
from keyscore_plugin.errors import InputError, VideoError
from keyscore_qwen_vl_utils import DownloadLimits, install, uninstall
from keyscore_qwen_vl_utils.request import HOST, request_of, samplers_of
from keyscore_transformers import enable
from keyscore_transformers.times import patches_chosen_before
from tests.support.fixed_sampler import FixedSampler
from tests.support.http_servers import serving, unvisited
from tests.support.tiny import FAMILIES
from tests.support.tiny.videos import frame_numbers, numbered_frames, numbered_video

FPS = 10


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    """120 numbered frames, 12 seconds."""
    return str(numbered_video(tmp_path_factory.mktemp("videos") / "numbered.mp4", fps=FPS))


@pytest.fixture
def installed() -> Iterator[None]:
    install()
    yield
    uninstall()


@pytest.fixture(params=["decord", "torchcodec", "torchvision"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The reader that qwen-vl-utils takes, as from its environment variable."""
    monkeypatch.setattr(vision_process, "FORCE_QWENVL_VIDEO_READER", request.param)
    vision_process.get_video_reader_backend.cache_clear()
    yield request.param
    vision_process.get_video_reader_backend.cache_clear()


def element(video: Any, **keys: Any) -> dict[str, Any]:
    return {"type": "video", "video": video, "resized_height": 56, "resized_width": 56, **keys}


def messages(*elements: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [*elements, {"type": "text", "text": "Which?"}]}]


def fetch(*elements: dict[str, Any], patch_size: int = 14) -> list[tuple[Tensor, dict[str, Any]]]:
    """The videos of one message, with metadata."""
    _, videos, keywords = process_vision_info(
        messages(*elements),
        return_video_kwargs=True,
        return_video_metadata=True,
        image_patch_size=patch_size,
    )
    assert keywords == {"do_sample_frames": False}
    fetched: list[tuple[Tensor, dict[str, Any]]] = videos
    return fetched


def numbers(pixels: Tensor) -> list[int]:
    """Frames read back from ``(n, 3, h, w)`` pixels."""
    return frame_numbers(pixels.mean(dim=(2, 3)))


# The torchvision of today has no video reader left.
@pytest.mark.parametrize("backend", ["decord", "torchcodec"], indirect=True)
def test_without_the_key_nothing_changes(backend: str, video: str) -> None:
    pytest.importorskip(backend)
    asked = [
        element(video, nframes=8),
        element(video, fps=1.0, video_start=2.0, video_end=7.5, caption="inert without a sampler"),
        element(video, nframes=4, sampler=None),
    ]
    stock = fetch(*asked)
    install()
    try:
        hooked = fetch(*asked)
    finally:
        uninstall()
    for (before, facts), (after, same) in zip(stock, hooked, strict=True):
        assert torch.equal(before, after)
        assert facts == same


def test_install_and_uninstall_are_idempotent() -> None:
    readers = dict(vision_process.VIDEO_READER_BACKENDS)
    fetcher = vision_process.fetch_video
    uninstall()
    install()
    hooked = dict(vision_process.VIDEO_READER_BACKENDS)
    install()
    assert hooked == vision_process.VIDEO_READER_BACKENDS
    assert all(hooked[name] is not reader for name, reader in readers.items())
    uninstall()
    uninstall()
    assert readers == vision_process.VIDEO_READER_BACKENDS
    assert vision_process.fetch_video is fetcher
    assert qwen_vl_utils.fetch_video is fetcher


@pytest.mark.usefixtures("installed")
def test_the_model_gets_the_chosen_frames_each_twice(backend: str, video: str) -> None:
    sampler = FixedSampler([3, 10, 70, 101])
    [(pixels, facts)] = fetch(element(video, sampler=sampler, nframes=9, question="Which?"))
    chosen = [3, 3, 10, 10, 70, 70, 101, 101]
    assert numbers(pixels) == chosen
    assert facts == {
        "fps": FPS,
        "frames_indices": chosen,
        "total_num_frames": 120,
        "video_backend": "keyscore",
    }
    assert sampler.calls == [
        {"num_frames": 4, "threshold": None, "caption": None, "question": "Which?"}
    ]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        ("duplicate", [3, 3, 10, 10, 14, 14]),
        ("neighbor", [3, 8, 10, 13, 14, 19]),
        ("pack", [3, 10, 14, 14]),
        ("plain", [3, 10, 14, 50, 60, 70]),
    ],
)
def test_the_pair_of_a_visual_token(pair: str, expected: list[int], video: str) -> None:
    sampler = FixedSampler([3, 10, 14, 50, 60, 70])
    [(pixels, facts)] = fetch(element(video, sampler=sampler, nframes=6, pair=pair))
    assert numbers(pixels) == expected
    assert facts["frames_indices"] == expected


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("sampler", ["uniform", "stacfp"])
def test_the_selection_stays_inside_the_interval(sampler: str, video: str) -> None:
    [(pixels, facts)] = fetch(
        element(video, sampler=sampler, nframes=12, video_start=2.0, video_end=5.0)
    )
    chosen = numbers(pixels)
    assert len(chosen) == 12
    assert min(chosen) >= 20
    assert max(chosen) <= 50
    assert facts["frames_indices"] == chosen
    assert facts["total_num_frames"] == 31


@pytest.mark.usefixtures("installed")
def test_the_mean_rate_is_that_of_the_interval(video: str) -> None:
    _, keywords = process_vision_info(
        messages(element(video, sampler="uniform", nframes=6, video_start=3, video_end=5.9)),
        return_video_kwargs=True,
    )[1:]
    assert keywords["fps"] == [pytest.approx(2.0)]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("start", [0.16, 40_000.0, 95_440.0])
def test_times_and_parts_count_from_the_first_frame(start: float, tmp_path: Path) -> None:
    path = numbered_video(tmp_path / "late.ts", n=60, seconds=[start + i / 10 for i in range(60)])
    part = {"video_start": 1, "video_end": 2.95}
    [(pixels, facts)] = fetch(element(str(path), sampler="uniform", nframes=4, **part))
    assert numbers(pixels) == [15, 15, 25, 25]
    seconds = torch.tensor(facts["frames_indices"]) / facts["fps"]
    assert seconds.tolist() == pytest.approx([1.5, 1.5, 2.5, 2.5])
    assert facts["total_num_frames"] == 20


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    "budget", [{"nframes": 2}, {"nframes": 16}, {"fps": 2.0}, {"fps": 2.0, "max_frames": 4}, {}]
)
def test_a_video_of_one_frame_fills_one_visual_token(
    budget: dict[str, Any], tmp_path: Path
) -> None:
    path = numbered_video(tmp_path / "one.mp4", n=1)
    [(pixels, facts)] = fetch(element(str(path), sampler="uniform", **budget))
    assert numbers(pixels) == facts["frames_indices"] == [0, 0]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("pair", "nframes", "expected"),
    [
        ("duplicate", 16, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]),
        ("duplicate", 7, [0, 0, 1, 1, 3, 3, 4, 4]),  # an odd number is rounded as always, to 8
        ("plain", 16, [0, 1, 2, 3, 4, 4]),
    ],
)
def test_a_budget_above_the_number_of_frames_gives_all_there_are(
    pair: str, nframes: int, expected: list[int], tmp_path: Path
) -> None:
    path = numbered_video(tmp_path / "five.mp4", n=5)
    [(pixels, _)] = fetch(element(str(path), sampler="uniform", nframes=nframes, pair=pair))
    assert numbers(pixels) == expected


@pytest.mark.usefixtures("installed")
def test_a_variable_rate_gives_indices_of_milliseconds(tmp_path: Path) -> None:
    seconds = [0.0, 0.1, 0.2, 1.98, 2.1, 6.0, 6.05, 13.78]
    path = numbered_video(tmp_path / "vfr.mp4", n=len(seconds), seconds=seconds)
    with open_video(path) as source:
        assert source.pts_seconds().tolist() == pytest.approx(seconds)
    sampler = FixedSampler([3, 5, 7])
    [(pixels, facts)] = fetch(element(str(path), sampler=sampler, nframes=6))
    assert numbers(pixels) == [3, 3, 5, 5, 7, 7]
    assert facts["frames_indices"] == [1980, 1980, 6000, 6000, 13780, 13780]
    assert facts["fps"] == 1000.0
    # By their times: at the mean rate of 0.6 a second, 2 to 6 s would be frames 2 and 3.
    within = element(str(path), sampler="uniform", nframes=2, video_start=2.0, video_end=6.0)
    [(pixels, facts)] = fetch(within)
    assert numbers(pixels) == [4, 4]
    assert facts["frames_indices"] == [2100, 2100]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_frames_and_times_reach_the_model(family: str, video: str) -> None:
    tiny = FAMILIES[family]
    processor, model = tiny.build()
    enable(processor, model=model)
    videos = fetch(
        element(video, sampler=FixedSampler([3, 10, 70, 101]), nframes=8),
        element(video, sampler=FixedSampler([0, 119]), nframes=4),
        patch_size=processor.video_processor.patch_size,
    )
    pixels, metadata = zip(*videos, strict=True)
    text = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "video"}, {"type": "video"}]}]
    )
    inputs = processor(
        text=[text],
        videos=list(pixels),
        video_metadata=list(metadata),
        do_resize=False,
        do_sample_frames=False,
        return_tensors="pt",
    )
    chosen = [3, 3, 10, 10, 70, 70, 101, 101, 0, 0, 119, 119]
    assert tiny.read_back(inputs) == chosen
    if tiny.read_times is not None:
        assert tiny.expected_times is not None
        seconds = [index / FPS for index in chosen]
        told = tiny.expected_times(seconds[:8]) + tiny.expected_times(seconds[8:])
        assert tiny.read_times(inputs, processor, model) == told


OURS: dict[str, Any] = {"fps": 10.0, "frames_indices": [3, 3, 10, 20], "video_backend": "keyscore"}
TRUE = [[0.3, 1.5]]


@pytest.mark.parametrize(
    ("keywords", "expected"),
    [
        ({"video_metadata": [OURS]}, TRUE),
        ({"video_metadata": [[OURS], [OURS]]}, TRUE * 2),
        ({"video_metadata": [VideoMetadata(total_num_frames=120, **OURS)]}, TRUE),
        ({"videos_kwargs": {"video_metadata": [OURS]}}, TRUE),
        ({"video_metadata": [OURS, OURS | {"video_backend": "decord"}]}, None),
        ({"video_metadata": OURS | {"video_backend": "decord"}}, None),
        ({"video_metadata": [{"fps": 10.0}]}, None),
        ({"video_metadata": []}, None),
        ({}, None),
    ],
)
def test_only_metadata_of_ours_changes_the_times_of_qwen2_5(
    keywords: dict[str, Any], expected: list[list[float]] | None
) -> None:
    found = patches_chosen_before(keywords, 2)
    assert (None if found is None else [times.tolist() for times in found]) == expected


@pytest.mark.usefixtures("installed")
def test_errors_of_ours_never_become_even_frames(backend: str, video: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="put a 'caption' or a 'question' into"):
        fetch(element(video, sampler="keyscore", nframes=8))
    with pytest.raises(InputError, match="unknown sampler 'keyscoer'"):
        fetch(element(video, sampler="keyscoer", nframes=8))
    with pytest.raises(VideoError, match=r"cannot read .*absent\.mp4"):
        fetch(element(str(tmp_path / "absent.mp4"), sampler="uniform", nframes=8))


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"num_frames": 8}, "its name for the number of frames is nframes"),
        ({"threshold": 0.5}, "threshold=0.5 is not read"),
        ({"nframes": 8, "pair": "twins"}, "unknown pair 'twins'"),
        ({"nframes": 8, "limits": True}, "limits=True is no DownloadLimits"),
        ({"nframes": 4, "video_start": 13.0}, "no frame of .* is on show from 13.0 s to its end"),
        ({"nframes": 4, "video_start": 3, "video_end": 1}, "must end after it starts, got start 3"),
        ({"nframes": 4, "video_end": "3"}, "the end of a part .* number of seconds, .* got '3'"),
        ({"nframes": 4, "sampler": FixedSampler([0]), "encoder": "conse"}, "ready-made sampler"),
        ({"nframes": 4, "fps": 1}, "Only accept either `fps` or `nframes`; give nframes, or fps"),
        ({"nframes": math.inf}, "refuses the number of frames of .* infinity .*; give nframes"),
    ],
)
def test_what_cannot_be_done_says_what_to_do(
    keys: dict[str, Any], message: str, video: str
) -> None:
    with pytest.raises(InputError, match=message):
        fetch(element(video, **{"sampler": "uniform", **keys}))


def as_files(folder: Path) -> list[Any]:
    """Numbered frames as image files, every other one named by URL."""
    paths = [folder / f"frame_{i}.png" for i in range(40)]
    for path, pixels in zip(paths, numbered_frames(40), strict=True):
        Image.fromarray(pixels).save(path)
    return [path.as_uri() if i % 2 else str(path) for i, path in enumerate(paths)]


def as_images(folder: Path) -> list[Any]:
    return [Image.fromarray(pixels) for pixels in numbered_frames(40)]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("frames", [as_files, as_images])
def test_of_a_list_of_frames_some_are_chosen_at_their_own_times(
    frames: Callable[[Path], list[Any]], tmp_path: Path
) -> None:
    asked = element(frames(tmp_path), sampler=FixedSampler([3, 10, 30]), nframes=6, sample_fps=4.0)
    given = dict(asked)
    [(pixels, facts)] = fetch(asked)
    assert numbers(pixels) == [3, 3, 10, 10, 30, 30]
    assert pixels.shape[2:] == (56, 56)
    times = [index / facts["fps"] for index in facts["frames_indices"]]
    assert times == [0.75, 0.75, 2.5, 2.5, 7.5, 7.5]
    assert facts["total_num_frames"] == 40
    assert asked == given
    [(pixels, _)] = fetch({**asked, "sampler": "uniform", "video_start": 5.0, "nframes": 4})
    assert min(numbers(pixels)) >= 20


@pytest.mark.usefixtures("installed")
def test_a_list_of_frames_without_a_rate_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="put 'sample_fps', its frames per second, into the"):
        fetch(element(as_images(tmp_path), sampler="stacfp", nframes=4))


@pytest.mark.usefixtures("installed")
def test_file_urls_name_files(video: str) -> None:
    [(pixels, _)] = fetch(element(f"file://{video}", sampler=FixedSampler([7]), nframes=2))
    assert numbers(pixels) == [7, 7]


@pytest.mark.usefixtures("installed")
def test_a_data_url_holds_the_video_itself(video: str) -> None:
    url = f"data:video/mp4;base64,{b64encode(Path(video).read_bytes()).decode()}"
    [(pixels, _)] = fetch(element(url, sampler=FixedSampler([7]), nframes=2))
    assert numbers(pixels) == [7, 7]


@pytest.mark.usefixtures("installed")
def test_a_url_is_refused_unless_the_element_allows_it(backend: str) -> None:
    with unvisited() as url:
        with pytest.raises(InputError) as error:
            fetch(element(url, sampler="uniform", nframes=2))
        assert str(error.value) == (
            f"{url} is a URL, and URLs are not fetched unless allowed; download it and give its "
            "path, or allow URLs by 'limits': DownloadLimits(max_bytes=..., max_seconds=...) in "
            "the video's element"
        )


@pytest.mark.usefixtures("installed")
def test_a_url_is_fetched_within_the_limits_of_the_element(video: str) -> None:
    asked = {"sampler": FixedSampler([7]), "nframes": 2}
    size = Path(video).stat().st_size
    with serving(Path(video).parent) as address:
        url = f"{address}/{Path(video).name}"
        [(pixels, _)] = fetch(element(url, limits=DownloadLimits(size), **asked))
        assert numbers(pixels) == [7, 7]
        with pytest.raises(VideoError, match=r"larger than .* allow more by 'limits': Downl"):
            fetch(element(url, limits=DownloadLimits(size - 1), **asked))
        with pytest.raises(VideoError, match=r"within 1e-06 s; .* allow more by 'limits': Downl"):
            fetch(element(url, limits=DownloadLimits(max_seconds=1e-6), **asked))


@pytest.mark.usefixtures("installed")
def test_a_chats_earlier_videos_keep_their_selection(video: str) -> None:
    sampler = FixedSampler([3, 10, 70, 101])
    first = element(video, sampler=sampler, nframes=4, question="Who runs?")
    chat = messages(first)
    before = process_vision_info(chat)[1]
    chat += [{"role": "assistant", "content": [{"type": "text", "text": "A dog."}]}]
    chat += messages(element(video, sampler="stacfp", nframes=4))
    after = process_vision_info(chat)[1]
    assert len(after) == 2
    assert torch.equal(before[0], after[0])
    assert [call["question"] for call in sampler.calls] == ["Who runs?"] * 2


@pytest.mark.usefixtures("installed")
def test_keyscore_runs_with_a_caption(video: str) -> None:
    asked = element(video, sampler="keyscore", encoder="conse", nframes=4, caption="a red wall")
    [(first, facts)] = fetch(asked)
    [(second, _)] = fetch(asked)
    assert numbers(first) == facts["frames_indices"]
    assert torch.equal(first, second)


def sampler_of(asked: dict[str, Any]) -> Sampler:
    return samplers_of(asked).resolve(request_of(asked), HOST)[0]


def test_a_sampler_is_kept_between_calls(video: str) -> None:
    asked = element(video, sampler="keyscore", encoder="conse", caption="a red wall")
    first = sampler_of(asked)
    assert sampler_of(asked | {"caption": "a green one"}) is first
    assert sampler_of(asked | {"guide": "both", "question": "which wall?"}) is not first
    assert sampler_of(asked | {"device": "cpu"}) is not first
    uninstall()
    assert sampler_of(asked) is not first
