"""What a server keeps of earlier requests."""

from pathlib import Path

import pytest

from keyscore_plugin import InputError
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


def test_a_file_is_another_video_when_it_or_its_subtitles_change(tmp_path: Path) -> None:
    video, subtitles = tmp_path / "clip.mp4", tmp_path / "clip.srt"
    video.write_bytes(b"1")
    found = [VideoSources().identity(str(video))]
    for file, content in ((subtitles, b"1"), (subtitles, b"12"), (video, b"12")):
        file.write_bytes(content)
        found.append(VideoSources().identity(str(video)))
    assert None not in found
    assert len(set(found)) == len(found)


def test_a_loop_of_links_is_no_file_that_clients_may_read(tmp_path: Path) -> None:
    loop = tmp_path / "loop.mp4"
    loop.symlink_to(loop)
    with pytest.raises(InputError, match="is not a file that clients"):
        VideoSources(folders=[tmp_path]).require(str(loop))
