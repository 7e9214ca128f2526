"""Where qwen-vl-utils calls us: its table of video readers, and the functions around them."""

import threading
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import update_wrapper
from typing import Any

from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import InputError, shown
from keyscore_qwen_vl_utils.reader import Read, read
from keyscore_qwen_vl_utils.request import KeyedVideo, forget_samplers, with_own_keys

_EXTRA = "qwen-vl-utils"
_installed = threading.Event()
_n_reads: ContextVar[int] = ContextVar("n_reads", default=0)  # of `SelectingReader`, by selection


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
        if not _has_sampler(element):
            return self.stock(element)
        _n_reads.set(_n_reads.get() + 1)
        return read(element)


class WatchedFunction:
    """A function of qwen-vl-utils that first puts back what others have replaced.

    Other libraries change this table and these functions after us (ms-swift 4.6 puts its own
    readers into the table), and code that imported one of them by name goes on calling it. So each
    function on the way to a reader looks after all of them.

    Args:
        stock: The function of qwen-vl-utils.
    """

    def __init__(self, stock: Callable[..., Any]) -> None:
        self.stock = stock
        update_wrapper(self, stock)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what `copy` looks for before there is a `stock`
            raise AttributeError(name)
        return getattr(self.stock, name)  # such as `cache_clear`

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As the stock function."""
        if _installed.is_set():
            install()
        return self.stock(*args, **kwargs)


class CheckedFetch(WatchedFunction):
    """`fetch_video`, which ends with an error if nobody chose the frames that were asked for."""

    def __call__(self, ele: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As the stock function, which names the first argument so."""
        if not _has_sampler(with_own_keys(ele)):
            return super().__call__(ele, *args, **kwargs)
        if not _installed.is_set():
            raise InputError(
                f"an element names a sampler for {shown(ele['video'])}, and KeyScore was taken out "
                "of qwen-vl-utils; call keyscore_qwen_vl_utils.install() first"
            )
        if not isinstance(ele["video"], str):
            # The stock function asks a reader for what has a path, and else shows every frame.
            ele = {**ele, "video": KeyedVideo(f"<{type(ele['video']).__name__}>", ele)}
        before = _n_reads.get()
        fetched = super().__call__(ele, *args, **kwargs)
        if _n_reads.get() == before:
            raise InputError(
                f"the frames of {shown(ele['video'])} were not chosen by its sampler: "
                f"{shown(self.stock)} of {self.stock.__module__} stands in place of "
                "qwen_vl_utils.fetch_video and reads videos by itself; put the stock function "
                "back, or leave the sampler out"
            )
        return fetched


class CheckedImage(WatchedFunction):
    """`fetch_image`, which knows no sampler and would leave it out without a word."""

    def __call__(self, ele: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """As the stock function, which names the first argument so."""
        if _has_sampler(ele):
            raise InputError(
                f"sampler={shown(ele['sampler'])} chooses among the frames of a video and was "
                "given for an image; leave it out; for a list of frames, import fetch_video from "
                "qwen_vl_utils after install()"
            )
        return super().__call__(ele, *args, **kwargs)


_WATCHED: tuple[tuple[str, str, type[WatchedFunction]], ...] = (
    ("qwen_vl_utils", "fetch_video", CheckedFetch),
    ("qwen_vl_utils.vision_process", "fetch_video", CheckedFetch),
    # By these those come past here who imported the stock functions by name.
    ("qwen_vl_utils.vision_process", "extract_vision_info", WatchedFunction),
    ("qwen_vl_utils.vision_process", "get_video_reader_backend", WatchedFunction),
    ("qwen_vl_utils.vision_process", "fetch_image", CheckedImage),
)


def _has_sampler(element: Mapping[str, Any]) -> bool:
    return element.get("sampler") is not None


def _readers() -> dict[str, Any]:
    """The table from which qwen-vl-utils takes a reader at each call."""
    module: Any = require("qwen_vl_utils.vision_process", extra=_EXTRA)
    readers: dict[str, Any] = module.VIDEO_READER_BACKENDS
    return readers


def install() -> None:
    """Let elements of type video name a sampler; without that key nothing changes.

    An element may hold, beside what qwen-vl-utils knows (``nframes`` or ``fps``, ``video_start``,
    ``video_end``, ``max_pixels`` ...):

    - ``sampler``: a name, see `keyscore_plugin.list_samplers`, or a sampler;
    - ``caption``, ``question``: the text that scores, and ``guide``: which of them does;
    - ``pair``: what the two frames of a visual token are, see `keyscore_plugin.hosts.pairing`;
    - ``encoder``, ``captioner``, ``decoder``, ``device``: see `keyscore_plugin.get_sampler`;
    - ``limits``: a `DownloadLimits`, which allows an ``http(s):`` URL; it is refused without.

    ``nframes`` stays the number of frames that the model gets. One visual token holds two frames,
    so they are ``nframes / 2`` keyframes (``nframes`` with ``pair="plain"``), and cost what
    ``nframes`` evenly spaced frames cost. A list of frames needs ``sample_fps``, its frames per
    second: by these its times are known.
    Samplers are kept between calls: an encoder is loaded once.

    Installing twice is fine. What another library replaces afterwards is wrapped again at the next
    call; one that reads by itself is refused there. Each process installs for itself.

    Raises:
        MissingDependencyError: qwen-vl-utils is not installed.
    """
    readers = _readers()
    for name, reader in list(readers.items()):
        if not isinstance(reader, SelectingReader):
            readers[name] = SelectingReader(reader)
    for module, name, wrapper in _WATCHED:
        place = require(module, extra=_EXTRA)
        function = getattr(place, name)
        if not isinstance(function, WatchedFunction):
            setattr(place, name, wrapper(function))
    _installed.set()


def uninstall() -> None:
    """Put everything back as it was and let the samplers go; fine if nothing was installed."""
    readers = _readers()
    for name, reader in list(readers.items()):
        if isinstance(reader, SelectingReader):
            readers[name] = reader.stock
    for module, name, _ in _WATCHED:
        place = require(module, extra=_EXTRA)
        function = getattr(place, name)
        if isinstance(function, WatchedFunction):
            setattr(place, name, function.stock)
    _installed.clear()
    forget_samplers()
