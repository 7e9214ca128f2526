"""Train LLMVS's head on TVSum or SumMe, and test it. Details: evals/summaries/README.md."""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import torch

from evals.harness.data import file_digest, parse_json
from evals.harness.main import names, root_of
from evals.harness.records import claim
from evals.harness.result import Result
from evals.harness.versions import provenance
from evals.summaries.data import (
    CSTA,
    DATASETS,
    LAYOUT,
    PGL_SUM,
    SOURCE,
    DataSet,
    annotation_files,
    h5_path,
    read_data_set,
)
from evals.summaries.embeddings import (
    Embedded,
    embed_videos,
    read_embeddings,
    read_targets,
    shuffled,
)
from evals.summaries.heads import HEAD, SHUFFLED, Job, rows_of, train_all
from evals.summaries.training import RATES, Example, Recipe
from keyscore_plugin import HeadCard, HeadShape, get_sampler
from keyscore_plugin.errors import InputError, KeyScoreError
from keyscore_plugin.hosts import (
    captioner_weights,
    resolve_device,
    weights_identity,
    write_whole,
)

T = TypeVar("T", Recipe, HeadShape)


def main(argv: Sequence[str] | None = None) -> int:
    """Embed, train, test and write the table; returns the exit code."""
    options = _parser().parse_args(argv)
    command = shlex.join(["python", "-m", "evals.summaries.fit", *(argv or sys.argv[1:])])
    try:
        print(_run(options, command), end="")
    except KeyScoreError as error:
        print(f"summaries.fit: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("summaries.fit: interrupted; run the same command again to resume", file=sys.stderr)
        return 130
    print(f"written to {options.out}", file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evals.summaries.fit", description=__doc__)
    parser.add_argument("--root", type=Path, help="folder of the data set")
    parser.add_argument(
        "--dataset", choices=list(DATASETS), required=True, help="data set in --root"
    )
    parser.add_argument(
        "--splits",
        choices=[PGL_SUM, CSTA],
        default=PGL_SUM,
        help="training and test videos: PGL-SUM's, which LLMVS uses, or CSTA's, which test every "
        f"video once (default: {PGL_SUM})",
    )
    parser.add_argument("--captioner", help="model that describes frames: labels, an id, a folder")
    parser.add_argument("--language-model", help="model that reads the captions: an id, a folder")
    parser.add_argument(
        "--llmvs",
        default="{}",
        help='other settings of llmvs as JSON, such as {"answer": "generate"}',
    )
    parser.add_argument(
        "--embeddings",
        type=Path,
        help="instead of the videos: an h5 file with features and picks of each video",
    )
    parser.add_argument(
        "--shape",
        default="{}",
        help='sizes of the head as JSON, such as {"position": "time"} (default: as published)',
    )
    parser.add_argument(
        "--recipe", default="{}", help='settings of the training as JSON, such as {"epochs": 50}'
    )
    parser.add_argument("--seeds", default="0", help="seeds of the heads, such as 0,1,2")
    parser.add_argument(
        "--select-on",
        choices=["train", "test"],
        default="train",
        help="videos that choose the checkpoint: a part of the training videos, or the test videos "
        "as published, to see what that buys (default: train)",
    )
    parser.add_argument(
        "--random-targets",
        action="store_true",
        help="learn random numbers instead of the annotations: what is left is chance",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda ... (default: auto)")
    parser.add_argument("--decoder", default="auto", help="as `keyscore list` shows them")
    parser.add_argument("--leave-out", default="", help="keys of videos to skip, with commas")
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("runs", "summaries-fit"),
        help="folder of the run; an interrupted run is resumed (default: runs/summaries-fit)",
    )
    return parser


def _run(options: argparse.Namespace, command: str) -> str:
    root = root_of(options, source=SOURCE, layout=LAYOUT)
    left_out = names(options.leave_out)
    data = read_data_set(
        options.dataset,
        root,
        with_splits=True,
        with_titles=False,
        left_out=left_out,
        with_videos=options.embeddings is None,
    )
    recipe = _parsed(Recipe, options, "recipe", {"rate": RATES[options.dataset]})
    shape = _parsed(HeadShape, options, "shape", {})
    sampler, card = _models(options)
    settings = _settings(options, root, data, recipe, sampler)
    claim(options.out, settings)
    embedded = _embedded(options, data, left_out, sampler)
    shape = replace(shape, d_in=_width(embedded))
    job = Job(
        data=data,
        protocol=options.splits,
        seeds=_seeds(options),
        examples=_examples(options, root, data, embedded),
        embedded=embedded,
        shape=shape,
        recipe=recipe,
        select_on=options.select_on,
        card=HeadCard(shape=shape, command=command, **card),
        device=resolve_device(options.device),
    )
    rows = rows_of(job, train_all(job, options.out), seed=0)
    result = Result("summaries.fit", settings, provenance(), left_out, rows)
    text = json.dumps(result.to_dict(), indent=1, ensure_ascii=False)
    write_whole(options.out / "result.json", f"{text}\n".encode())
    write_whole(options.out / "table.md", result.to_markdown().encode())
    return result.to_markdown()


def _settings(
    options: argparse.Namespace, root: Path, data: DataSet, recipe: Recipe, sampler: Any
) -> dict[str, Any]:
    """All that decides the figures, as plain JSON values; files by their content."""
    embeddings: Path | None = options.embeddings
    return {
        "dataset": data.name,
        "videos": list(data.videos),
        "splits": {options.splits: list(map(list, data.splits[options.splits]))},
        "captioner": options.captioner,
        "language_model": options.language_model,
        "llmvs": _json(options, "llmvs"),
        "weights": _weights(options, sampler),
        "annotations_sha256": {
            file.name: file_digest(root / file) for file in annotation_files(data.name)
        },
        "embeddings": None if embeddings is None else embeddings.name,
        "embeddings_sha256": None if embeddings is None else file_digest(embeddings),
        "shape": _json(options, "shape"),
        "recipe": recipe.to_dict(),
        "seeds": _seeds(options),
        "select_on": options.select_on,
        "random_targets": options.random_targets,
        "left_out": names(options.leave_out),
    }


def _weights(options: argparse.Namespace, sampler: Any) -> dict[str, str | None]:
    """What identifies the weights of the loaded models, by role; empty if embeddings are given."""
    if sampler is None:
        return {}
    return {
        "captioner": captioner_weights(options.captioner),
        "language model": weights_identity(sampler.config.llmvs.model),
    }


def _json(options: argparse.Namespace, name: str) -> dict[str, Any]:
    values = parse_json(getattr(options, name), where=f"--{name}")
    if not isinstance(values, dict):
        raise InputError(f"--{name} is not a JSON object; give one such as '{{}}'")
    return values


def _parsed(kind: type[T], options: argparse.Namespace, name: str, defaults: dict[str, Any]) -> T:
    """Settings of a kind from the JSON of an option."""
    try:
        return kind(**defaults | _json(options, name))
    except TypeError as error:  # an unknown name, or a value of another type
        raise InputError(
            f"--{name} does not fit a {kind.__name__} ({error}); give numbers by the names "
            f"{', '.join(kind.__dataclass_fields__)}"
        ) from error


def _seeds(options: argparse.Namespace) -> list[int]:
    seeds = names(options.seeds)
    if not seeds or not all(seed.isdecimal() for seed in seeds):
        raise InputError(f"--seeds: expected whole numbers, got {options.seeds!r}; give 0,1,2")
    return [int(seed) for seed in seeds]


def _models(options: argparse.Namespace) -> tuple[Any, dict[str, Any]]:
    """The sampler that embeds, with its models loaded, and what a card says of them.

    The sampler is None if embeddings are given.

    Raises:
        ModelError: A model is not named, or does not load.
    """
    if options.embeddings is not None:
        origin = f"embeddings of {options.embeddings.name}"
        return None, {"model": origin, "captioner": origin}
    config = {"model": options.language_model, **_json(options, "llmvs")}
    sampler: Any = get_sampler(
        "llmvs", config={"llmvs": config}, captioner=options.captioner, device=options.device
    )
    return sampler, {
        "model": sampler.scorer.reader.name,
        "captioner": sampler.describer.model,
        "embedding": {
            name: getattr(sampler.config.llmvs, name) for name in ("reading", "answer", "window")
        },
    }


def _embedded(
    options: argparse.Namespace, data: DataSet, left_out: Sequence[str], sampler: Any
) -> dict[str, Embedded]:
    """The embeddings by key."""
    videos = {key: video for key, video in data.videos.items() if key not in left_out}
    if options.embeddings is not None:
        annotations = {key: video.annotation for key, video in videos.items()}
        return read_embeddings(options.embeddings, annotations)
    return embed_videos(videos, sampler, options.out / "embeddings", decoder=options.decoder)


def _width(embedded: dict[str, Embedded]) -> int:
    return int(next(iter(embedded.values())).embeddings.shape[1])


def _examples(
    options: argparse.Namespace, root: Path, data: DataSet, embedded: dict[str, Embedded]
) -> dict[str, dict[str, Example]]:
    annotations = {key: data.videos[key].annotation for key in embedded}
    targets = read_targets(root / h5_path(data.name), annotations)
    if options.random_targets:
        random = torch.Generator().manual_seed(0)
        targets = {key: torch.rand(len(one), generator=random) for key, one in targets.items()}

    def examples(videos: dict[str, Embedded]) -> dict[str, Example]:
        return {
            key: Example(key, one.embeddings, one.pts_seconds - one.pts_seconds[0], targets[key])
            for key, one in videos.items()
        }

    return {HEAD: examples(embedded), SHUFFLED: examples(shuffled(embedded, seed=0))}


if __name__ == "__main__":
    sys.exit(main())
