"""KeyScore in closed form against a loop over eq. 4, which pools the video anew for each frame."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from evals.speed.measure import in_turns
from evals.speed.table import Cell, Table
from keyscore_plugin import score
from keyscore_plugin.types import Embeddings, TextEmbedding

_DIMENSION = 768  # of SigLIP 2 base


def table(sizes: Sequence[int], *, repeats: int, threads: int) -> Table:
    """The time of both, and the largest difference of their drop impacts."""
    torch.set_num_threads(threads)
    return Table(
        "scoring",
        f"KeyScore (all of eq. 1-4) against a literal loop over eq. 4 alone, d = {_DIMENSION}",
        [_line(n, repeats=repeats) for n in sizes],
        ("Both in torch, in float64.",),
        ("T",),
    )


def _line(n: int, *, repeats: int) -> dict[str, Cell]:
    generator = torch.Generator().manual_seed(n)
    vectors = functional.normalize(torch.randn(n, _DIMENSION, generator=generator), dim=1)
    text = functional.normalize(torch.randn(_DIMENSION, generator=generator), dim=0)
    jobs = {"ours": partial(_ours, vectors, text), "loop": partial(_loop, vectors, text)}
    done = in_turns(jobs, repeats=repeats, warm_up=True)
    (ours, our_drops), (loop, loop_drops) = done["ours"], done["loop"]
    return {
        "T": n,
        "KeyScore ms": 1e3 * ours.wall,
        "loop ms": 1e3 * loop.wall,
        "times faster": loop.wall / ours.wall,
        "times faster CPU": loop.cpu / ours.cpu,
        "largest difference": float((our_drops - loop_drops).abs().max()),
    }


def _ours(vectors: Tensor, text: Tensor) -> Tensor:
    times = torch.arange(len(vectors), dtype=torch.float64)
    frames = Embeddings(vectors, times.long(), times, "random")
    return score(frames, TextEmbedding(text, "random", n_tokens=1, max_tokens=1)).drop_raw.double()


def _loop(vectors: Tensor, text: Tensor) -> Tensor:
    """Eq. 4: S_drop(i) = cos(v, t) - cos(v^(-i), t), one frame after the other."""
    frames, target = vectors.double(), text.double()
    whole = functional.cosine_similarity(frames.mean(0), target, dim=0)
    drops = []
    for i in range(len(frames)):
        without = torch.cat([frames[:i], frames[i + 1 :]]).mean(0)
        drops.append(whole - functional.cosine_similarity(without, target, dim=0))
    return torch.stack(drops)
