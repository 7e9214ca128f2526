"""Build training data for a selector of clips from videos and questions, as PeakClips was made."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from keyscore_plugin import __version__
from keyscore_plugin.errors import InputError, MemoryEndedError, ModelError, VideoError, shown
from keyscore_plugin.hosts import Journal, SceneLabeller, read_manifest
from keyscore_plugin.types import Clips, QueryLabels, VideoLabels, texts_of
from keyscore_trl.build_files import Video, write_data, write_text

_JOURNAL, _SETTINGS = "videos.jsonl", "build.json"
_DIGITS = 6  # of numbers in the files


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """Settings of a build.

    Attributes:
        manifest: Lines with a ``video`` and a ``question``, or a ``caption`` that describes what is
            looked for, as `keyscore batch` reads them. Several lines may name one video.
        captioner: Captioner of scenes, chapters and videos, as `keyscore_plugin.load_captioner`
            takes it.
        scorer: Folder or hub model id of the language model that marks captions.
        encoder: Encoder of frames and questions, as `keyscore_plugin.load_encoder` takes it.
        out: Folder of the data. A build that was interrupted goes on with the next video.
        scorer_share: Share of the marks in the relevance, from 0 to 1; the rest is the encoder's.
            The paper mixes them too, and its weights are not known.
        seed: Seed of the clustering that helps to find scenes; nothing else is random.
        decoder: Decoder, as `keyscore_plugin.open_video` takes it.
        device: Device of all models: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` ...; ``"auto"`` takes a
            GPU if there is one.
    """

    manifest: Path
    captioner: str
    scorer: str
    encoder: str
    out: Path
    scorer_share: float = 0.5
    seed: int = 0
    decoder: str = "auto"
    device: str = "auto"


def build(config: BuildConfig) -> int:
    """Label the videos of a manifest, and write the data and its card.

    ``videos.jsonl`` gets a line for each video as soon as it is done, also if the video cannot be
    used. When all videos are done, the data of the stages and the card are written from it.

    Args:
        config: Settings of the build.

    Returns:
        The number of videos that the data lacks because of an error.

    Raises:
        InputError: The manifest cannot be used, or the folder holds data of another build.
        ModelError: A model cannot be loaded, or the captioner reads no videos.
        MissingDependencyError: A package that a model needs is not installed.
    """
    videos = _read_videos(config.manifest)
    labeller = SceneLabeller(
        captioner=config.captioner,
        scorer=config.scorer,
        encoder=config.encoder,
        scorer_share=config.scorer_share,
        seed=config.seed,
        decoder=config.decoder,
        device=config.device,
    )
    with Journal(config.out / _JOURNAL) as journal:
        settings = _settings(config, labeller)
        _require_same_build(config.out, settings)
        for video in videos:
            _require_same_queries(video, journal)
        settings["models"] = labeller.load()
        write_text(config.out / _SETTINGS, json.dumps(settings, indent=1))
        journal.mend()
        for number, video in enumerate(videos, start=1):
            if video.name not in journal.done:
                begun = time.perf_counter()
                record = journal.done[video.name] = _record(video, labeller)
                journal.append(video.name, record)
                _tell(record, f"{number} of {len(videos)}", time.perf_counter() - begun)
        records = {video.name: journal.done[video.name] for video in videos}
        write_data(config.out, videos, records, settings)
    n_errors = sum("error" in record for record in records.values())
    done = f"{len(videos) - n_errors} videos, {n_errors} more with an error"
    print(f"clips: {config.out}: {done}", file=sys.stderr)
    return n_errors


def _read_videos(manifest: Path) -> list[Video]:
    """The videos of a manifest, each with its queries in the order of the lines."""
    queries: dict[str, dict[str, None]] = {}
    paths: dict[str, Path] = {}
    for item in read_manifest(manifest):
        texts = texts_of(item.question, "question") or texts_of(item.caption, "caption")
        if not texts:
            raise InputError(
                f"{manifest}, id {shown(item.id)}: no question; give each line a question, or a "
                "caption of what is looked for (a line without an id has its number as id)"
            )
        if item.start_seconds is not None or item.end_seconds is not None:
            raise InputError(
                f"{manifest}, id {shown(item.id)}: got a part of a video, and whole videos are "
                "labelled; leave out start and end, or cut the video before"
            )
        paths[item.video] = item.path
        queries.setdefault(item.video, {}).update(dict.fromkeys(texts))
    if not queries:
        raise InputError(
            f'{manifest} has no line; give lines such as {{"video": "a.mp4", "question": "..."}}'
        )
    return [Video(name, paths[name], tuple(texts)) for name, texts in queries.items()]


def _record(video: Video, labeller: SceneLabeller) -> dict[str, Any]:
    """The line of a video: its labels, or the error that prevented them.

    The models are loaded, so an error of a model is about this video, such as a captioner that
    writes nothing about a black scene. The next video may do.
    """
    try:
        return {"video": video.name, **_plain(labeller(video.path, video.queries))}
    except (VideoError, InputError, ModelError, MemoryEndedError) as error:
        return {"video": video.name, "error": " ".join(str(error).split())}


def _plain(labels: VideoLabels) -> dict[str, Any]:
    """Labels as plain JSON values."""
    return {
        "duration_seconds": round(labels.duration_seconds, _DIGITS),
        "caption": labels.caption,
        "chapters": _stretches(labels.chapters),
        "scenes": _stretches(labels.scenes),
        "queries": [{"query": one.query, "scenes": _scores(one)} for one in labels.queries],
        "notes": list(labels.notes),
    }


def _stretches(stretches: Clips) -> list[dict[str, Any]]:
    rows = zip(stretches.starts, stretches.ends, stretches.reasons, strict=True)
    return [
        {"start": round(start, _DIGITS), "end": round(end, _DIGITS), "caption": caption}
        for start, end, caption in rows
    ]


def _scores(labels: QueryLabels) -> list[dict[str, Any]]:
    rows = zip(labels.marks, labels.similarities, labels.relevance, labels.priorities, strict=True)
    return [
        {
            "mark": round(mark, _DIGITS),
            "similarity": round(similarity, _DIGITS),
            "relevance": round(relevance, _DIGITS),
            "priority": priority,
        }
        for mark, similarity, relevance, priority in rows
    ]


def _tell(record: Mapping[str, Any], place: str, seconds: float) -> None:
    outcome = record.get("error") or f"{len(record['scenes'])} scenes in {seconds:.1f} s"
    for text in (outcome, *(f"note: {note}" for note in record.get("notes", ()))):
        print(f"clips: {place}: {record['video']}: {text}", file=sys.stderr)


def _settings(config: BuildConfig, labeller: SceneLabeller) -> dict[str, Any]:
    """What decides the labels, and versions, as plain JSON values."""
    free = ("manifest", "out", "device")
    given = {key: value for key, value in asdict(config).items() if key not in free}
    versions = {name: version(name) for name in ("torch", "transformers")}
    return {
        "config": given,
        "sampler": labeller.settings,
        "versions": {"keyscore-plugin": __version__, **versions},
    }


def _require_same_build(out: Path, settings: Mapping[str, Any]) -> None:
    """Refuse a folder with the data of other models or settings."""
    path = out / _SETTINGS
    if not path.is_file():
        return
    before = json.loads(path.read_text("utf-8"))
    if any(before[part] != settings[part] for part in ("config", "sampler")):
        raise InputError(
            f"{out} holds data of other models or settings, see {_SETTINGS}; give the same command "
            "to go on, or another --out"
        )


def _require_same_queries(video: Video, journal: Journal) -> None:
    """Refuse a folder in which a video has other queries than the manifest gives it."""
    record = journal.done.get(video.name, {})
    before: Sequence[Any] = record.get("queries", ())
    if before and [one["query"] for one in before] != list(video.queries):
        raise InputError(
            f"{journal.path} holds {shown(video.name)} with other questions than the manifest; "
            "give the manifest of before, which may have more videos, or another --out"
        )
