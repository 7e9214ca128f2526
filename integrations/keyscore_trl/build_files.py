"""The files of a build: data for the stages of training, and its card."""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import write_whole
from keyscore_trl.clip_prompts import DATA_FILES

Record = Mapping[str, Any]

_CARD = "README.md"
_LICENSE = "\n## License\n\n"


@dataclass(frozen=True, slots=True)
class Video:
    """A video of a manifest.

    Attributes:
        name: Name in the manifest.
        path: Path of the file.
        queries: Its queries, all different.
    """

    name: str
    path: Path
    queries: tuple[str, ...]


def write_data(
    out: Path, videos: Sequence[Video], records: Mapping[str, Record], settings: Record
) -> None:
    """Write the data of the stages 1 and 2, and the card.

    Args:
        out: Folder of the data.
        videos: Videos of the manifest.
        records: Line of each video in the journal, by name.
        settings: Settings, models and versions of the build.
    """
    good = [
        (_place(video, out), records[video.name])
        for video in videos
        if "error" not in records[video.name]
    ]
    grounding = [line for row in good for line in _grounding_lines(*row)]
    clips = [line for row in good for line in _clip_lines(*row)]
    for name, lines in ((DATA_FILES["1"], grounding), (DATA_FILES["2"], clips)):
        write_text(out / name, "".join(json.dumps(line) + "\n" for line in lines))
    counts = {
        "videos": len(good),
        "videos left out because of an error, see `videos.jsonl`": len(videos) - len(good),
        "chapters": sum(len(record["chapters"]) for _, record in good),
        "scenes": sum(len(record["scenes"]) for _, record in good),
        "questions": sum(len(record["queries"]) for _, record in good),
        f"questions with clips, the lines of `{DATA_FILES['2']}`": len(clips),
        "clips": sum(len(line["clips"]) for line in clips),
        f"captions in `{DATA_FILES['1']}`": sum(line["query"] is None for line in grounding),
        "scenes with a relevance to a question": sum(
            line["query"] is not None for line in grounding
        ),
    }
    write_text(out / _CARD, _card(counts, settings) + _license(out / _CARD))


def write_text(path: Path, text: str) -> None:
    """Write a file as a whole or not at all.

    Raises:
        InputError: The disk is full, or the folder cannot be written.
    """
    try:
        write_whole(path, text.encode())
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; free the disk or give another "
            "--out, then run the same command again"
        ) from error


def _place(video: Video, out: Path) -> str:
    """The video as the data names it: absolute as in the manifest, or relative to the folder."""
    if Path(video.name).is_absolute():
        return video.name
    return os.path.relpath(video.path.resolve(), out.resolve())


def _grounding_lines(video: str, record: Record) -> Iterator[dict[str, Any]]:
    """Captions with their stretches, then the relevance of each scene to each query.

    All lines have the same keys, so that every reader finds one schema.
    """
    empty = dict.fromkeys(("level", "caption", "query", "relevance", "priority"))
    for level in ("chapters", "scenes"):
        stretches = record[level]
        n_said = Counter(one["caption"] for one in stretches)
        for one in stretches:
            # A caption of two stretches names neither, and one of the whole video is no part of it.
            if n_said[one["caption"]] == 1 and len(stretches) > 1:
                yield {"video": video, **_span(one), **empty, "level": level.removesuffix("s")} | {
                    "caption": one["caption"]
                }
    for labels in record["queries"]:
        for one, scores in zip(record["scenes"], labels["scenes"], strict=True):
            yield {"video": video, **_span(one), **empty, "level": "scene"} | {
                "query": labels["query"],
                "relevance": scores["relevance"],
                "priority": scores["priority"],
            }


def _clip_lines(video: str, record: Record) -> Iterator[dict[str, Any]]:
    """The clips of each query; none for a query that cannot tell the scenes apart."""
    for labels in record["queries"]:
        clips = [
            {**_span(one), "priority": scores["priority"], "reason": one["caption"]}
            for one, scores in zip(record["scenes"], labels["scenes"], strict=True)
            if scores["priority"] is not None
        ]
        if clips:
            yield {"video": video, "query": labels["query"], "clips": clips}


def _span(stretch: Record) -> dict[str, float]:
    return {"start": stretch["start"], "end": stretch["end"]}


def _card(counts: Mapping[str, int], settings: Record) -> str:
    """The data card; its head names the files for ``datasets.load_dataset``."""
    models, versions = settings["models"], settings["versions"]
    made_by = {
        "captions": f"`{models['captioner']}`",
        "marks of captions": f"`{models['scorer']}`",
        "similarity of frames": f"`{models['encoder']}`",
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items()),
        "seed": settings["config"]["seed"],
    }
    share = settings["sampler"]["clips"]["scorer_share"]
    return f"""---
configs:
- config_name: clips
  data_files: {DATA_FILES["2"]}
  default: true
- config_name: grounding
  data_files: {DATA_FILES["1"]}
---

# Clips that questions need

Labels that models gave to the scenes of videos, in the manner of PeakClips (K-frames, arXiv
2510.13891). No person checked them. Made by `python -m keyscore_trl.clips build`; the forms of the
lines stand in the documentation of `keyscore_trl`.

{_table({"": "number", **counts})}

{_table({"": "made by", **made_by})}

Relevance is relative to the video. `place(x)` is 1 at the best scene and 0 at the median of the
scenes, or half-way between the worst and the best if that is lower. With
`r = place({1 - share:g} * place(similarity) + {share:g} * (mark - 1) / 4)`, the relevance is
`1 + 4 * min(max(r, 0), 1)`; priority 1 from `r = 2/3` on, 2 from `r = 1/3` on.
"""


def _license(card: Path) -> str:
    """The section of an earlier card on the license, which its user may have filled in."""
    if card.is_file():
        _, heading, section = card.read_text("utf-8").partition(_LICENSE)
        if heading:
            return heading + section
    return _LICENSE + (
        "To be filled in: the videos, the questions and the terms of the models decide it. This\n"
        "section is kept when the data is built again.\n"
    )


def _table(rows: Mapping[str, object]) -> str:
    """A Markdown table of two columns; the first row is its head."""
    head, *lines = [f"| {name} | {value} |" for name, value in rows.items()]
    return "\n".join([head, "|---|---|", *lines])
