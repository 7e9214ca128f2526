"""The head of LLMVS: the published sizes, a literal re-computation, and what it cannot know."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from keyscore_plugin.algorithm.importance_head import HeadShape, ImportanceHead
from keyscore_plugin.errors import InputError, ModelError

Floats = npt.NDArray[np.float64]

SMALL = HeadShape(d_in=6, width=8, layers=3, heads=2, feed_forward=10, hidden=(7, 6, 5, 4))


def embeddings(n: int = 9, *, d_in: int = 6) -> Tensor:
    return torch.randn(n, d_in, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_the_published_head_has_88_8_million_parameters() -> None:
    with torch.device("meta"):
        head = ImportanceHead(HeadShape())
    n_parameters = sum(weight.numel() for weight in head.parameters())
    assert n_parameters / 1e6 == pytest.approx(88.8, abs=0.05)


def test_the_head_is_what_its_equations_say() -> None:
    """Every step written out in numpy, in float64, from the named weights."""
    head = ImportanceHead(SMALL).double().eval()
    w = {name: weight.detach().numpy() for name, weight in head.named_parameters()}

    def linear(x: Floats, name: str) -> Floats:
        out: Floats = x @ w[f"{name}.weight"].T + w[f"{name}.bias"]
        return out

    def norm(x: Floats, name: str) -> Floats:
        centred = x - x.mean(1, keepdims=True)
        scaled: Floats = centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5)
        out: Floats = scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
        return out

    def attention(x: Floats, layer: str) -> Floats:
        qkv = x @ w[f"{layer}.self_attn.in_proj_weight"].T + w[f"{layer}.self_attn.in_proj_bias"]
        heads = []
        for columns in (slice(0, 4), slice(4, 8)):
            q, k, v = (part[:, columns] for part in np.split(qkv, 3, axis=1))
            logits = q @ k.T / np.sqrt(4)
            shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
            heads.append(shares @ v)
        return linear(np.concatenate(heads, axis=1), f"{layer}.self_attn.out_proj")

    x = norm(linear(embeddings().numpy(), "project.0"), "project.1")
    for number in range(3):
        layer = f"encoder.layers.{number}"
        x = norm(x + attention(x, layer), f"{layer}.norm1")
        fed = linear(np.maximum(linear(x, f"{layer}.linear1"), 0), f"{layer}.linear2")
        x = norm(x + fed, f"{layer}.norm2")
    x = np.maximum(norm(linear(x, "score.0"), "score.1"), 0)
    x = np.maximum(linear(x, "score.3"), 0)
    x = np.maximum(norm(linear(x, "score.5"), "score.6"), 0)
    x = np.maximum(linear(x, "score.8"), 0)
    expected = 1 / (1 + np.exp(-linear(x, "score.10")[:, 0]))
    assert np.allclose(head(embeddings()).detach().numpy(), expected, atol=1e-12)


def test_without_a_position_permuted_frames_get_permuted_scores() -> None:
    head = ImportanceHead(SMALL).double().eval()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    scores = head(embeddings())
    assert torch.allclose(head(embeddings()[order]), scores[order], atol=1e-12)
    assert scores.std() > 0


def test_with_times_the_place_of_a_frame_counts() -> None:
    shape = HeadShape(**{**SMALL.to_dict(), "position": "time"})
    head = ImportanceHead(shape).double().eval()
    times = torch.arange(9.0).double() / 2
    order = torch.randperm(9, generator=torch.Generator().manual_seed(2))
    scores = head(embeddings(), times)
    assert not torch.allclose(head(embeddings()[order], times), scores[order], atol=1e-3)
    assert torch.allclose(head(embeddings()[order], times[order]), scores[order], atol=1e-12)
    with pytest.raises(InputError, match="needs pts_seconds"):
        head(embeddings())


def test_a_seed_decides_the_weights_and_leaves_the_global_one_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    heads = [ImportanceHead(SMALL, seed=seed) for seed in (0, 0, 1)]
    assert torch.equal(torch.rand(1), expected)
    first, same, other = (next(head.parameters()) for head in heads)
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_embeddings_of_another_language_model_are_refused() -> None:
    with pytest.raises(ModelError, match=r"length 6, got \(9, 4\); give the language model"):
        ImportanceHead(SMALL)(embeddings(d_in=4))
    with pytest.raises(InputError, match="heads divide"):
        HeadShape(width=10, heads=4)
