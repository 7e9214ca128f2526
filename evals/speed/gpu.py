"""An hour of video after decoding and encoding, on a GPU and on the CPU of the machine."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from evals.speed.features import long_film
from evals.speed.measure import in_turns
from evals.speed.table import Line, Table
from keyscore_plugin import GridConfig, ProposalConfig, score, select
from keyscore_plugin.algorithm.stacfp import hsv_histograms, propose_features
from keyscore_plugin.types import Candidates, Embeddings, FrameScores, TextEmbedding

_DIMENSION = 768  # of SigLIP 2 base
_K_MAX = 64
_BUDGET = 8
_FPS = GridConfig().sample_fps
_TITLE = "An hour of video on a GPU, after decoding and encoding"


def table(n: int, *, repeats: int, threads: int) -> Table:
    """The time of each stage on both devices; without a GPU only a note that says so.

    Args:
        n: Number of grid frames; 7,200 are an hour at 2 fps.
        repeats: Number of turns.
        threads: Number of threads of torch on the CPU.
    """
    if not torch.cuda.is_available():
        note = f"left out: torch {torch.__version__} sees no GPU on this machine"
        return Table("gpu", _TITLE, [], [note], _KEY)
    torch.set_num_threads(threads)
    gpu = torch.device("cuda")
    on_gpu = measure(n, gpu, wait=torch.cuda.synchronize, repeats=repeats)
    on_cpu = measure(n, torch.device("cpu"), wait=_nothing, repeats=repeats)
    lines: list[Line] = [
        {
            "N": n,
            "what": what,
            "GPU ms": on_gpu[what],
            "CPU ms": on_cpu[what],
            "times faster": on_cpu[what] / on_gpu[what],
        }
        for what in on_gpu
    ]
    notes = (
        f"{torch.cuda.get_device_name(gpu)}; d = {_DIMENSION}, k = 2..{_K_MAX}, {_BUDGET} frames "
        f"selected; thumbnails and embeddings lie on the device already, {threads} threads on the "
        "CPU",
    )
    return Table("gpu", _TITLE, lines, notes, _KEY)


_KEY = ("N", "what")


def measure(
    n: int, device: torch.device, *, wait: Callable[[], None], repeats: int
) -> Mapping[str, float]:
    """The milliseconds of each stage on a device, by name.

    Args:
        n: Number of grid frames.
        device: Device of the pixels and embeddings, which are moved there before.
        wait: Function that returns when the device has finished.
        repeats: Number of turns, whose median counts.
    """
    hour = _Hour(n, device)
    stages: dict[str, Callable[[], object]] = {
        "colours": hour.colours,
        "proposals, all k": hour.proposals,
        "scores": hour.scores,
        "STACFP and KeyScore": hour.stacfp_and_keyscore,
        "selection": hour.selection,
    }
    jobs = {name: partial(_run, stage, wait) for name, stage in stages.items()}
    done = in_turns(jobs, repeats=repeats, warm_up=True)
    return {name: 1e3 * cost.wall for name, (cost, _) in done.items()}


def _run(stage: Callable[[], object], wait: Callable[[], None]) -> None:
    stage()
    wait()


def _nothing() -> None:
    """Wait for the CPU, which has always finished."""


class _Hour:
    """The thumbnails and embeddings of a long film, and the results of each stage."""

    def __init__(self, n: int, device: torch.device) -> None:
        self._pixels = _thumbnails(n).to(device)
        self._times = torch.arange(n, dtype=torch.float64) / _FPS
        generator = torch.Generator().manual_seed(n)
        vectors = functional.normalize(torch.randn(n + 1, _DIMENSION, generator=generator), dim=1)
        vectors = vectors.to(device)
        self._frames = Embeddings(vectors[:n], torch.arange(n), self._times, "random")
        self._text = TextEmbedding(vectors[n], "random", n_tokens=1, max_tokens=1)
        self._histograms, self._candidates, self._scores = (
            self.colours(),
            self.proposals(),
            self.scores(),
        )

    def colours(self) -> Tensor:
        self._histograms = hsv_histograms(self._pixels, bins=ProposalConfig().bins)
        return self._histograms

    def proposals(self) -> Candidates:
        return propose_features(
            self._histograms,
            self._frames.indices,
            self._times,
            ProposalConfig(k_max=min(_K_MAX, len(self._times) - 1)),
        )

    def scores(self) -> FrameScores:
        self._scores = score(self._frames, self._text)
        return self._scores

    def selection(self) -> Tensor:
        return select(self._scores, self._times, num_frames=_BUDGET)

    def stacfp_and_keyscore(self) -> FrameScores:
        self.colours()
        self.proposals()
        return self.scores()


def _thumbnails(n: int) -> Tensor:
    """``(n, h, w, 3)`` frames of a film, as large as thumbnails are."""
    film = long_film(n, seed=n)
    height, width = film.shape[1:3]
    short = GridConfig().short_side
    rows = torch.arange(short) * height // short
    columns = torch.arange(short * 16 // 9) * width // (short * 16 // 9)
    return film[:, rows][:, :, columns]
