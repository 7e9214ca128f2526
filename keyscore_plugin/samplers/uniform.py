"""Uniform sampling, the baseline of the field: the frame in the middle of each of k equal bins."""

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.types.spacing import uniform_indices


class UniformSampler(SamplerTemplate):
    """Frames evenly in time, at mid-bins; it needs no text and decodes nothing."""

    name = "uniform"

    def _choose(self, run: Run) -> Choice:
        return even_choice(run)


def even_choice(run: Run) -> Choice:
    """Even frames; nothing is decoded for them."""
    source = run.source
    with stage("select"):
        indices = uniform_indices(
            source.pts_seconds(),
            run.request.at_least,
            duration_seconds=source.duration_seconds,
        )
    return Choice(indices=indices, pts_seconds=source.pts_seconds(indices))
