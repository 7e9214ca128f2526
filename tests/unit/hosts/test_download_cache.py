"""Laws of videos that are kept: asked for again by their version, within a bound, or not kept."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import DownloadCache, DownloadLimits
from tests.support.http_servers import serving
from tests.unit.hosts.test_deadline import OK, says, server

LIMITS = DownloadLimits(max_bytes=1000, max_seconds=60)


@contextmanager
def folder_of(tmp_path: Path, statuses: list[int]) -> Iterator[str]:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 60)
    with serving(tmp_path, statuses=statuses) as address:
        yield address


def test_a_file_that_has_not_changed_is_not_sent_again(tmp_path: Path) -> None:
    statuses: list[int] = []
    cache = DownloadCache(LIMITS, max_bytes=1000, allowed_by="it")
    with folder_of(tmp_path, statuses) as address:
        first = cache.get(f"{address}/a")
        assert Path(first.path).read_bytes() == b"a" * 60
        assert cache.get(f"{address}/a") is first
        assert cache.get(f"{address}/b").digest != first.digest
    assert statuses == [200, 304, 200]


def test_the_oldest_goes_when_nobody_holds_it_any_more(tmp_path: Path) -> None:
    statuses: list[int] = []
    cache = DownloadCache(LIMITS, max_bytes=100, allowed_by="it")
    with folder_of(tmp_path, statuses) as address:
        held = cache.get(f"{address}/a")
        cache.get(f"{address}/b")
        assert Path(held.path).read_bytes() == b"a" * 60
        path = Path(held.path)
        del held
        assert not path.exists()
        cache.get(f"{address}/b")
        cache.get(f"{address}/a")
    assert statuses == [200, 200, 304, 200]


@pytest.mark.parametrize("headers", [b"", b"ETag: x\r\nCache-Control: no-store\r\n"])
def test_a_file_without_a_version_or_that_may_not_be_kept_is_sent_again(headers: bytes) -> None:
    cache = DownloadCache(LIMITS, max_bytes=1000, allowed_by="it")
    with server(says(OK + headers + b"\r\nvideo")) as address:
        first, second = (cache.get(f"http://{address}/a") for _ in range(2))
    assert first is not second
    assert first.digest == second.digest


def test_a_url_that_names_a_user_is_refused_and_not_shown() -> None:
    cache = DownloadCache(LIMITS, max_bytes=1000, allowed_by="it")
    with pytest.raises(InputError, match="user's name") as error:
        cache.get("http://me:secret@host/a.mp4")
    assert "secret" not in str(error.value)
