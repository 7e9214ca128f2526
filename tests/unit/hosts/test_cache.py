"""The cache of selections: found by content, whole or not at all, shared by processes."""

import os
import resource
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from keyscore_plugin._runtime.files import write_whole
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import CacheError, VideoError
from keyscore_plugin.hosts.cache import SelectionCache, selection_key, subtitles_key
from keyscore_plugin.hosts.pool import SamplerPool
from keyscore_plugin.hosts.query import Texts
from keyscore_plugin.index.content import content_digest
from keyscore_plugin.types import STAGES
from tests.support.colour_judge import ColourJudge
from tests.support.requires import require_or_skip
from tests.support.selections import SELECTION

ANSWER = replace(
    SELECTION,
    sampler="keyscore",
    config={"guide": "question"},
    num_frames=2,
    indices=[3, 9],
    pts_seconds=[0.3, 0.9],
    scores=[0.5, 1.0],
    question="who is it? \udc80",
    n_grid=5,
    seconds=dict.fromkeys((*STAGES, "total"), 0.0),
)
KEY = "ab" + 62 * "0"


def test_what_is_put_is_got(tmp_path: Path) -> None:
    cache = SelectionCache(tmp_path / "deep" / "cache")
    assert cache.get(KEY) is None
    cache.put(KEY, ANSWER)
    got = cache.get(KEY)
    assert got is not None
    assert got.to_dict() == ANSWER.to_dict()


@pytest.mark.parametrize(
    "harm",
    [
        lambda content: content[:-7],
        lambda content: content.replace(b"[3, 9]", b"[3, 8]"),
        lambda content: b"",
        lambda content: b"\x00" * len(content),
    ],
    ids=["cut", "changed", "empty", "zeroed"],
)
def test_a_corrupt_entry_is_no_entry_and_is_replaced(
    tmp_path: Path, harm: Callable[[bytes], bytes]
) -> None:
    cache = SelectionCache(tmp_path)
    cache.put(KEY, ANSWER)
    [path] = tmp_path.rglob("*.json")
    path.write_bytes(harm(path.read_bytes()))
    assert cache.get(KEY) is None
    cache.put(KEY, ANSWER)
    assert cache.get(KEY) is not None


def test_an_entry_under_another_key_is_corrupt(tmp_path: Path) -> None:
    cache = SelectionCache(tmp_path)
    cache.put(KEY, ANSWER)
    other = KEY[:-1] + "1"
    [path] = tmp_path.rglob("*.json")
    path.rename(path.with_name(f"{other}.json"))
    assert cache.get(other) is None


def _put_and_get(folder: Path, number: int) -> int:
    """Write one entry many times while others do; count the reads that were torn."""
    n_torn = 0
    cache = SelectionCache(folder)
    for turn in range(50):
        cache.put(KEY, replace(ANSWER, notes=("x" * (number * 50 + turn),)))
        n_torn += cache.get(KEY) is None
    return n_torn


def test_processes_that_write_one_entry_never_read_a_torn_one(tmp_path: Path) -> None:
    with ProcessPoolExecutor(max_workers=3) as pool:
        assert list(pool.map(_put_and_get, [tmp_path] * 3, range(3))) == [0, 0, 0]
    assert [path.suffix for path in tmp_path.rglob("*.*")] == [".json"]


def test_the_key_follows_content_and_question_not_the_name(tmp_path: Path) -> None:
    first, moved, other = (tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4"))
    first.write_bytes(b"one")
    moved.write_bytes(b"one")
    other.write_bytes(b"two")
    asked = {"question": "who?", "n_keyframes": 4}
    key = selection_key(first, asked)
    assert selection_key(moved, asked) == key
    assert selection_key(other, asked) != key
    assert selection_key(first, {**asked, "question": "what?"}) != key


def test_the_key_follows_the_content_of_subtitles_wherever_they_lie(tmp_path: Path) -> None:
    video, beside, other = (tmp_path / name for name in ("a.mp4", "a.srt", "b.srt"))
    alone = subtitles_key(video, None)
    for file in (beside, other):
        file.write_text("1")
    assert alone != subtitles_key(video, None) != subtitles_key(video, False)
    assert subtitles_key(video, other) == subtitles_key(video, str(beside))
    other.write_text("2")
    assert subtitles_key(video, other) != subtitles_key(video, beside)


def test_a_file_that_changed_in_place_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    before = content_digest(path)
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert content_digest(path) != before


def test_what_cannot_be_read_or_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="give the path of a video file"):
        content_digest(tmp_path / "absent.mp4")
    (tmp_path / "file").write_text("")
    cache = SelectionCache(tmp_path / "file" / "cache")
    with pytest.raises(CacheError, match="give another folder"):
        cache.put(KEY, ANSWER)
    with pytest.raises(CacheError, match="give another folder"):
        cache.get(KEY)


@pytest.mark.parametrize("name", ["round", "round/file"])
def test_links_in_a_circle_are_an_error_of_the_system(name: str, tmp_path: Path) -> None:
    (tmp_path / "round").symlink_to("about")
    (tmp_path / "about").symlink_to("round")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        write_whole(tmp_path / name, b"")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["about", "round"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("file")
    write_whole(tmp_path / "link", b"content")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"content"


def test_a_full_disk_leaves_the_entry_that_was_there_and_nothing_else(tmp_path: Path) -> None:
    """A file size limit stands in for the disk."""
    cache = SelectionCache(tmp_path)
    cache.put(KEY, ANSWER)
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, unlimited[1]))
    try:
        with pytest.raises(CacheError, match="File too large"):
            cache.put(KEY, replace(ANSWER, num_frames=3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    kept = cache.get(KEY)
    assert kept is not None
    assert kept.num_frames == ANSWER.num_frames
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


def test_clips_of_another_judge_are_another_entry() -> None:
    """A captioner decides nothing if a text is given, except for a sampler that asks it."""
    first, second = ColourJudge(), ColourJudge()
    second.name = "another"
    texts = Texts("question", question="when is it red ?")
    pools = [SamplerPool(encoder="conse", captioner=judge) for judge in (first, second)]
    for name, is_asked in (("keyscore", False), ("kframes", True)):
        one, other = (pool.cache_settings(name, texts) for pool in pools)
        assert (one != other) is is_asked


def test_another_version_of_a_speech_model_is_another_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name is short for a model of the hub; nothing is kept before its version is known."""
    require_or_skip("faster_whisper")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    texts = Texts("question", question="when is it red ?")
    pool = SamplerPool(encoder="conse", config=SamplerConfig(heard="small"))
    assert pool.cache_settings("keyscore", texts) is None
    model = tmp_path / "models--Systran--faster-whisper-small"
    (model / "refs").mkdir(parents=True)
    for commit in ("a" * 40, "b" * 40):
        snapshot = model / "snapshots" / commit
        snapshot.mkdir(parents=True)
        (snapshot / "model.bin").touch()
        (model / "refs" / "main").write_text(commit)
        settings = pool.cache_settings("keyscore", texts)
        assert settings is not None
        assert settings["heard"] == commit


def test_captions_of_another_captioner_or_scorer_are_another_entry(tmp_path: Path) -> None:
    texts = Texts("question", question="when is it red ?")
    config = SamplerConfig.of({"clips": {"scorer": str(tmp_path)}})
    first, second = ColourJudge(), ColourJudge()
    second.name = "another"
    one, other = (
        SamplerPool(encoder="conse", captioner=captioner, config=config)
        for captioner in (first, second)
    )
    kept = one.cache_settings("clips", texts)
    assert kept != other.cache_settings("clips", texts)
    assert kept == one.cache_settings("clips", texts)
    (tmp_path / "model.safetensors").write_bytes(b"trained further")
    assert kept != one.cache_settings("clips", texts)
