"""Where a model's files are: a folder, the hub's local cache, or the hub."""

import urllib.error
import urllib.request
from collections.abc import Iterable
from dataclasses import dataclass

from huggingface_hub import constants, get_token, try_to_load_from_cache
from huggingface_hub.errors import HFValidationError

from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin._runtime.names import hint
from keyscore_plugin.errors import ModelError, shown

_TIMEOUT_SECONDS = 5  # ours: a hub that is there answers within one


@dataclass(frozen=True, slots=True)
class Layout:
    """The files without which a model cannot be loaded.

    Attributes:
        config: What describes it.
        weights: Any one of these.
    """

    config: str
    weights: tuple[str, ...]


# What transformers loads, the older checkpoints as a pickle of plain tensors.
TRANSFORMERS = Layout(
    config=constants.CONFIG_NAME,
    weights=(
        constants.SAFETENSORS_SINGLE_FILE,
        constants.SAFETENSORS_INDEX_FILE,
        constants.PYTORCH_WEIGHTS_NAME,
        f"{constants.PYTORCH_WEIGHTS_NAME}.index.json",
    ),
)


def is_local(
    model: str,
    *,
    kind: str,
    remedy: str,
    layout: Layout = TRANSFORMERS,
    names: Iterable[str] = (),
) -> bool:
    """Whether a model's files are on this machine; if not, the hub has said that it has them.

    The hub is asked once, so that an absent model costs seconds and not minutes.

    Args:
        model: A folder or a model id.
        kind: What it is to be, for the error: ``"encoder"``, ``"captioner"``.
        remedy: What to use instead, for the error.
        layout: Its files.
        names: What can be named instead of a model, one of which may have been meant.

    Raises:
        ModelError: The name can be no model id, or neither the cache nor a hub has the model.
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
    """What a library complains about, without the advice that follows."""
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(" .;:") if lines else type(error).__name__


class _NotFoundError(Exception):
    """Why a model is not there, in one clause."""


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
            f"{constants.ENDPOINT} has no such model that is public ({error.code})"
        ) from error
    except OSError as error:
        reason = getattr(error, "reason", error)
        raise _NotFoundError(
            f"it is not in the local cache and no hub answers ({reason})"
        ) from error
