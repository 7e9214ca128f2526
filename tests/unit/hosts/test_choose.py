"""One request of a host: its frames, their times, the cache, and what cannot be met."""

import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from keyscore_plugin import InputError, SamplerConfig, VideoError
from keyscore_plugin.hosts import (
    QUERY_RULES,
    Chosen,
    Fold,
    HostProfile,
    HostRequest,
    SamplerPool,
    SelectionCache,
    choose,
)
from tests.support.colour_encoder import ColourEncoder
from tests.support.fixed_sampler import FixedSampler
from tests.support.tiny.videos import frame_numbers, numbered_frames, numbered_video

HOST = HostProfile(
    rule=QUERY_RULES["transformers"],
    allowed_by="allow(urls)",
    give_text="say a text",
    make_text="have one made",
    give_times="say a rate",
)
FOLD = Fold(frames_per_patch=2, spacing_seconds=0.5)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(numbered_video(tmp_path_factory.mktemp("clips") / "numbered.mp4", n=40, fps=10))


def chosen(video: Any, **asked: Any) -> Chosen:
    request = HostRequest(**{"video": video, "sampler": FixedSampler([3, 9]), **asked})
    return choose(request, host=HOST, samplers=SamplerPool(), fold=FOLD)


def test_the_model_gets_each_keyframe_twice_with_its_true_time(video: str) -> None:
    found = chosen(video)
    assert found.indices.tolist() == [3, 3, 9, 9]
    assert found.seconds.tolist() == pytest.approx([0.3, 0.3, 0.9, 0.9])
    assert found.patch_seconds.tolist() == pytest.approx([0.3, 0.9])
    times = [index / found.metadata["fps"] for index in found.metadata["frames_indices"]]
    assert times == pytest.approx(found.seconds.tolist())
    assert found.selection.indices == [3, 9]
    assert found.selection.video == video
    assert found.pixels.shape == (4, 3, found.height, found.width)


def test_frames_of_a_part_have_their_indices_in_the_whole_video(video: str) -> None:
    found = chosen(video, start_seconds=1.0, end_seconds=3.0)
    assert found.first == 10
    assert found.selection.indices == [13, 19]
    assert found.indices.tolist() == [13, 13, 19, 19]
    assert frame_numbers(found.pixels.double().mean(dim=(2, 3))) == [13, 13, 19, 19]


def test_a_file_its_bytes_and_its_pixels_give_the_same_frames(video: str) -> None:
    pixels = torch.from_numpy(numbered_frames(40))
    forms = [video, f"file://{video}", Path(video), Path(video).read_bytes()]
    several = [chosen(form) for form in forms]
    several.append(chosen(pixels, video_metadata={"fps": 10.0}))
    several.append(chosen(list(pixels), fps=10.0))
    assert {tuple(one.indices.tolist()) for one in several} == {(3, 3, 9, 9)}
    assert all(torch.allclose(one.seconds, several[0].seconds) for one in several)


def test_the_budget_may_follow_from_the_open_video(video: str) -> None:
    request = HostRequest(video=video, sampler="uniform")
    found = choose(
        request,
        host=HOST,
        samplers=SamplerPool(),
        fold=FOLD,
        budget=lambda source: source.n_frames // 10,
    )
    assert len(found.selection) == 2


def test_a_request_travels_to_another_process(video: str) -> None:
    request = HostRequest(video=video, sampler="uniform", num_frames=3, start_seconds=1.0)
    there = pickle.loads(pickle.dumps(request))
    both = [
        choose(one, host=HOST, samplers=SamplerPool(), fold=FOLD).indices.tolist()
        for one in (request, there)
    ]
    assert both[0] == both[1]


def test_a_selection_is_found_again_by_everything_that_decides_it(
    video: str, tmp_path: Path
) -> None:
    cache = SelectionCache(tmp_path / "cache")

    def ask(samplers: SamplerPool, **asked: Any) -> Chosen:
        request = HostRequest(**{"video": video, "sampler": "stacfp", "num_frames": 2, **asked})
        return choose(request, host=HOST, samplers=samplers, fold=FOLD, cache=cache, read=False)

    first, again = ask(SamplerPool()), ask(SamplerPool())
    assert (first.cached, again.cached) == (False, True)
    assert again.selection.indices == first.selection.indices
    assert again.frames is None
    others: list[dict[str, Any]] = [
        {"num_frames": 3},
        {"start_seconds": 0.5},
        {"sampler": FixedSampler([1])},
        {"sampler": "uniform"},
    ]
    assert not any(ask(SamplerPool(), **other).cached for other in others)
    assert ask(SamplerPool(), pair="plain").cached  # keyframes do not depend on their pairing
    assert not ask(SamplerPool(encoder=AnyEncoder())).cached


def test_the_settings_of_a_host_reach_its_samplers_and_clips_its_selections(video: str) -> None:
    config = SamplerConfig.of({"clips": {"mode": "hybrid"}})
    found = choose(
        HostRequest(video=video, sampler="clips", num_frames=4, caption="white"),
        host=HOST,
        samplers=SamplerPool(encoder=ColourEncoder(), config=config),
        fold=FOLD,
    )
    assert found.selection.config["clips"]["mode"] == "hybrid"
    assert found.selection.clips is not None
    assert len(found.selection) == 4


def test_the_clip_mode_of_a_request_wins_and_decides_what_is_found_again(
    video: str, tmp_path: Path
) -> None:
    config = SamplerConfig.of({"clips": {"mode": "hybrid"}})
    samplers = SamplerPool(encoder="conse", config=config)
    cache = SelectionCache(tmp_path)

    def ask(**asked: Any) -> Chosen:
        request = HostRequest(video=video, sampler="clips", num_frames=2, caption="white", **asked)
        return choose(request, host=HOST, samplers=samplers, fold=FOLD, cache=cache)

    found = ask(), ask(clip_mode="focused"), ask(clip_mode="hybrid")
    modes = [one.selection.config["clips"]["mode"] for one in found]
    assert modes == ["hybrid", "focused", "hybrid"]
    assert [one.cached for one in found] == [False, False, True]


class AnyEncoder:
    """An encoder object, whose weights have no name."""

    name = "any"

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(name)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"num_frames": 2, "threshold": 0.5}, "exclude each other"),
        ({"guide": "answer"}, "guide 'answer' is not given|caption"),
        ({"clip_mode": "dense"}, "clip_mode 'dense' is not auto|focused|hybrid"),
        ({"clip_mode": "hybrid"}, r"ClipsConfig\(mode='hybrid'\), or give the sampler's name"),
        ({"pair": "twins"}, "unknown pair 'twins'"),
        ({"join": ["then"]}, r"join \['then'\] is not all"),
        ({"subtitles": ["a.srt"]}, r"subtitles must be a path, True or False, got \['a\.srt'\]"),
        ({"start_seconds": 3.0, "end_seconds": 1.0}, "must end after it starts"),
        ({"sampler": "topk"}, "no text to choose the frames by; say a text; or have one made"),
        ({"sampler": "kframes"}, "no text to choose the frames by; say a text$"),
        ({"sampler": "unifrom"}, "unknown sampler 'unifrom'"),
        ({"sampler": FixedSampler}, "a sampler is a name"),
        ({"video": "https://a.b/c.mp4"}, r"allow URLs by allow\(urls\)"),
        ({"video": torch.zeros(2, 4, 6, 3, dtype=torch.uint8)}, "are unknown; say a rate"),
        ({"video": [torch.zeros(4, 6, 3, dtype=torch.uint8)]}, "are unknown; say a rate"),
    ],
)
def test_what_cannot_be_met_says_what_to_do_in_the_words_of_the_host(
    asked: dict[str, Any], message: str, video: str
) -> None:
    with pytest.raises(InputError, match=message):
        chosen(asked.pop("video", video), **asked)


def test_a_video_that_does_not_decode_is_an_error_though_no_frame_is_read(tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(b"no video")
    request = HostRequest(video=str(broken), sampler="uniform")
    with pytest.raises(VideoError):
        choose(request, host=HOST, samplers=SamplerPool(), fold=FOLD, read=False)


def test_a_pool_with_samplers_can_be_pickled() -> None:
    samplers = SamplerPool(encoder="conse", captioner="labels")
    samplers.named("topk")
    assert pickle.loads(pickle.dumps(samplers)).named("topk").needs_text
