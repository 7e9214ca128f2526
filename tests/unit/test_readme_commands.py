"""The commands in the READMEs of the evaluations are whole: all they lack is the data."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WITH_ROOT = ("hmdb51", "keyframes", "retrieval", "summaries")


def commands() -> Iterator[tuple[str, list[str]]]:
    """The README and the words of every such command, continued lines joined."""
    for name in WITH_ROOT:
        text = (ROOT / "evals" / name / "README.md").read_text()
        for line in re.sub(r"\\\n\s*", "", text).splitlines():
            if line.startswith(f"python -m evals.{name} "):
                yield name, shlex.split(line, comments=True)[3:]


def test_there_is_a_command_for_every_row_of_the_paper_that_can_be_run() -> None:
    """Each of Tables 1, 2 (with 3 and 4), 5 (twice) and 6 (twice) in one, none of it left out."""
    outs = [word for _, words in commands() for word in words if word.startswith("runs/table")]
    assert sorted(out.partition("table")[2][0] for out in outs) == ["1", "2", "5", "5", "6", "6"]
    assert not [words for _, words in commands() if "..." in words]
    with_pe = [words for _, words in commands() if "open_clip:timm/PE-Core-bigG-14-448" in words]
    assert len(with_pe) == 4


@pytest.mark.parametrize(("name", "words"), [pytest.param(*c, id=c[0]) for c in commands()])
def test_a_command_fails_for_want_of_its_data_set_alone(
    name: str,
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = words[words.index("--root") + 1]
    (tmp_path / folder).mkdir()
    assert importlib.import_module(f"evals.{name}.__main__").main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(rf"{name}: .*\b{folder}\b", line), line
