"""What tells one program from another: packages, the code itself, the commit of the clone."""

import os
import shutil
import subprocess
from importlib.metadata import distributions, version
from pathlib import Path

import pytest

from evals.harness.versions import PACKAGES, code_digest, commit_of, provenance, versions
from keyscore_plugin._runtime.hub import OFFLINE_PACKAGES
from keyscore_plugin._runtime.version import VERSION
from keyscore_plugin.errors import InputError

OF_THE_CODE = {"keyscore-plugin", "code_sha256"}


def test_the_versions_name_what_decodes_and_embeds_if_it_is_installed() -> None:
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


def test_what_editors_leave_next_to_the_code_is_no_part_of_it(code: Path) -> None:
    before = code_digest([code])
    (code / ".#b.py").symlink_to("me@here.4242:1700000000")  # Emacs locks a file like this
    (code / "gone.py").symlink_to("nowhere.py")
    (code / ".ipynb_checkpoints").mkdir()
    (code / ".ipynb_checkpoints" / "a.py").write_text("x = 0\n")
    (code / "folder.py").mkdir()
    assert code_digest([code]) == before


def test_code_below_a_hidden_folder_counts(code: Path) -> None:
    """An environment is often called .venv, and may hold all of the code."""
    moved = code.rename(code.parent / ".venv") / "inner"
    before = code_digest([moved])
    (moved / "b.py").write_text("y = 4\n")
    assert code_digest([moved]) != before


def test_a_name_that_is_no_utf8_counts_as_any_other(code: Path) -> None:
    before = code_digest([code])
    try:
        Path(os.fsdecode(os.fsencode(code) + b"/caf\xe9.py")).write_text("z = 5\n")
    except OSError as error:
        pytest.skip(f"this file system takes no such name: {error}")
    assert code_digest([code]) != before


def test_code_that_cannot_be_read_is_one_line(code: Path) -> None:
    memory = Path("/proc/self/mem")  # a file whose beginning nobody may read, whatever the user
    if not memory.is_file():
        pytest.skip("needs /proc")
    (code / "a.py").unlink()
    (code / "a.py").symlink_to(memory)
    with pytest.raises(InputError, match=r"cannot read '.*a\.py', .*; make it readable"):
        code_digest([code])


def git(folder: Path, *arguments: str) -> str:
    name = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    command = ["git", "-C", str(folder), *name, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_commit_of_a_clone_and_whether_a_file_was_changed_since(code: Path) -> None:
    clone = code.parent
    assert commit_of(clone, [code]) is None
    git(clone, "init", "--quiet")
    assert commit_of(clone, [code]) is None  # there is no commit yet
    git(clone, "add", ".")
    git(clone, "commit", "--quiet", "--message=first")
    git(clone, "tag", "v1")
    first = git(clone, "rev-parse", "HEAD")
    assert commit_of(clone, [code]) == first
    (code / "a.py").write_text("x = 3\n")
    assert commit_of(clone, [code]) == f"{first}-dirty"
    # What lies unpacked inside the clone of another project is not at that one's commit,
    assert commit_of(code, [code / "inner"]) is None
    # nor is what was installed into an environment, even one inside the clone.
    installed = shutil.copytree(code, clone / "env" / "plugin")
    assert commit_of(clone, [code, installed]) is None


def test_the_packages_of_the_offline_weights_are_recorded() -> None:
    assert set(OFFLINE_PACKAGES) <= set(PACKAGES)
