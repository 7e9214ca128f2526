"""``python -m evals.needle.sweep``: change one setting of KeyScore at a time, on the tuning split.

Each video is decoded and embedded once, and clustered once for each setting of STACFP. Scoring and
selection are repeated with the functions that the sampler `keyscore` calls: to call the sampler for
each of the 22,000 combinations of query, budget and setting would take far longer.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import astuple, fields, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from evals.needle.embedded import EmbeddedVideo, add_embedding_options, embedded_videos
from evals.needle.metrics import Figures, judge, mean_figures
from keyscore_plugin import (
    EncodeConfig,
    ProposalConfig,
    SamplerConfig,
    ScoreConfig,
    SelectConfig,
    load_encoder,
    score,
    select,
)
from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.samplers.encoding import rows_worth_encoding
from keyscore_plugin.types import Candidates, Embeddings, TextEmbedding

_BUDGETS = (1, 4, 8, 16)
_MAX_ENCODED = (32, 48, 64, 96, 128)
# If every frame is embedded, the clusters only mark the scenes. The effect of STACFP shows if few
# are embedded, because its candidates come first.
_FEW_ENCODED = 32
_PROPOSAL: dict[str, tuple[Any, ...]] = {
    "gamma_time": (0.0, 5.0, 20.0, 40.0),
    "bins": ((4, 2, 2), (16, 4, 4), (16, 8, 8)),
}
_WEIGHTS = ((1.0, 0.0, 0.0), (0.0, 0.0, 1.0), (0.8, 0.2, 0.0), (0.5, 0.0, 0.5), (0.4, 0.2, 0.4))
_SELECT: dict[str, tuple[float, ...]] = {
    "sharpness": (1.5, 2.5, 3.5),
    "near_seconds": (0.5, 1.5, 2.0),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each setting; returns the exit code."""
    try:
        _sweep(_parse(argv))
    except KeyScoreError as error:
        print(f"needle.sweep: {error}", file=sys.stderr)
        return 2
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m evals.needle.sweep", description=__doc__)
    add_embedding_options(parser)
    parser.add_argument(
        "--text-noise",
        type=float,
        default=0.0,
        help="length of a random vector that is added to each unit text vector, which makes the "
        "encoder worse (default: 0)",
    )
    return parser.parse_args(argv)


def _sweep(options: argparse.Namespace) -> None:
    encoder = load_encoder(options.encoder, device=options.device)
    embedded = [*embedded_videos(options.root, encoder)]
    rng = torch.Generator().manual_seed(0)
    texts = [
        [
            _with_noise(encoder.encode_text(needle.caption), options.text_noise, rng)
            for needle in one.video.needles
        ]
        for one in embedded
    ]
    print("Cells: " + ", ".join(f.name for f in fields(Figures)) + "\n")
    print(f"| setting | {' | '.join(map(str, _BUDGETS))} |\n|---|{'---|' * len(_BUDGETS)}")
    for label, config in settings():
        print(f"| {label} | {_measure(embedded, texts, config)} |", flush=True)


def settings() -> Iterator[tuple[str, SamplerConfig]]:
    """The default settings, then the default with one setting changed."""
    yield "default", SamplerConfig()
    for alpha, beta, gamma in _WEIGHTS:
        weights = ScoreConfig(alpha=alpha, beta=beta, gamma=gamma)
        yield f"S, T, D = {alpha:g}, {beta:g}, {gamma:g}", SamplerConfig(score=weights)
    for name, values in _SELECT.items():
        for value in values:
            yield f"{name} = {value:g}", SamplerConfig.from_dict({"select": {name: value}})
    for max_encoded in _MAX_ENCODED:
        yield f"max_encoded = {max_encoded}", SamplerConfig(encode=EncodeConfig(max_encoded))
    yield "policy = top", SamplerConfig(select=SelectConfig(policy="top"))
    few = EncodeConfig(_FEW_ENCODED)
    for name, choices in _PROPOSAL.items():
        for choice in choices:
            proposal = replace(ProposalConfig(), **{name: choice})
            label = f"{name} = {choice:g}" if isinstance(choice, float) else f"{name} = {choice}"
            yield label, SamplerConfig(proposal=proposal)
            label = f"max_encoded = {_FEW_ENCODED}, {label}"
            yield label, SamplerConfig(proposal=proposal, encode=few)


def _with_noise(text: TextEmbedding, length: float, rng: torch.Generator) -> TextEmbedding:
    noise = F.normalize(torch.randn(text.vector.shape, generator=rng), dim=-1)
    vector = F.normalize(text.vector + length * noise.to(text.vector.device), dim=-1)
    return replace(text, vector=vector)


def _measure(
    videos: Sequence[EmbeddedVideo],
    texts: Sequence[Sequence[TextEmbedding]],
    config: SamplerConfig,
) -> str:
    """The figures of one setting, a cell for each budget."""
    cells = []
    for budget in _BUDGETS:
        figures = [
            judge(_search(one, text, budget, config), needle)
            for one, asked in zip(videos, texts, strict=True)
            for text, needle in zip(asked, one.video.needles, strict=True)
        ]
        cells.append(" ".join(f"{value:.2f}" for value in astuple(mean_figures(figures))))
    return " | ".join(cells)


def _search(
    one: EmbeddedVideo, text: TextEmbedding, budget: int, config: SamplerConfig
) -> list[float]:
    """The times of the frames that KeyScore chooses for one text."""
    candidates = one.candidates(config.proposal)
    encoded = _encoded_rows(one, candidates, text, max(config.encode.max_encoded, budget))
    frames = Embeddings(
        one.frames.vectors[encoded],
        one.frames.indices[encoded],
        one.frames.pts_seconds[encoded],
        one.frames.model,
    )
    rows = select(
        score(frames, text, config.score),
        frames.pts_seconds,
        num_frames=budget,
        duration_seconds=one.duration_seconds,
        config=config.select,
    )
    times: list[float] = frames.pts_seconds[rows.cpu()].tolist()
    return times


def _encoded_rows(
    one: EmbeddedVideo, candidates: Candidates, text: TextEmbedding, n_encoded: int
) -> Tensor:
    """The rows that the sampler would embed for this text."""
    if n_encoded >= len(one.frames):
        return torch.arange(len(one.frames))
    first = candidates.rows
    cosines = (one.frames.vectors[first] @ text.vector).cpu()
    more = rows_worth_encoding(
        candidates,
        cosines,
        one.histograms,
        one.frames.pts_seconds,
        n_more=n_encoded - len(first),
    )
    return torch.cat([first, more]).sort().values


if __name__ == "__main__":
    sys.exit(main())
