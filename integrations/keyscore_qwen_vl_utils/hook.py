"""Our readers and functions in place of those of qwen-vl-utils."""

import threading
from collections import deque
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import update_wrapper
from typing import Any

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import keep_replacement, require
from keyscore_qwen_vl_utils.reader import Read, read
from keyscore_qwen_vl_utils.request import KeyedVideo, forget_samplers, with_own_keys

_EXTRA = "qwen-vl-utils"
_installed = threading.Event()
_n_reads: ContextVar[int] = ContextVar("n_reads", default=0)  # of `SelectingReader`, by selection
_MOST_REMEMBERED = 100  # ours: a library that patches at every call would fill the memory


@dataclass(frozen=True, slots=True)
class Replacement:
    """A function or reader of ours that another library replaced after `install`.

    Attributes:
        name: Place in qwen-vl-utils, such as ``"VIDEO_READER_BACKENDS['decord']"``.
        by: Module and name of the function that was put there.
        noticed: Time at which it was noticed, and ours was put around it again.
    """

    name: str
    by: str
    noticed: datetime


_replaced: deque[Replacement] = deque(maxlen=_MOST_REMEMBERED)
_ours: set[str] = set()  # the places that were given a function of ours


class SelectingReader:
    """A video reader that chooses frames for an element with a ``sampler``, else the stock one.

    Every entry of the table is wrapped: after an error in one reader qwen-vl-utils goes on with
    ``"torchvision"``, which would turn an error of ours into evenly spaced frames.

    Args:
        stock: Reader of qwen-vl-utils.
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
    """A function of qwen-vl-utils that first installs again what others have replaced.

    Other libraries change this table and these functions after us (ms-swift 4.6 puts its own
    readers into the table), and code that imported one of them by name goes on calling it. So each
    function on the way to a reader restores all of them.

    Args:
        stock: Function of qwen-vl-utils.
    """

    def __init__(self, stock: Callable[..., Any]) -> None:
        self.stock = stock
        update_wrapper(self, stock)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # what `copy` looks for before there is a `stock`
            raise AttributeError(name)
        return getattr(self.stock, name)  # such as `cache_clear`

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the stock function."""
        if _installed.is_set():
            install()
        return self.stock(*args, **kwargs)


class CheckedFetch(WatchedFunction):
    """`fetch_video`, with an error if the sampler that was asked for did not choose the frames."""

    def __call__(self, ele: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Call the stock function, which gives the first argument this name."""
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
                f"{shown(self.stock)} of {self.stock.__module__} has replaced "
                "qwen_vl_utils.fetch_video and reads videos by itself; restore the stock "
                "function, or leave the sampler out"
            )
        return fetched


class CheckedImage(WatchedFunction):
    """`fetch_image`, with an error for a sampler, which the stock function would ignore."""

    def __call__(self, ele: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Call the stock function, which gives the first argument this name."""
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
    # Code that imported the stock functions by name passes through these.
    ("qwen_vl_utils.vision_process", "extract_vision_info", WatchedFunction),
    ("qwen_vl_utils.vision_process", "get_video_reader_backend", WatchedFunction),
    ("qwen_vl_utils.vision_process", "fetch_image", CheckedImage),
)


def _has_sampler(element: Mapping[str, Any]) -> bool:
    return element.get("sampler") is not None


def _readers() -> dict[str, Any]:
    """The table in which qwen-vl-utils looks up a reader at each call."""
    module: Any = require("qwen_vl_utils.vision_process", extra=_EXTRA)
    readers: dict[str, Any] = module.VIDEO_READER_BACKENDS
    return readers


def install() -> None:
    """Let elements of type video name a sampler; without that key nothing changes.

    In addition to the keys of qwen-vl-utils (``nframes`` or ``fps``, ``video_start``,
    ``video_end``, ``max_pixels`` ...) an element may hold:

    - ``sampler``: a name of `keyscore_plugin.list_samplers`, or a sampler;
    - ``caption``, ``question``: the texts, and ``guide``: which of them scores;
    - ``join``: how a list of texts is joined, and ``subtitles``: what is said scores, too, as
      `keyscore_plugin.Sampler` takes them;
    - ``clip_mode``: where ``clips`` and ``kframes`` take their frames, ``"auto"``, ``"focused"`` or
      ``"hybrid"``;
    - ``pair``: what the two frames of a visual token are, ``"duplicate"``, ``"neighbor"``,
      ``"pack"`` or ``"plain"``;
    - ``encoder``, ``captioner``, ``decoder``, ``device``, ``index``: as
      `keyscore_plugin.get_sampler` takes them;
    - ``limits``: a `DownloadLimits`, which allows an ``http(s):`` URL; without it URLs are refused.

    ``nframes`` remains the number of frames that the model gets. One visual token holds two frames,
    so they are ``nframes / 2`` keyframes (``nframes`` with ``pair="plain"``) and cost as much as
    ``nframes`` evenly spaced frames. A list of frames needs ``sample_fps``, its frames per second,
    from which its times are computed. Samplers are kept between calls: an encoder is loaded once.

    A second `install` does nothing. Functions that another library replaces afterwards are wrapped
    again at the next call; a replacement that reads videos by itself is refused there. Each process
    installs separately.

    Raises:
        MissingDependencyError: qwen-vl-utils is not installed.
    """
    # Before anything is looked at: what stands there until another thread has installed is stock.
    was_installed = _installed.is_set()
    readers = _readers()
    for name, reader in list(readers.items()):
        entry = f"VIDEO_READER_BACKENDS[{name!r}]"
        if not isinstance(reader, SelectingReader):
            _remember(entry, reader, was_installed)
            readers[name] = SelectingReader(reader)
        _ours.add(entry)
    for module, name, wrapper in _WATCHED:
        place = require(module, extra=_EXTRA)
        function = getattr(place, name)
        if not isinstance(function, WatchedFunction):
            _remember(f"{module}.{name}", function, was_installed)
            setattr(place, name, wrapper(function))
        _ours.add(f"{module}.{name}")
    _installed.set()


def n_reads() -> int:
    """Number of videos that were read with a sampler so far, in this context."""
    return _n_reads.get()


def replaced() -> list[Replacement]:
    """What other libraries replaced since `install`, the oldest first, in this process.

    Each was noticed at a call of qwen-vl-utils, and ours was put around it again before a video was
    read. The last 100 are kept. `keyscore doctor` lists those of all processes of a user.
    """
    return list(_replaced)


def _remember(name: str, function: Any, was_installed: bool) -> None:
    """Note what stands in our place; what stands in a place that had none of ours replaced none."""
    if was_installed and name in _ours:
        by, noticed = _author(function), datetime.now(timezone.utc)
        if not any((one.name, one.by) == (name, by) for one in _replaced):
            keep_replacement(_EXTRA, name, by, noticed=noticed)
        _replaced.append(Replacement(name, by, noticed))


def _author(function: Any) -> str:
    """Module and name of a function; those of its type if it has none, such as a `partial`.

    The text of such an object is not shown: it holds the arguments, which may be secrets.
    """
    named = function if hasattr(function, "__qualname__") else type(function)
    return f"{named.__module__}.{named.__qualname__}"


def uninstall() -> None:
    """Restore the stock functions and drop the samplers; without `install` this does nothing."""
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
    _replaced.clear()
    _ours.clear()
    forget_samplers()
