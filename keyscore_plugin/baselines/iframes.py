"""I-frames: the codec's own keyframes, thinned or filled up evenly to the budget."""

from torch import Tensor

from keyscore_plugin._runtime.stopwatch import stage
from keyscore_plugin.samplers.choice import Choice
from keyscore_plugin.samplers.pad_selection import pad_evenly
from keyscore_plugin.samplers.run import Run
from keyscore_plugin.samplers.template import SamplerTemplate
from keyscore_plugin.types.spacing import uniform_indices


def iframes(keyframes: Tensor, pts_seconds: Tensor, *, num_frames: int) -> Tensor:
    """The codec's keyframes, exactly min(k, n) frames of the video.

    Of more than k, those at the middle of k equal bins of their list are kept; fewer are all kept,
    and others are added evenly in time. Both rules are ours: other users of I-frames take all of
    them, or the first k.

    Args:
        keyframes: ``(m,)`` rising frame indices.
        pts_seconds: ``(n,)`` times of all frames.
        num_frames: The budget k.

    Example:
        >>> import torch
        >>> iframes(torch.tensor([0, 12, 24, 36]), torch.arange(48.0), num_frames=2)
        tensor([12, 36])
    """
    if len(keyframes) > num_frames:
        positions = keyframes.new_tensor(range(len(keyframes))).double()
        return keyframes[uniform_indices(positions, num_frames)]
    return pad_evenly(keyframes, pts_seconds, num_frames)


class IFramesSampler(SamplerTemplate):
    """The cheapest content-aware choice: an encoder puts a keyframe where the scene cuts.

    It reads no text and decodes nothing: positions and times are in the container. A note counts
    the frames that were added.
    """

    name = "iframes"

    def _choose(self, run: Run) -> Choice:
        with stage("decode"):
            keyframes, times = run.source.keyframes(), run.source.pts_seconds()
        with stage("select"):
            rows = iframes(keyframes, times, num_frames=run.request.at_least)
        n_added = len(rows) - len(keyframes)
        note = f"{n_added} of {len(rows)} frames were added evenly: the video has no more I-frames"
        return Choice(
            indices=rows,
            pts_seconds=times[rows],
            notes=(note,) if n_added > 0 else (),
        )
