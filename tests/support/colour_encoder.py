"""A small real encoder for tests: frames and colour words in RGB space, no weights to load."""

import torch

from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding

WORDS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "white": (1, 1, 1)}
MAX_WORDS = 64


class ColourEncoder:
    """Mean colour of a frame against the sum of the colour words of a text."""

    name = "colour"
    short_side = 16

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.n_encoded = 0
        self.texts: list[str] = []

    def encode_frames(self, frames: Frames) -> Embeddings:
        self.n_encoded += len(frames)
        mean = frames.pixels.float().mean((1, 2)) + 1
        return Embeddings(
            torch.nn.functional.normalize(mean, dim=1).to(self.device),
            frames.indices,
            frames.pts_seconds,
            self.name,
        )

    def encode_text(self, text: str) -> TextEmbedding:
        self.texts.append(text)
        words = text.lower().split()
        known = [WORDS[word] for word in words[:MAX_WORDS] if word in WORDS]
        if not known:
            raise InputError(f"no colour word in {text[:40]!r}; use one of {sorted(WORDS)}")
        vector = torch.nn.functional.normalize(torch.tensor(known).float().sum(0), dim=0)
        return TextEmbedding(vector, self.name, len(words), MAX_WORDS)
