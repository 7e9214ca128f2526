"""The chapters of a video: scenes that follow one another and look alike, joined."""

from torch import Tensor

from keyscore_plugin.errors import InputError

# PeakClips, the data set of K-frames, has 108,221 scenes in 19,070 chapters. How scenes are joined
# there is not published; the rule here is ours.
_SCENES_PER_CHAPTER = 108_221 / 19_070


def chapters(vectors: Tensor) -> list[int]:
    """Join the scenes of a video to chapters, one for every 5.7 scenes, at least one.

    Of neighbouring chapters the two are joined whose union raises the sum of squared distances to
    the chapters' means least (Ward 1963), until there are few enough. At first every scene is a
    chapter.

    Args:
        vectors: ``(m, d)`` embedding of each scene, in time order.

    Returns:
        The chapter of each scene, from 0 on and rising.

    Raises:
        InputError: There is no scene.

    Example:
        >>> import torch
        >>> chapters(torch.tensor([[1.0], [1.1], [5.0], [1.0]] + [[9.0]] * 5))
        [0, 0, 0, 0, 1, 1, 1, 1, 1]
    """
    if vectors.ndim != 2 or len(vectors) == 0:
        raise InputError(
            f"chapters needs an (m, d) tensor of one scene or more, got {tuple(vectors.shape)}"
        )
    means = list(vectors.double().cpu())
    sizes = [1] * len(means)
    n_chapters = max(1, round(len(means) / _SCENES_PER_CHAPTER))
    while len(means) > n_chapters:
        costs = [
            sizes[row] * sizes[row + 1] / (sizes[row] + sizes[row + 1]) * _square(means, row)
            for row in range(len(means) - 1)
        ]
        row = costs.index(min(costs))  # of equal costs the first, so that runs agree
        size = sizes[row] + sizes[row + 1]
        joined = (sizes[row] * means[row] + sizes[row + 1] * means[row + 1]) / size
        means[row : row + 2] = [joined]
        sizes[row : row + 2] = [size]
    return [chapter for chapter, size in enumerate(sizes) for _ in range(size)]


def _square(means: list[Tensor], row: int) -> float:
    return float((means[row + 1] - means[row]).square().sum())
