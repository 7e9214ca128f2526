"""What all tests share."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.clips import Clip
from tests.support.site.sitecustomize import install

install()

# How long an example takes says more of the machine, and of what else runs there, than of the law.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Started in the background of a script, pytest ignores Ctrl-C, and so would every command it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps the tests out of the user's cache, and what is in there out of the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEYSCORE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Clip], Path]:
    """Makes a clip of `tests.support.clips` when first asked for; two clips may share a name."""
    made: dict[str, Path] = {}

    def path(clip: Clip) -> Path:
        if repr(clip) not in made:
            made[repr(clip)] = clip.write(tmp_path_factory.mktemp("clip"))
        return made[repr(clip)]

    return path
