"""Random frames, seeded: the baseline that every table of selectors needs."""

from dataclasses import dataclass

import torch
from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.baselines.settings import PublishedSampler
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.run import Run


@dataclass(frozen=True, slots=True)
class RandomSettings:
    """Settings of `random_rows`.

    Attributes:
        seed: Seed of the draw; a table should average over several.
    """

    seed: int = 0


def random_rows(n: int, *, num_frames: int, settings: RandomSettings) -> Tensor:
    """``(min(k, n),)`` rising rows of n; every set of them is equally likely.

    Example:
        >>> len(random_rows(100, num_frames=8, settings=RandomSettings(seed=1)))
        8
    """
    generator = torch.Generator().manual_seed(settings.seed)
    return torch.randperm(n, generator=generator)[:num_frames].sort().values


class RandomSampler(PublishedSampler[RandomSettings]):
    """Any frames of the video; reads no text and decodes nothing."""

    name = "random"
    defaults = RandomSettings()

    def _choose(self, run: Run) -> Choice:
        with stage("select"):
            times = run.source.pts_seconds()
            rows = random_rows(len(times), num_frames=run.request.at_least, settings=self.settings)
        return Choice(indices=rows, pts_seconds=times[rows])
