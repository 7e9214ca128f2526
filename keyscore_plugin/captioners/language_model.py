"""A causal language model of transformers that reads many texts after one common beginning."""

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin._runtime.hub import first_line, is_local
from keyscore_plugin.errors import ModelError, shown

_REMEDY = "give the folder or the hub model id of a language model of transformers"
_MARK = "{text}"  # stands for the text while a chat template is rendered


def load_language_model(name: str, device: torch.device) -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer with the Auto classes of transformers.

    Args:
        name: Folder or hub model id.
        device: Device on which the model runs, in float32 on a CPU, else as its weights.

    Raises:
        ModelError: Neither this machine nor the hub has the model, or it does not load.
    """
    import transformers

    local = is_local(name, kind="language model", remedy=_REMEDY)
    dtype = torch.float32 if device.type == "cpu" else "auto"
    models: Any = transformers.AutoModelForCausalLM
    tokenizers: Any = transformers.AutoTokenizer
    try:
        loaded = models.from_pretrained(name, dtype=dtype, local_files_only=local)
        tokenizer = tokenizers.from_pretrained(name, local_files_only=local)
        return loaded.eval().to(device), tokenizer
    except (OSError, ValueError, RuntimeError, UnpicklingError, SafetensorError) as error:
        raise ModelError(
            f"cannot load the language model {shown(name)}: {first_line(error)}; {_REMEDY}"
        ) from error


def chat_around(tokenizer: Any, beginning: str, *, model: str) -> tuple[str, str]:
    """Find what a chat template writes around the rest of a message whose beginning is known.

    Args:
        tokenizer: Tokenizer with a chat template.
        beginning: Beginning of the message.
        model: Name of the model, for errors.

    Returns:
        The template's text up to the end of ``beginning``, and that from the end of the message to
        the start of the answer.

    Raises:
        ModelError: There is no chat template, or it does not write the message as it is.
    """
    if not tokenizer.chat_template:
        raise ModelError(
            f"the language model {shown(model)} has no chat template, so it answers no questions; "
            "give one that was trained to chat (often named -Instruct or -chat)"
        )
    text: str = tokenizer.apply_chat_template(
        [{"role": "user", "content": f"{beginning}{_MARK}"}],
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=False,  # Qwen3 would think aloud before its answer; others ignore this
    )
    before, mark, after = text.rpartition(_MARK)
    if not mark:
        raise ModelError(
            f"the chat template of {shown(model)} does not write a user's message as it is; give "
            "another language model"
        )
    return before, after


def digit_tokens(tokenizer: Any, *, model: str) -> tuple[list[int], list[int]]:
    """The token of each digit from 0 to 9, and the tokens that come before any of them.

    Some tokenizers write a space, as a token of its own, before a digit that begins a text.

    Raises:
        ModelError: Two digits differ in more than their last token.
    """
    rows = [tokenizer.encode(str(digit), add_special_tokens=False) for digit in range(10)]
    lead = rows[0][:-1]
    if any(row[:-1] != lead for row in rows) or len({row[-1] for row in rows}) < len(rows):
        raise ModelError(
            f"the language model {shown(model)} does not write a digit as one token; give another"
        )
    return [row[-1] for row in rows], lead


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    """What a model knows after it has read some texts, padded on the left.

    Attributes:
        states: ``(batch, length, width)`` hidden states after the final norm, without those of the
            common beginning if that was read before.
        mask: ``(batch, length)`` int64, 1 for every token up to here, and 0 for padding.
        cache: Keys and values, to go on from.
    """

    states: Tensor
    mask: Tensor
    cache: Any


class PrefixedModel:
    """A causal language model that reads texts after one and the same beginning.

    Args:
        model: Causal language model of transformers.
        prefix: Tokens of the beginning, at least one.
        caches: Whether the beginning is read once, and kept as keys and values; otherwise every
            text is read with it. The hidden states are the same.
        spare: Tokens of the context that are kept free for an answer.

    Attributes:
        name: Name or path of the model, or its class if it has none.
        width: Length of a hidden state.
        n_tokens: Number of tokens that were read, without padding.
    """

    def __init__(
        self, model: Any, prefix: Sequence[int], *, caches: bool = True, spare: int = 0
    ) -> None:
        self.name: str = model.name_or_path or type(model).__name__
        config = model.config.get_text_config()
        self.width: int = config.hidden_size
        self.n_tokens = 0
        self._n_most: int | None = getattr(config, "max_position_embeddings", None)
        self._model = model
        # transformers calls it "cache" from 5.24 on.
        takes = inspect.signature(model.base_model.forward).parameters
        self._cache_name = "cache" if "cache" in takes else "past_key_values"
        self._prefix = list(prefix)
        self._caches = caches
        self._spare = spare
        self._known: Any = None

    @property
    def room(self) -> int | None:
        """The number of tokens that a text may have after the beginning; None without a limit."""
        return None if self._n_most is None else self._n_most - len(self._prefix) - self._spare

    def read(self, rows: Sequence[list[int]]) -> Read:
        """Read texts after the beginning, in one batch.

        Raises:
            ModelError: A text is longer than the context of the model.
        """
        inputs = self._inputs(rows)
        with self._exactly():
            read = self._model.base_model(**inputs, use_cache=True)
        return Read(
            read.last_hidden_state, inputs["attention_mask"], getattr(read, self._cache_name)
        )

    def next_logits(self, rows: Sequence[list[int]]) -> Tensor:
        """``(batch, vocabulary)`` logits of the token that follows each text.

        Raises:
            ModelError: A text is longer than the context of the model.
        """
        inputs = self._inputs(rows)
        with self._exactly():
            logits: Tensor = self._model(**inputs, use_cache=True, logits_to_keep=1).logits[:, -1]
        return logits

    def write(
        self, read: Read, *, ends: Sequence[int], most: int
    ) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        """Write on after texts by greedy decoding, until each text has ended.

        Args:
            read: The texts; its cache is used up.
            ends: Tokens that end an answer.
            most: Most tokens of an answer.

        Yields:
            For each step the ``(batch,)`` tokens, their ``(batch, width)`` hidden states, and a
            ``(batch,)`` mask of the texts that have not ended.
        """
        head = self._model.get_output_embeddings()
        state, mask = read.states[:, -1], read.mask
        is_open = torch.ones(len(mask), dtype=torch.bool, device=mask.device)
        stop = torch.tensor(list(ends), device=mask.device)
        for _ in range(most):
            with self._exactly():
                tokens = head(state).argmax(-1)
                is_open = is_open & ~torch.isin(tokens, stop)
                if not bool(is_open.any()):
                    return
                self.n_tokens += int(is_open.sum())
                mask = torch.cat([mask, torch.ones_like(mask[:, :1])], dim=1)
                state = self._model.base_model(
                    input_ids=tokens[:, None],
                    attention_mask=mask,
                    position_ids=mask.sum(1, keepdim=True) - 1,
                    **{self._cache_name: read.cache},
                    use_cache=True,
                ).last_hidden_state[:, -1]
            yield tokens, state, is_open

    @contextmanager
    def _exactly(self) -> Iterator[None]:
        with torch.inference_mode(), exact_arithmetic(self._model.device):
            yield

    def _inputs(self, rows: Sequence[list[int]]) -> dict[str, Any]:
        longest = max(map(len, rows))
        if self.room is not None and longest > self.room:
            raise ModelError(
                f"the context of {shown(self.name)} holds {self._n_most} tokens, and the prompt, "
                f"one window of captions and an answer take "
                f"{len(self._prefix) + longest + self._spare}; give a smaller llmvs.window, or a "
                "model with a longer context"
            )
        device = self._model.device
        past = self._past(len(rows)) if self._caches else None
        texts = list(rows) if self._caches else [[*self._prefix, *row] for row in rows]
        self.n_tokens += sum(map(len, texts))
        length = max(map(len, texts))
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in texts])
        n_known = 0 if past is None else len(self._prefix)
        known = torch.ones(len(texts), n_known, dtype=mask.dtype)
        return {
            # Any token may stand in a place that the mask hides.
            "input_ids": torch.tensor([[0] * (length - len(row)) + row for row in texts]).to(
                device
            ),
            "attention_mask": torch.cat([known, mask], dim=1).to(device),
            "position_ids": (n_known + (mask.cumsum(1) - 1).clamp_min(0)).to(device),
            self._cache_name: past,
        }

    def _past(self, n_texts: int) -> Any:
        """Keys and values of the beginning for a batch; the model adds to those that it gets."""
        if self._known is None:
            with self._exactly():
                ids = torch.tensor([self._prefix], device=self._model.device)
                read = self._model.base_model(ids, use_cache=True)
                self._known = getattr(read, self._cache_name)
            self.n_tokens += len(self._prefix)
        past = copy.deepcopy(self._known)
        past.batch_repeat_interleave(n_texts)
        return past
