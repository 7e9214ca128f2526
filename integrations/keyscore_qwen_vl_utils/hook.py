"""Where qwen-vl-utils calls us: its table of video readers, and the function around them."""

from collections.abc import Callable, Mapping
from functools import update_wrapper
from typing import Any

from keyscore_plugin._optional import require
from keyscore_plugin.errors import InputError, shown
from keyscore_qwen_vl_utils.reader import Read, read
from keyscore_qwen_vl_utils.request import forget_samplers, with_own_keys

_EXTRA = "qwen-vl-utils"


class SelectingReader:
    """A video reader that selects for an element with a ``sampler``, and else is the stock one.

    Every entry of the table is wrapped: after an error in one reader qwen-vl-utils goes on with
    ``"torchvision"``, which would turn an error of ours into evenly spaced frames.

    Args:
        stock: The reader of qwen-vl-utils.
    """

    def __init__(self, stock: Callable[[dict[str, Any]], Read]) -> None:
        self.stock = stock
        update_wrapper(self, stock)

    def __call__(self, element: dict[str, Any]) -> Read:
        """Read the video of a message's element."""
        element = with_own_keys(element)
        return read(element) if _has_sampler(element) else self.stock(element)


class CheckedFetch:
    """`fetch_video`, which never asks a reader for a video that comes as a list of frames.

    Args:
        stock: The function of qwen-vl-utils.
    """

    def __init__(self, stock: Callable[..., Any]) -> None:
        self.stock = stock
        update_wrapper(self, stock)

    def __call__(self, ele: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As the stock function, which names the first argument so."""
        if _has_sampler(ele) and not isinstance(ele["video"], str):
            raise InputError(
                f"sampler={shown(ele['sampler'])} chooses from a video file, and the element's "
                f"video is a {type(ele['video']).__name__}; give the file's path as a string"
            )
        return self.stock(ele, *args, **kwargs)


def _has_sampler(element: Mapping[str, Any]) -> bool:
    return element.get("sampler") is not None


def _modules() -> tuple[Any, Any]:
    """The package, which exports `fetch_video`, and the module that calls it."""
    return (
        require("qwen_vl_utils", extra=_EXTRA),
        require("qwen_vl_utils.vision_process", extra=_EXTRA),
    )


def install() -> None:
    """Let elements of type video name a sampler; without that key nothing changes.

    An element may hold, beside what qwen-vl-utils knows (``nframes`` or ``fps``, ``video_start``,
    ``video_end``, ``max_pixels`` ...):

    - ``sampler``: a name, see `keyscore_plugin.list_samplers`, or a sampler;
    - ``caption``, ``question``: the text that scores, and ``guide``: which of them does;
    - ``pair``: what the two frames of a visual token are, see `keyscore_plugin.pairing`;
    - ``encoder``, ``captioner``, ``decoder``, ``device``: see `keyscore_plugin.get_sampler`;
    - ``limits``: a `DownloadLimits`, which allows an ``http(s):`` URL; it is refused without.

    ``nframes`` stays the number of frames that the model gets. One visual token holds two frames,
    so they are ``nframes / 2`` keyframes (``nframes`` with ``pair="plain"``), and cost what
    ``nframes`` evenly spaced frames cost.
    Samplers are kept between calls: an encoder is loaded once.

    Installing twice is fine; installing again also covers readers that were added meanwhile.

    Raises:
        MissingDependencyError: qwen-vl-utils is not installed.
    """
    package, module = _modules()
    readers = module.VIDEO_READER_BACKENDS
    for name, reader in list(readers.items()):
        if not isinstance(reader, SelectingReader):
            readers[name] = SelectingReader(reader)
    for place in (package, module):
        if not isinstance(place.fetch_video, CheckedFetch):
            place.fetch_video = CheckedFetch(place.fetch_video)


def uninstall() -> None:
    """Put everything back as it was and let the samplers go; fine if nothing was installed."""
    package, module = _modules()
    readers = module.VIDEO_READER_BACKENDS
    for name, reader in list(readers.items()):
        if isinstance(reader, SelectingReader):
            readers[name] = reader.stock
    for place in (package, module):
        if isinstance(place.fetch_video, CheckedFetch):
            place.fetch_video = place.fetch_video.stock
    forget_samplers()
