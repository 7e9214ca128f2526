"""What all tests share."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.clips import Clip
from tests.site.sitecustomize import install

install()


@pytest.fixture(scope="session")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Clip], Path]:
    """Makes a clip of `tests.clips` when it is first asked for."""
    folder = tmp_path_factory.mktemp("clips")

    def path(clip: Clip) -> Path:
        return folder / clip.name if (folder / clip.name).exists() else clip.write(folder)

    return path
