"""MSVD: 670 test videos with about 40 captions each (Chen and Dolan, ACL 2011)."""

import pickle
import reprlib
from collections import defaultdict
from pathlib import Path
from typing import Any

from evals.harness.data import require_files
from evals.retrieval.dataset import CaptionedVideo, Dataset, read_list, require_caption
from keyscore_plugin.errors import InputError

_LIST = "test_list.txt"
_CAPTIONS = "raw-captions.pkl"
_VIDEOS = "MSVD_Videos"
SOURCE = (
    "https://github.com/ArrowLuo/CLIP4Clip/releases/download/v0.0/msvd_data.zip (annotations) and "
    "https://www.cs.utexas.edu/users/ml/clamp/videoDescription (videos)"
)
LAYOUT = f"{_LIST}, {_CAPTIONS} and {_VIDEOS}/ID.avi"


def read_msvd(root: Path) -> Dataset:
    """Read ``test_list.txt``, an id per line, and ``raw-captions.pkl``, the tokens of captions.

    Args:
        root: Folder of both files and of the folder ``MSVD_Videos`` with one file for each id, of
            any extension.

    Raises:
        InputError: A file is missing or has another format, a video is listed twice or has no
            caption, or two files have its id.
    """
    require_files(root, [_LIST, _CAPTIONS, _VIDEOS], source=SOURCE, layout=LAYOUT)
    captions = _captions(root / _CAPTIONS)
    files = _files_by_id(root / _VIDEOS)
    videos = []
    for name in read_list(root / _LIST):
        if name not in captions:
            raise InputError(
                f"{root / _CAPTIONS} has no captions of {name!r}, which {_LIST} names; "
                "download both again"
            )
        found = files.get(name, [root / _VIDEOS / f"{name}.avi"])
        if len(found) > 1:
            shown = ", ".join(sorted(path.name for path in found))
            raise InputError(f"{root / _VIDEOS} has several files of {name!r}: {shown}; keep one")
        where = f"{root / _CAPTIONS}, {name!r}"
        videos.append(CaptionedVideo(name, found[0], _sentences(captions[name], where=where)))
    return Dataset("msvd", tuple(videos), n_published=670)


def _captions(path: Path) -> dict[str, Any]:
    value = read_builtin_pickle(path)
    if not isinstance(value, dict):
        raise InputError(
            f"{path}: expected a dict of video ids and token lists, got {type(value).__name__}"
        )
    return value


def _files_by_id(folder: Path) -> dict[str, list[Path]]:
    files = defaultdict(list)
    for path in folder.iterdir():
        files[path.stem].append(path)
    return files


def _sentences(token_lists: Any, *, where: str) -> tuple[str, ...]:
    if not isinstance(token_lists, list) or not token_lists:
        raise InputError(
            f"{where}: expected a list of captions, at least one, got {reprlib.repr(token_lists)}"
        )
    return tuple(
        _sentence(tokens, where=f"{where}, caption {number}")
        for number, tokens in enumerate(token_lists, start=1)
    )


def _sentence(tokens: Any, *, where: str) -> str:
    if not isinstance(tokens, list | tuple) or not all(isinstance(token, str) for token in tokens):
        raise InputError(f"{where}: expected a list of tokens, got {reprlib.repr(tokens)}")
    return require_caption(" ".join(tokens), where=where)


_CONTAINERS = {
    ("builtins", "dict"),
    ("builtins", "list"),
    ("builtins", "set"),
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
}
# Errors of the reader for bytes that are not a pickle, or only half of one.
_MALFORMED = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    MemoryError,
    TypeError,
    ValueError,
)


class _BuiltinUnpickler(pickle.Unpickler):
    """A reader of pickles that runs no code: it makes containers, strings and numbers only."""

    def find_class(self, module: str, name: str) -> Any:
        """The container of this name.

        Raises:
            UnpicklingError: The name is another one, which could run code.
        """
        home = "builtins" if module == "__builtin__" else module  # the name in Python 2
        if (home, name) not in _CONTAINERS:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no plain value")
        return super().find_class(home, name)


def read_builtin_pickle(path: Path) -> Any:
    """Read a pickle of dicts, lists, sets, tuples, strings, bytes and numbers.

    An ordinary reader runs what a pickle asks for, so a downloaded one could do anything.

    Raises:
        InputError: The file cannot be read, or holds anything else.
    """
    try:
        with path.open("rb") as file:
            return _BuiltinUnpickler(file).load()
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror or error}; make it readable"
        ) from error
    except _MALFORMED as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(f"{path} is not a pickle of plain values: {reason}") from error
