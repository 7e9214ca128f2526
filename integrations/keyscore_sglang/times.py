"""The positions of a Qwen2.5-VL prompt whose videos have frames of known times."""

from collections.abc import Sequence

from torch import Tensor

_ROUNDING = 1e-6  # a time such as 0.3 * 10 falls just short of its whole number in binary


def retimed(
    positions: Tensor,
    video_rows: Tensor,
    grids: Sequence[tuple[int, int]],
    patch_seconds: Sequence[Tensor | None],
    *,
    tokens_per_second: float,
) -> tuple[Tensor, int]:
    """Positions in which each temporal patch of a video is at its own time.

    The rule is that of transformers: a patch is at the start of its video plus
    floor(seconds * tokens_per_second), and what follows the video begins after its last position.

    Args:
        positions: ``(3, n)`` temporal, vertical and horizontal positions by SGLang's rule.
        video_rows: ``(m,)`` rising columns of the visual tokens of all videos.
        grids: For each video its temporal patches, and the visual tokens of each.
        patch_seconds: For each video ``(t,)`` float64 times of its patches; None leaves its
            positions as they are.
        tokens_per_second: Positions per second of the model.

    Returns:
        ``(3, n)`` positions, and by how much those at the end have moved.
    """
    positions, moved = positions.clone(), 0
    for (n_patches, n_tokens), seconds in zip(grids, patch_seconds, strict=True):
        rows, video_rows = video_rows[: n_patches * n_tokens], video_rows[n_patches * n_tokens :]
        if seconds is None:
            continue
        last = int(positions[:, rows].max())
        steps = ((seconds - seconds[0]) * tokens_per_second + _ROUNDING).floor().long()
        positions[0, rows] = positions[0, rows].min() + steps.repeat_interleave(n_tokens)
        shift = int(positions[:, rows].max()) - last
        positions[:, int(rows[-1]) + 1 :] += shift
        moved += shift
    return positions, moved
