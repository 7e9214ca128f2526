"""Our part of model_args: what it decides, and that no cache mixes two answers."""

import importlib
import json
import math
from pathlib import Path
from typing import Any

import pytest

from keyscore_lmms_eval.arguments import SamplerArguments
from keyscore_lmms_eval.documents import subtitles_start
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.download import DownloadLimits
from keyscore_plugin.types import SubtitlesFrom
from tests.support.requires import require_or_skip

pytestmark = pytest.mark.filterwarnings("default")  # what the host warns about is its own


def split(**model_args: Any) -> SamplerArguments:
    arguments, _ = SamplerArguments.split(model_args)
    assert arguments is not None
    return arguments


def test_only_our_arguments_are_taken_out() -> None:
    arguments, rest = SamplerArguments.split(
        {"pretrained": "m", "sampler": "keyscore", "num_frames": 8, "sampler_encoder": "conse"}
    )
    assert arguments == SamplerArguments(sampler="keyscore", num_frames=8, encoder="conse")
    assert rest == {"pretrained": "m"}


@pytest.mark.parametrize("none", [{}, {"sampler": None}, {"sampler": "none"}])
def test_without_a_sampler_the_model_gets_all_of_its_arguments(none: dict[str, Any]) -> None:
    stock = {"pretrained": "m", "num_frames": 8}  # an argument of InternVL's too
    assert SamplerArguments.split({**stock, **none}) == (None, stock)


def test_the_question_scores_unless_an_argument_names_another_guide(tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps({"guide": "both", "select": {"policy": "top"}}))
    assert split(sampler="keyscore").config().guide == "question"
    told = split(sampler="keyscore", sampler_config=str(file))
    assert (told.config().guide, told.config().select.policy) == ("both", "top")
    assert split(sampler="keyscore", sampler_config=str(file), guide="caption").config().guide == (
        "caption"
    )


def test_frames_that_nobody_ranked_are_shown_as_stock_frames_are() -> None:
    assert split(sampler="keyscore").shown == "duplicate"
    assert split(sampler="uniform").shown == "plain"
    assert split(sampler="uniform", pair="duplicate").shown == "duplicate"


def test_the_hash_follows_everything_that_decides_and_nothing_else(tmp_path: Path) -> None:
    frames, config = tmp_path / "frames.json", tmp_path / "config.json"
    frames.write_text("[[1]]")
    config.write_text("{}")
    several = [
        split(sampler="keyscore"),
        split(sampler="keyscore", num_frames=4),
        split(sampler="keyscore", guide="both"),
        split(sampler="keyscore", pair="pack"),
        split(sampler="keyscore", sampler_encoder="conse"),
        split(sampler="topk"),
        split(sampler="precomputed", sampler_file=str(frames)),
    ]
    assert len({arguments.config_hash() for arguments in several}) == len(several)
    before = several[-1].config_hash()
    frames.write_text("[[2]]")
    assert several[-1].config_hash() != before
    same = split(
        sampler="keyscore",
        sampler_config=str(config),
        sampler_log="x",
        sampler_cache="y",
        sampler_max_download_gb=2,
        sampler_max_download_seconds=9,
    )
    assert same.config_hash() == several[0].config_hash()


def test_subtitles_are_found_by_the_name_of_a_video_and_count_in_the_hash(tmp_path: Path) -> None:
    (tmp_path / "a.srt").write_text("1")
    given = split(sampler="keyscore", sampler_subtitles=str(tmp_path))
    assert given.subtitles_of("/videos/a.mp4") == str(tmp_path / "a.srt")
    assert given.subtitles_of("/videos/b.mp4") is None
    assert split(sampler="keyscore").subtitles_of("/videos/a.mp4") is None
    before = given.config_hash()
    (tmp_path / "a.srt").write_text("22")
    assert len({before, given.config_hash(), split(sampler="keyscore").config_hash()}) == 3


def test_subtitles_of_a_longer_video_are_read_from_the_place_that_its_document_names(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a_en.json"
    file.write_text("[]")
    given = split(sampler="keyscore", sampler_subtitles=str(tmp_path))
    for seconds in (31, 0):  # one that is cut from the start has lines after its end, too
        start = subtitles_start({"starting_timestamp_for_subtitles": seconds})
        found = given.subtitles_of("/videos/a.mp4", start_seconds=start)
        assert found == SubtitlesFrom(file, start_seconds=seconds)
    start = subtitles_start({"question": "Who?"})
    assert given.subtitles_of("/videos/a.mp4", start_seconds=start) == str(file)


def test_urls_are_allowed_by_a_size() -> None:
    assert split(sampler="keyscore").limits is None
    limits = split(sampler="keyscore", sampler_max_download_gb=0.5).limits
    assert limits is not None
    assert (limits.max_bytes, limits.max_seconds) == (500_000_000, DownloadLimits().max_seconds)
    both = {"sampler_max_download_gb": 3, "sampler_max_download_seconds": 7.5}
    limits = split(sampler="keyscore", **both).limits
    assert limits is not None
    assert (limits.max_bytes, limits.max_seconds) == (3_000_000_000, 7.5)


def test_an_encoder_that_is_saved_again_is_another_one(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"one")
    arguments = split(sampler="keyscore", sampler_encoder=str(tmp_path))
    before = arguments.config_hash()
    assert arguments.config_hash() == before
    (tmp_path / "model.safetensors").write_bytes(b"another")
    assert arguments.config_hash() != before


@pytest.mark.parametrize(
    ("model_args", "message"),
    [
        ({"sampler": "keyscore", "num_frames": 0}, "num_frames must be"),
        ({"sampler": "keyscore", "guide": "answer"}, "guide 'answer'"),
        ({"sampler": "keyscore", "pair": "triple"}, "unknown pair"),
        ({"sampler": "keyscore", "sampler_file": "f.json"}, "go together"),
        ({"sampler_cache": "x"}, "sampler_cache is given without a sampler"),
        ({"sampler": "topk", "sampler_subtitles": "none"}, "'none' is not a folder; give the fo"),
        (
            {"sampler": "topk", "sampler_max_download_gb": 0},
            "sampler_max_download_gb must be .* got 0",
        ),
        ({"sampler": "topk", "sampler_max_download_gb": "2GB"}, "number > 0 .*, got '2GB'"),
        ({"sampler": "topk", "sampler_max_download_gb": True}, "number > 0 .*, got True"),
        ({"sampler": "topk", "sampler_max_download_gb": math.inf}, "number > 0 .*, got inf"),
        (
            {"sampler": "topk", "sampler_max_download_gb": 1, "sampler_max_download_seconds": -1},
            "^sampler_max_download_seconds=-1: max_seconds must be",
        ),
        (
            {
                "sampler": "topk",
                "sampler_max_download_gb": 1,
                "sampler_max_download_seconds": 1e300,
            },
            "^sampler_max_download_seconds=1e.300: max_seconds must be",
        ),
        ({"sampler": "topk", "sampler_max_download_gb": 1e300}, "sampler_max_download_gb must be"),
        ({"sampler": "topk", "sampler_max_download_gb": 10**400}, "sampler_max_download_gb must"),
        ({"sampler": "topk", "sampler_max_download_seconds": 9}, "URLs are not allowed; allow"),
        ({"sampler_max_download_gb": 2}, "is given without a sampler"),
    ],
)
def test_what_cannot_be_used_is_refused(model_args: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        SamplerArguments.split(model_args)


def test_the_response_cache_distinguishes_settings_that_model_args_do_not(tmp_path: Path) -> None:
    require_or_skip("lmms_eval")
    fingerprint = importlib.import_module("keyscore_lmms_eval.fingerprint")
    response_cache = importlib.import_module("lmms_eval.caching.response_cache").ResponseCache
    stock = response_cache.create
    fingerprint.install()
    fingerprint.install()
    try:
        assert not isinstance(response_cache.create.stock, fingerprint.CreateWithSettings)
        file = tmp_path / "frames.json"
        prints = []
        for content in ("[[1]]", "[[2]]"):
            file.write_text(content)
            args = f"pretrained=m,sampler=precomputed,sampler_file={file}"
            cache = response_cache.create(str(tmp_path / "c"), model="m", model_args=args)
            prints.append(cache.model_fingerprint)
            cache.close()
        assert prints[0] != prints[1]
        plain = response_cache.create(str(tmp_path / "c"), model="m", model_args="pretrained=m")
        assert plain.model_fingerprint == 'm|{"pretrained":"m"}'
        plain.close()
    finally:
        response_cache.create = stock
