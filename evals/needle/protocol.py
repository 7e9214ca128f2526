"""Every sampler, budget and query over the same videos, embedded once."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tqdm import tqdm

from evals.needle.cache import CachedEncoder, CachedSource
from evals.needle.data import NeedleVideo
from evals.needle.metrics import Figures, judge, mean_figures
from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.samplers.base import Sampler, get_sampler
from keyscore_plugin.video import open_video


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one sampler at one budget, over all queries."""

    sampler: str
    num_frames: int
    n_queries: int
    figures: Figures


def run(
    videos: Iterable[NeedleVideo],
    *,
    samplers: Sequence[str],
    budgets: Sequence[int],
    encoder: Encoder,
    config: SamplerConfig,
    n_videos: int,
) -> list[Row]:
    """Measure samplers.

    Args:
        videos: What to search; made while they are asked for.
        samplers: Names that `get_sampler` knows.
        budgets: Values of ``num_frames``.
        encoder: Shared by all samplers.
        config: Shared by all samplers.
        n_videos: For the progress bar.

    Returns:
        One row a sampler and budget, in the order asked for.

    Raises:
        KeyScoreError: A sampler is unknown, or a package with the material is missing.
    """
    for name in samplers:
        get_sampler(name)  # a wrong name shows before a video is made
    judged: dict[tuple[str, int], list[Figures]] = defaultdict(list)
    for video in tqdm(videos, total=n_videos, desc="needle", unit="video"):
        # An encoder of its own for each video: frames are remembered by their index.
        cached = CachedEncoder(encoder)
        with CachedSource(open_video(video.path)) as source:
            for name in samplers:
                sampler = get_sampler(name, config=config, encoder=cached)
                for budget in budgets:
                    judged[name, budget] += _search(sampler, source, video, budget=budget)
    return [
        Row(name, budget, len(figures), mean_figures(figures))
        for (name, budget), figures in judged.items()
    ]


def _search(
    sampler: Sampler, source: CachedSource, video: NeedleVideo, *, budget: int
) -> list[Figures]:
    """Ask for every needle of one video; once for all when the sampler reads no text."""
    if not sampler.needs_text:
        selection = sampler(source, num_frames=budget)
        return [judge(selection.pts_seconds, needle) for needle in video.needles]
    return [
        judge(sampler(source, num_frames=budget, caption=needle.caption).pts_seconds, needle)
        for needle in video.needles
    ]
