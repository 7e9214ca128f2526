"""Embeddings of videos and texts, and their exact form in a record."""

import base64
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional as F

from evals.harness.figures import Floats
from keyscore_plugin import Encoder, VideoSource

_BATCH_FRAMES = 16  # ours: 100 MB of full-HD frames
# The order of summation changes the last bits of float64. Rounding removes them, so that equal
# texts and equal videos tie.
_DECIMALS = 12


class ShownFrames:
    """The frames of one video at full size, as a model would see them, each embedded once.

    A sampler reads thumbnails. The chosen frames are read again at full size, so that their
    vectors do not depend on which samplers are compared.

    Args:
        source: Open video.
        encoder: Encoder of the frames.
    """

    def __init__(self, source: VideoSource, encoder: Encoder) -> None:
        self._source = source
        self._encoder = encoder
        self._vectors: dict[int, Tensor] = {}

    def mean(self, indices: Sequence[int]) -> Tensor:
        """The vector of the video: the normalised mean of the unit embeddings of some frames.

        This is the parameter-free "meanP" of CLIP4Clip (Luo et al., 2021, arXiv 2104.08860) and
        the average over frames of PE.

        Returns:
            ``(d,)`` float64 vector on the CPU.
        """
        new = [index for index in indices if index not in self._vectors]
        for start in range(0, len(new), _BATCH_FRAMES):
            frames = self._source.read(new[start : start + _BATCH_FRAMES])
            embeddings = self._encoder.encode_frames(frames)
            vectors = embeddings.vectors.cpu().double()
            self._vectors.update(zip(embeddings.indices.tolist(), vectors, strict=True))
        return F.normalize(torch.stack([self._vectors[i] for i in indices]).mean(0), dim=0)


def embed_texts(texts: Sequence[str], encoder: Encoder) -> tuple[Tensor, int]:
    """``(n, d)`` float64 unit vectors on the CPU, and the number of texts that were cut."""
    embeddings = [encoder.encode_text(text) for text in texts]
    vectors = torch.stack([embedding.vector for embedding in embeddings]).cpu().double()
    return vectors, sum(embedding.n_tokens_cut > 0 for embedding in embeddings)


def cosines(texts: Floats, videos: Floats) -> Floats:
    """``(n, m)`` cosines of unit vectors ``(n, d)`` and ``(m, d)``."""
    return (texts @ videos.T).round(_DECIMALS)


def pack(values: Tensor) -> str:
    """Numbers as a text from which `unpack` reads the same float32 values."""
    array: npt.NDArray[np.float32] = values.float().numpy().astype("<f4")
    return base64.b64encode(array.tobytes()).decode("ascii")


def unpack(text: str, n_rows: int) -> Floats:
    """``(n_rows, d)`` numbers that `pack` wrote."""
    array = np.frombuffer(base64.b64decode(text), dtype="<f4").astype(np.float64)
    return array.reshape(n_rows, -1)
