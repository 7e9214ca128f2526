"""QVHighlights (Lei et al., NeurIPS 2021): real videos, queries, and the spans that answer them."""

import math
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

from evals.harness.data import (
    parse_json,
    read_lines,
    require_file_name,
    require_files,
    require_once,
)
from keyscore_plugin.errors import InputError
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo

ANNOTATIONS = "highlight_val_release.jsonl"
_SOURCE = "https://github.com/jayleicn/moment_detr/tree/main/data"
_LAYOUT = f"{ANNOTATIONS}, videos/<vid>.mp4"


def read_qvhighlights(root: Path, *, left_out: Collection[str] = ()) -> list[NeedleVideo]:
    """Read the validation split: videos of up to 150 s; 10,310 queries in all splits.

    Args:
        root: Folder of the annotations and the videos.
        left_out: Ids of videos whose file may be missing.

    Raises:
        InputError: A file is missing, or a line has another format.
    """
    require_files(root, [ANNOTATIONS], source=_SOURCE, layout=_LAYOUT)
    path = root / ANNOTATIONS
    needles: dict[str, list[Needle]] = defaultdict(list)
    queries = []
    for where, line in read_lines(path):
        qid, video, needle = _read(line, where)
        queries.append((where, qid))
        needles[video].append(needle)
    require_once(queries, what="qid")
    if not needles:
        raise InputError(f"{path} holds no query; download it again")
    videos = {video: Path("videos", f"{video}.mp4") for video in needles}
    wanted = [path for video, path in videos.items() if video not in left_out]
    require_files(root, wanted, source=_SOURCE, layout=_LAYOUT)
    return [NeedleVideo(root / videos[video], tuple(needles[video])) for video in needles]


def _read(line: str, where: str) -> tuple[str, str, Needle]:
    item = parse_json(line, where=where)
    try:
        spans = tuple((float(start), float(end)) for start, end in item["relevant_windows"])
        qid, video, query = str(item["qid"]), item["vid"], item["query"]
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{where}: expected qid, vid, query and relevant_windows [[start, end], ...], got "
            f"{type(error).__name__} {error}"
        ) from error
    if not (isinstance(video, str) and isinstance(query, str) and query.strip()):
        raise InputError(f"{where}: expected words as vid and query, got {video!r} and {query!r}")
    require_file_name(video, where=where)
    if not spans or any(not 0 <= start < end < math.inf for start, end in spans):
        raise InputError(
            f"{where}: expected relevant_windows [[start, end], ...] in seconds, got "
            f"{item['relevant_windows']}"
        )
    return qid, video, Needle(query, spans)
