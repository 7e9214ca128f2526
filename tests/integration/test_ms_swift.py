"""ms-swift replaces every reader of qwen-vl-utils; a sampler chooses all the same."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.ms_swift.encode import FAMILY
from tests.support.requires import aside_or_skip
from tests.support.tiny import FAMILIES
from tests.support.tiny.videos import numbered_video

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def encoded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the real package makes of each row of `tests.support.ms_swift.encode`."""
    aside = aside_or_skip("ms-swift")
    folder = tmp_path_factory.mktemp("swift")
    for part in FAMILIES[FAMILY].build():
        part.save_pretrained(folder / "model")
    video = numbered_video(folder / "numbered.mp4")
    paths = [ROOT, ROOT / "integrations", ROOT / "tests" / "support" / "site", aside]
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.ms_swift.encode", str(folder / "model"), str(video)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "HF_HUB_OFFLINE": "1"},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    frames: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return frames


@pytest.mark.timeout(300)
def test_ms_swift_gets_the_frames_that_the_sampler_chose(
    encoded: dict[str, Any],
) -> None:
    assert encoded["chosen"] == [15, 45, 75, 105]
    assert encoded["without"] == [0, 40, 79, 119]


@pytest.mark.timeout(300)
def test_ms_swift_gets_the_frames_that_a_row_names(encoded: dict[str, Any]) -> None:
    assert encoded["named"] == [3, 4, 40, 101]


@pytest.mark.timeout(300)
def test_a_misspelt_sampler_is_an_error_in_ms_swift(encoded: dict[str, Any]) -> None:
    assert str(encoded["misspelt"]).startswith("unknown sampler 'uniforn'")


@pytest.mark.timeout(300)
def test_ms_swift_is_named_as_what_replaced_the_readers(encoded: dict[str, Any]) -> None:
    assert any(
        one.startswith("VIDEO_READER_BACKENDS['torchvision'] by swift.")
        for one in encoded["replaced"]
    )
