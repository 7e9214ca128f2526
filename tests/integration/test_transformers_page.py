"""The examples on the page of transformers run as they stand there."""

import re
from pathlib import Path
from typing import Any

import pytest

from keyscore_plugin.video.samples import sample_video
from tests.support.tiny import save

PAGE = Path(__file__).parents[2] / "docs" / "hosts" / "transformers.md"


def test_the_examples_run_one_after_the_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With tiny models, a real clip, and a sampler that needs no encoder from the hub."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    stands_for = {
        "Qwen/Qwen2.5-VL-7B-Instruct": str(save("qwen2_5_vl", tmp_path / "qwen2_5_vl")),
        "Qwen/Qwen3-VL-8B-Instruct": str(save("qwen3_vl", tmp_path / "qwen3_vl")),
        "match.mp4": str(sample_video("carphone")),
        'sampler="keyscore"': 'sampler="stacfp"',
    }
    names: dict[str, Any] = {}
    for code in blocks:
        for written, meant in stands_for.items():
            code = code.replace(written, meant)
        exec(compile(code, str(PAGE), "exec"), names)
        (selection,) = names["processor"].last_selections
        assert len(selection.indices) == 8
    assert len(blocks) == 2
    assert str(selection.pts_seconds) in capsys.readouterr().out
