"""DiDeMo as paragraph-to-video retrieval: 1,004 test videos (Hendricks et al., ICCV 2017)."""

from collections import defaultdict
from pathlib import Path
from typing import Any

from evals.harness.data import parse_json, read_text, require_files, require_once
from evals.retrieval.dataset import CaptionedVideo, Dataset, read_list, require_caption
from keyscore_plugin.errors import InputError

_LIST = "test_list.txt"
_DESCRIPTIONS = "test_data.json"
_VIDEOS = "DiDeMo_Videos"
SOURCE = (
    "https://github.com/albanie/collaborative-experts/tree/master/misc/datasets/didemo (list) and "
    "https://github.com/LisaAnne/LocalizingMoments (descriptions, videos)"
)
LAYOUT = f"{_LIST}, {_DESCRIPTIONS} and {_VIDEOS}/NAME as named in the list, with its extension"
# The annotators saw the first 30 s (README of LocalizingMoments); CLIP4Clip and its followers
# take 31.
_CUT_SECONDS = 31.0


def read_didemo(root: Path) -> Dataset:
    """Read ``test_list.txt``, a file name per line, and ``test_data.json``, the descriptions.

    All descriptions of a video, joined in the order of the file, are its one caption. Descriptions
    of videos that the list does not name belong to other splits.

    Args:
        root: Folder of both files and of the folder ``DiDeMo_Videos``.

    Raises:
        InputError: A file is missing or has another format, a video is listed twice or has no
            description, or a description occurs twice.
    """
    require_files(root, [_LIST, _DESCRIPTIONS, _VIDEOS], source=SOURCE, layout=LAYOUT)
    paragraphs = _paragraphs(root / _DESCRIPTIONS)
    videos = []
    for name in read_list(root / _LIST):
        if name not in paragraphs:
            raise InputError(
                f"{root / _DESCRIPTIONS} has no description of {name!r}, which {_LIST} names; "
                "download both again"
            )
        videos.append(CaptionedVideo(name, root / _VIDEOS / name, (" ".join(paragraphs[name]),)))
    return Dataset("didemo", tuple(videos), n_published=1004, cut_seconds=_CUT_SECONDS)


def _paragraphs(path: Path) -> dict[str, list[str]]:
    """The descriptions of each video."""
    items = parse_json(read_text(path), where=str(path))
    if not isinstance(items, list):
        raise InputError(f"{path}: expected a list of descriptions, got {type(items).__name__}")
    paragraphs: dict[str, list[str]] = defaultdict(list)
    annotations = []
    for number, item in enumerate(items, start=1):
        where = f"{path}, item {number}"
        if not isinstance(item, dict):
            raise InputError(f"{where}: expected an object, got {type(item).__name__}")
        annotations.append((where, str(_field(item, "annotation_id", (int, str), where=where))))
        video = _field(item, "video", (str,), where=where)
        description = _field(item, "description", (str,), where=where)
        paragraphs[video].append(require_caption(description, where=where))
    require_once(annotations, what="annotation_id")
    return dict(paragraphs)


def _field(item: dict[str, Any], name: str, kinds: tuple[type, ...], *, where: str) -> Any:
    if name not in item:
        raise InputError(f"{where}: {name!r} is missing")
    if not isinstance(item[name], kinds):
        expected = " or ".join(kind.__name__ for kind in kinds)
        raise InputError(f"{where}: expected {name!r} to be {expected}, got {item[name]!r:.80}")
    return item[name]
