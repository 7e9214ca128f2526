"""Uniform sampling, the baseline of the field: the frame in the middle of each of k equal bins."""

from keyscore_plugin.samplers.request import SelectionRequest, Stopwatch
from keyscore_plugin.samplers.template import Choice, SamplerTemplate
from keyscore_plugin.video.source import VideoSource, uniform_indices


class UniformSampler(SamplerTemplate):
    """Evenly in time, at mid-bins; reads no text and decodes nothing."""

    name = "uniform"

    def _choose(self, source: VideoSource, request: SelectionRequest, clock: Stopwatch) -> Choice:
        with clock.stage("select"):
            indices = uniform_indices(
                source.pts_seconds(),
                request.at_least,
                duration_seconds=source.duration_seconds,
            )
        return Choice(
            indices=indices,
            pts_seconds=source.pts_seconds(indices),
        )
