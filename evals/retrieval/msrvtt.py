"""MSR-VTT 1k-A: 1,000 videos, one caption each (Yu et al., ECCV 2018, arXiv 1808.02559)."""

import csv
import io
from pathlib import Path

from evals.harness.data import read_text, require_file_name, require_files, require_once
from evals.retrieval.dataset import CaptionedVideo, Dataset, require_caption
from keyscore_plugin.errors import InputError

_ANNOTATIONS = "MSRVTT_JSFUSION_test.csv"
_VIDEOS = "MSRVTT_Videos"
_HEADER = ["key", "vid_key", "video_id", "sentence"]
SOURCE = (
    "https://github.com/ArrowLuo/CLIP4Clip/releases/download/v0.0/msrvtt_data.zip (annotations) "
    "and the MSR-VTT release (videos)"
)
LAYOUT = f"{_ANNOTATIONS} and {_VIDEOS}/video7010.mp4 ..."


def read_msrvtt(root: Path) -> Dataset:
    """Read ``MSRVTT_JSFUSION_test.csv``: ``key,vid_key,video_id,sentence``, one pair per line.

    Args:
        root: Folder of the file and of the folder ``MSRVTT_Videos`` with ``videoN.mp4``.

    Raises:
        InputError: The file is missing or has another format, or names a key or a video twice.
    """
    require_files(root, [_ANNOTATIONS, _VIDEOS], source=SOURCE, layout=LAYOUT)
    pairs = _pairs(root / _ANNOTATIONS)
    require_once([(where, key) for where, key, _, _ in pairs], what="key")
    require_once([(where, video) for where, _, video, _ in pairs], what="video")
    videos = tuple(
        CaptionedVideo(video, root / _VIDEOS / f"{video}.mp4", (caption,))
        for _, _, video, caption in pairs
    )
    return Dataset("msrvtt", videos, n_published=1000)


def _pairs(path: Path) -> list[tuple[str, str, str, str]]:
    """The place in the file, the key, the video and the caption of each pair."""
    reader = csv.reader(io.StringIO(read_text(path), newline=""), strict=True)
    pairs = []
    try:
        header = next(reader, [])
        if header != _HEADER:
            raise InputError(
                f"{path}, line 1: expected the header {','.join(_HEADER)}, got {','.join(header)!r}"
            )
        for fields in reader:
            where = f"{path}, line {reader.line_num}"
            if not fields:
                continue  # a blank line
            if len(fields) != len(_HEADER):
                raise InputError(
                    f"{where}: expected {len(_HEADER)} fields ({','.join(_HEADER)}), "
                    f"got {len(fields)}"
                )
            key, _, video, sentence = fields
            require_file_name(video, where=where)
            pairs.append((where, key, video, require_caption(sentence, where=where)))
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not CSV ({error})") from error
    if not pairs:
        raise InputError(f"{path} holds no pair of a video and a caption; download it again")
    return pairs
