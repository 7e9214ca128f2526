"""``python -m evals.needle.joins``: several texts joined in several ways, on the tuning split.

Every frame of the grid is embedded. Scores and selection are those of the sampler `keyscore`, by
the functions that it calls; pictures do not come again here more often than the budget has frames.
"""

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from evals.needle.asks import Ask, ask_for
from evals.needle.embedded import EmbeddedVideo, add_embedding_options, embedded_videos
from evals.needle.lines import lines_of
from evals.needle.metrics import Figures, judge, mean_figures
from evals.needle.sources import FOOTAGE, HELD_OUT
from keyscore_plugin import (
    Encoder,
    FrameScores,
    ScoreConfig,
    SelectConfig,
    load_encoder,
    score,
    select,
)
from keyscore_plugin.errors import KeyScoreError
from keyscore_plugin.samplers.keyscore import config_for_texts
from keyscore_plugin.samplers.parts import parts_of
from keyscore_plugin.samplers.query import Query, score_texts
from keyscore_plugin.types import Join, QueryText, TextEmbedding
from keyscore_plugin.video.samples.joined import Needle, NeedleVideo

_BUDGETS = (4, 8)
_N_OPTIONS = 4
# Captions of pictures that the tuning split does not have.
_WRONG = tuple(source.caption for split in (FOOTAGE, HELD_OUT) for source in split.sources)


@dataclass(frozen=True, slots=True)
class Asked:
    """The texts of one call, and what they should find.

    Attributes:
        needle: Needle that they should find.
        captions: Captions of the call.
        questions: Questions of the call.
        join: Join of several texts; ``"mean"`` averages their scores instead.
        ask: Kind of query, by which `judge` decides what a hit is.
    """

    needle: Needle
    captions: tuple[str, ...]
    questions: tuple[str, ...] = ()
    join: Join | Literal["mean"] = "any"
    ask: Ask = "one"

    @property
    def texts(self) -> tuple[str, ...]:
        """All texts, captions first."""
        return (*self.captions, *self.questions)


def asked_of(video: NeedleVideo, *, order: int) -> Iterator[tuple[str, Asked]]:
    """The calls about a video, each after the name of its kind.

    Args:
        video: A video with one needle a clip.
        order: Number of the video, which decides its groups of two and its options.
    """
    for needle in ask_for(video, "two", seed=order).needles:
        two = Asked(needle, needle.texts, join="all", ask="two")
        yield "two: a list", two
        yield "two: a list, `any`", replace(two, join="any")
        in_order = sorted(zip(needle.spans, needle.texts, strict=True))
        yield (
            "two: `then`, in their order",
            replace(two, captions=tuple(text for _, text in in_order), join="then"),
        )
        yield "two: mean of the scores", replace(two, join="mean")
        text = " and ".join(needle.texts)
        yield "two: one text with an `and`", replace(two, captions=(text,))
        yield (
            "two: the same, `split=parts`",
            replace(two, captions=parts_of(text, "parts"), join="any"),
        )
    elsewhere = lines_of("said", len(video.needles), order=order)
    rng = np.random.default_rng(order)
    for needle, line in zip(video.needles, elsewhere, strict=True):
        one = Asked(needle, (needle.caption,))
        yield "one", one
        both = replace(one, questions=(line.question,))
        yield "one, and a question that names nothing there", both
        yield "the same, mean of the scores", replace(both, join="mean")
        parts = parts_of(needle.caption, "parts")
        if len(parts) > 1:
            yield "one, in a sentence with a conjunction", one
            yield "the same, `split=parts`", replace(one, captions=parts)
        question = _with_options(needle.caption, rng)
        yield (
            "four options, one of them there",
            replace(one, captions=(), questions=parts_of(question, "options")),
        )
        yield "the same, as one text", replace(one, captions=(), questions=(question,))


def _with_options(right: str, rng: np.random.Generator) -> str:
    options = [*rng.choice(_WRONG, _N_OPTIONS - 1, replace=False)]
    options.insert(int(rng.integers(_N_OPTIONS)), right)
    lettered = (f"{letter}. {text}" for letter, text in zip("ABCD", options, strict=True))
    return "\n".join(("What is shown?", *lettered))


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each kind of call; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m evals.needle.joins", description=__doc__)
    add_embedding_options(parser)
    options = parser.parse_args(argv)
    try:
        encoder = load_encoder(options.encoder, device=options.device)
        print_table([*embedded_videos(options.root, encoder)], encoder)
    except KeyScoreError as error:
        print(f"needle.joins: {error}", file=sys.stderr)
        return 2
    return 0


def print_table(videos: Sequence[EmbeddedVideo], encoder: Encoder) -> None:
    """Print the hit and the share within 1 s of each kind of call, by budget."""
    embed = cache(encoder.encode_text)
    found: dict[str, dict[int, list[Figures]]] = defaultdict(lambda: defaultdict(list))
    for order, one in enumerate(videos):
        for kind, asked in asked_of(one.video, order=order):
            scores = _scores(one, asked, [embed(text) for text in asked.texts])
            for budget in _BUDGETS:
                times = _chosen(one, scores, budget, n_texts=len(asked.texts))
                found[kind][budget].append(judge(times, asked.needle, ask=asked.ask))
    print(f"| cells: hit, 1 s | n | {' | '.join(map(str, _BUDGETS))} |")
    print(f"|---|---|{'---|' * len(_BUDGETS)}")
    for kind, by_budget in found.items():
        means = [mean_figures(by_budget[budget]) for budget in _BUDGETS]
        cells = " | ".join(f"{mean.hit:.2f} {mean.coverage_1s:.2f}" for mean in means)
        print(f"| {kind} | {len(by_budget[_BUDGETS[0]])} | {cells} |")


def _scores(one: EmbeddedVideo, asked: Asked, texts: Sequence[TextEmbedding]) -> FrameScores:
    if asked.join == "mean":
        each = [score(one.frames, text, ScoreConfig()) for text in texts]
        return replace(each[0], total=torch.stack([scores.total for scores in each]).mean(dim=0))
    named = (
        *(QueryText(text, "caption") for text in asked.captions),
        *(QueryText(text, "question") for text in asked.questions),
    )
    query = Query(embeddings=tuple(texts), texts=named, join=asked.join)
    return score_texts(one.frames, query, ScoreConfig())[0]


def _chosen(one: EmbeddedVideo, scores: FrameScores, budget: int, *, n_texts: int) -> list[float]:
    rows: Tensor = select(
        scores,
        one.frames.pts_seconds,
        num_frames=budget,
        duration_seconds=one.duration_seconds,
        config=config_for_texts(SelectConfig(), n_texts),
    )
    times: list[float] = one.frames.pts_seconds[rows.cpu()].tolist()
    return times


if __name__ == "__main__":
    sys.exit(main())
