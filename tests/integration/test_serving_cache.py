"""What a server keeps of earlier requests."""

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
