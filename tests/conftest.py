"""What all tests share."""

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.clips import Clip
from tests.support.requires import require_gpu_or_skip
from tests.support.site.sitecustomize import install

install()

# How long an example takes says more of the machine, and of what else runs there, than of the law.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Started in the background of a script, pytest ignores Ctrl-C, and so would every command it tests.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark what is in ``tests/fuzz``, and each parametrisation by the decoder that needs a GPU."""
    for item in items:
        if Path(__file__).parent / "fuzz" in item.path.parents:
            item.add_marker(pytest.mark.fuzz)
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            decoders = [name for name in item.callspec.params.values() if isinstance(name, str)]
            if "torchcodec-cuda" in decoders:
                item.add_marker(pytest.mark.gpu)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test with the mark ``gpu`` where there is no GPU, see `require_gpu_or_skip`."""
    if item.get_closest_marker("gpu") is not None:
        require_gpu_or_skip()


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
