"""Compare half precision with full precision."""

import torch

from keyscore_plugin.algorithm.scoring import score
from keyscore_plugin.encoders.base import Encoder
from keyscore_plugin.types import Frames, FrameScores


def assert_half_scores_as_whole(
    half: Encoder, whole: Encoder, frames: Frames, *, atol: float
) -> tuple[FrameScores, FrameScores]:
    """Half precision gives unit vectors in float32 still, and the same fits to a text.

    Args:
        half: An encoder that computes with 16 bits.
        whole: The same with 32.
        frames: Of different pictures.
        atol: The largest difference between two cosines.

    Returns:
        The scores by half precision, and those by whole.
    """
    vectors = half.encode_frames(frames).vectors
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(len(frames.pixels)))
    by_half, by_whole = (
        score(encoder.encode_frames(frames), encoder.encode_text("a red cat"))
        for encoder in (half, whole)
    )
    torch.testing.assert_close(by_half.semantic_raw, by_whole.semantic_raw, atol=atol, rtol=0)
    return by_half, by_whole
