"""What tells one program from another: packages, the code itself, the commit of the clone."""

import shutil
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

from evals.harness.versions import code_digest, commit_of, provenance, versions
from keyscore_plugin.version import VERSION

OF_THE_CODE = {"keyscore-plugin", "code_sha256"}


def test_what_decodes_and_embeds_is_told_where_it_is_installed_and_only_there() -> None:
    told = versions()
    assert told["keyscore-plugin"] == VERSION
    packages = told.keys() - OF_THE_CODE
    assert packages >= {"accelerate", "av", "numpy", "pillow", "tokenizers", "torch"}
    assert {name: told[name] for name in packages} == {name: version(name) for name in packages}
    installed = {found.name.lower().replace("-", "_") for found in distributions()}
    for name in ("decord", "torchcodec", "open_clip_torch", "timm", "torchvision"):
        assert (name in told) == (name in installed)


def test_the_result_tells_more_than_is_compared() -> None:
    assert versions().items() <= provenance().items()
    assert provenance().keys() - versions().keys() <= {"python", "commit"}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    (tmp_path / "plugin" / "inner").mkdir(parents=True)
    (tmp_path / "plugin" / "a.py").write_text("x = 1\n")
    (tmp_path / "plugin" / "inner" / "b.py").write_text("y = 2\n")
    return tmp_path / "plugin"


def test_the_digest_changes_with_the_code_and_with_nothing_else(code: Path) -> None:
    before = code_digest([code])
    (code / "README.md").write_text("texts do not count")
    (code / "__pycache__").mkdir()
    (code / "__pycache__" / "a.cpython-312.pyc").write_bytes(b"nor does what is made of it")
    assert code_digest([code]) == before

    (code / "a.py").write_text("x = 3\n")
    changed = code_digest([code])
    (code / "a.py").rename(code / "c.py")
    renamed = code_digest([code])
    (code / "d.py").touch()
    assert len({before, changed, renamed, code_digest([code])}) == 4


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_a_clone_and_whether_a_file_was_changed_since(code: Path) -> None:
    clone = code.parent
    assert commit_of(clone) is None
    git(clone, "init", "--quiet")
    assert commit_of(clone) is None  # there is no commit yet
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message=first")
    git(clone, "tag", "v1")
    first = git(clone, "rev-parse", "HEAD")
    assert commit_of(clone) == first
    (code / "a.py").write_text("x = 3\n")
    assert commit_of(clone) == f"{first}-dirty"
    # What lies unpacked inside the clone of another project is not at that one's commit.
    assert commit_of(code) is None
