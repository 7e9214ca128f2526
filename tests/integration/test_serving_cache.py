"""What a server keeps of earlier requests."""

from pathlib import Path

from keyscore_serving import VideoSources
from keyscore_serving.cache import MemoryCache


def test_the_cache_drops_what_was_not_asked_for_longest() -> None:
    cache = MemoryCache[str](max_bytes=100)
    for name in ("a", "b"):
        cache.put(name, name, n_bytes=40)
    assert cache.get("a") == "a"
    cache.put("c", "c", n_bytes=40)
    cache.put("d", "d", n_bytes=101)
    cache.put("a", "other", n_bytes=40)
    assert [cache.get(name) for name in "abcd"] == ["a", None, "c", None]


def test_a_video_whose_subtitles_change_is_another_one(tmp_path: Path) -> None:
    video, sources = tmp_path / "a.mp4", VideoSources(folders=[tmp_path])
    video.write_bytes(b"video")
    found = [sources.identity(str(video))]
    for words in ("one", "three"):
        video.with_suffix(".srt").write_text(words)
        found += [sources.identity(str(video)), sources.identity(str(video))]
    assert found[1:] == [found[1], found[1], found[3], found[3]]
    assert len(set(found)) == 3
