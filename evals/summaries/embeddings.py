"""The embeddings of the picks of every video: made from the videos, or read from an h5 file."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from evals.harness.data import require_same_video
from evals.harness.figures import Floats
from evals.summaries.data import AnnotatedVideo
from evals.summaries.h5 import Annotation
from keyscore_plugin import number_of, open_video
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts import require, whole

_READ_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """One video as a language model reads it.

    Attributes:
        embeddings: ``(n_steps, d)`` float32 embedding of each pick.
        pts_seconds: ``(n_steps,)`` float64 times of the picks.
        marks: Scores of the picks without a head, ``(n_steps,)`` each, by their name in the table;
            none for embeddings from an h5 file.
    """

    embeddings: Tensor
    pts_seconds: Tensor
    marks: Mapping[str, Floats]


def embed_videos(
    videos: Mapping[str, AnnotatedVideo], sampler: Any, folder: Path, *, decoder: str
) -> dict[str, Embedded]:
    """Caption and embed the picks of every video that the folder does not hold yet.

    A file is written as a whole or not at all, so a run that was killed goes on with the next
    video; captions are kept by the sampler itself, so it goes on inside of a video too.

    Args:
        videos: Videos by key.
        sampler: The sampler ``llmvs``, which captions frames and embeds captions.
        folder: Folder of the files, one for each video.
        decoder: Name as `open_video` takes it.

    Raises:
        VideoError: A video cannot be read, or is not the annotated one.
        InputError: A file of the folder is broken.
    """
    folder.mkdir(parents=True, exist_ok=True)
    embedded = {}
    for key, video in videos.items():
        path = folder / f"{key}.safetensors"
        if not path.exists():
            _write(path, video, sampler, decoder)
        embedded[key] = read_embedded(path, len(video.annotation.picks))
    return embedded


def _write(path: Path, video: AnnotatedVideo, sampler: Any, decoder: str) -> None:
    picks = video.annotation.picks.tolist()
    texts: list[str] = []
    with open_video(video.video, decoder=decoder) as source:
        require_same_video(
            video.video,
            len(source.pts_seconds()),
            annotations=f"annotations ({video.annotation.key} of the h5 file)",
            last=picks[-1],
            annotated=video.annotation.n_frames,
            slack=video.annotation.step,
        )
        scale = min(1.0, sampler.config.llmvs.short_side / min(source.height, source.width))
        size = round(source.height * scale), round(source.width * scale)
        for start in range(0, len(picks), _READ_AT_ONCE):
            texts += sampler.describer(source.read(picks[start : start + _READ_AT_ONCE], size=size))
        pts_seconds = source.pts_seconds(picks)
    reader = sampler.scorer.reader
    said = [number_of(answer) for answer in reader.answers(texts)]
    tensors = {
        "embeddings": sampler.scorer.embed(texts),
        "pts_seconds": pts_seconds,
        "language model, expected digit": reader.expect(texts),
        # A digit that is not written is the least informed one: the middle of the scale.
        "language model, written digit": torch.tensor(
            [4.5 if number is None else number for number in said], dtype=torch.float64
        ),
    }
    metadata = {"captions": json.dumps(texts), "unread_answers": str(said.count(None))}
    with whole(path) as temporary:
        save_file(tensors, temporary, metadata=metadata)


def read_embedded(path: Path, n_steps: int) -> Embedded:
    """Read one file of `embed_videos`.

    Raises:
        InputError: It is broken, or holds another number of picks.
    """
    try:
        tensors = load_file(path)
        embeddings, pts_seconds = tensors.pop("embeddings"), tensors.pop("pts_seconds")
    except (OSError, SafetensorError, KeyError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); delete it and run the same command again"
        ) from error
    if len(embeddings) != n_steps:
        raise InputError(
            f"{path} holds {len(embeddings)} embeddings and the h5 file {n_steps} picks; delete it "
            "and run the same command again"
        )
    return Embedded(embeddings, pts_seconds, {name: t.numpy() for name, t in tensors.items()})


def read_embeddings(
    path: Path, annotations: Mapping[str, Annotation], *, average_fps: float = 30.0
) -> dict[str, Embedded]:
    """Read embeddings from an h5 file in the layout of the annotations.

    Args:
        path: File with a group for each video, ``video_1`` ..., which holds ``features``, a row for
            each of its ``picks``.
        annotations: Annotations by key; their picks must be the same.
        average_fps: Frame rate, which the file does not hold; only a head that knows the time of a
            frame reads it.

    Raises:
        InputError: The file is not h5, or a video is missing, lacks a dataset or holds other picks
            or numbers that are not finite.
        MissingDependencyError: h5py is not installed.
    """
    h5py = require("h5py", extra="evals")
    try:
        with h5py.File(path, "r") as file:
            return {
                key: _from_group(file, key, path, annotation, average_fps)
                for key, annotation in annotations.items()
            }
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{path} is not a readable h5 file ({error}); download it again"
        ) from error


def _from_group(
    file: Any, key: str, path: Path, annotation: Annotation, average_fps: float
) -> Embedded:
    features, picks = (_dataset(file, f"{key}/{name}", path) for name in ("features", "picks"))
    if not np.array_equal(picks, annotation.picks):
        raise InputError(
            f"{path}: {key} has {len(picks)} picks that are not the {len(annotation.picks)} of the "
            "annotations; make the embeddings at the picks of the annotations"
        )
    if features.ndim != 2 or len(features) != len(picks) or not np.isfinite(features).all():
        raise InputError(
            f"{path}: features of {key} has shape {features.shape} or values that are not finite; "
            f"expected a row of finite numbers for each of {len(picks)} picks"
        )
    return Embedded(
        torch.from_numpy(features.astype(np.float32)), torch.from_numpy(picks / average_fps), {}
    )


def _dataset(file: Any, name: str, path: Path) -> Any:
    if name not in file:
        raise InputError(
            f"{path} has no dataset {name!r}; each video needs features and picks, a row of "
            "features for each pick"
        )
    return np.asarray(file[name][()])


def read_targets(path: Path, annotations: Mapping[str, Annotation]) -> dict[str, Tensor]:
    """The mean importance that the users gave each pick: ``gtscore`` of the h5 file.

    Returns:
        ``(n_steps,)`` float32 targets by key.

    Raises:
        InputError: A video lacks them, or they are not one finite number for each pick.
    """
    h5py = require("h5py", extra="evals")
    with h5py.File(path, "r") as file:
        return {key: _target(file, key, path, len(one.picks)) for key, one in annotations.items()}


def _target(file: Any, key: str, path: Path, n_steps: int) -> Tensor:
    values = _dataset(file, f"{key}/gtscore", path)
    if values.shape != (n_steps,) or not np.isfinite(values).all():
        raise InputError(
            f"{path}: gtscore of {key} has shape {values.shape} with "
            f"{int((~np.isfinite(values)).sum())} values that are not finite; expected "
            f"{n_steps} finite numbers, one for each pick; leave the video out or download it again"
        )
    return torch.from_numpy(values.astype(np.float32))


def shuffled(videos: Mapping[str, Embedded], *, seed: int) -> dict[str, Embedded]:
    """Each video with the embedding of another of its frames at every pick: the control."""
    rng = np.random.default_rng(seed)
    return {
        key: Embedded(
            one.embeddings[torch.from_numpy(rng.permutation(len(one.embeddings)))],
            one.pts_seconds,
            {},
        )
        for key, one in videos.items()
    }
