"""Captions of frames read by a language model: LLMVS's embeddings of windows, and its marks.

LLMVS (arXiv 2504.11199) asks a frozen language model how much the central one of seven captions
matters, and keeps its hidden states, not its answer. The exact prompt is not published; ours is
``window_prompt.txt`` in this folder. What all windows share, the instruction and the examples, is
read once and kept as keys and values, which changes no hidden state.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor

from keyscore_plugin._runtime import progress
from keyscore_plugin.captioners.language_model import (
    PrefixedModel,
    Read,
    chat_around,
    digit_tokens,
    load_language_model,
)
from keyscore_plugin.errors import InputError

T = TypeVar("T")

Answer = Literal["none", "generate"]
Rows = list[list[int]]  # tokens of each text

PROMPT_FILE = Path(__file__).with_name("window_prompt.txt")
_WINDOW = "{window}"
_UNKNOWN = "(Nothing is known of this frame.)"  # ours: in place of a caption that nobody wrote
_AT_ONCE = 16  # ours: windows of one batch
_MAX_ANSWER_TOKENS = 8  # ours: room for a digit and a few words around it
_MOST = 10  # of an answer; the prompt asks for 0 to 9
_PASS_TOKENS = 4096  # ours: most tokens of captions that the cheap form reads at a time


@dataclass(frozen=True, slots=True)
class WindowPrompt:
    """The text around a window of captions.

    Attributes:
        before: Instruction and worked examples, the same for every window.
        after: Question for the number.
    """

    before: str
    after: str

    @classmethod
    def read(cls, path: Path = PROMPT_FILE) -> "WindowPrompt":
        """Read a prompt from a text file in which ``{window}`` stands for the captions.

        Raises:
            InputError: The file cannot be read, or does not hold ``{window}`` exactly once.
        """
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"cannot read the prompt {path}: {error}; give a text file with {_WINDOW} in it"
            ) from error
        if text.count(_WINDOW) != 1:
            raise InputError(
                f"the prompt {path} holds {_WINDOW} {text.count(_WINDOW)} times; write it once, "
                "where the captions go"
            )
        before, _, after = text.partition(_WINDOW)
        return cls(before, after)


class WindowReader:
    """Reads captions with a causal language model of transformers, which stays as it is.

    Args:
        model: Causal language model of transformers.
        tokenizer: Tokenizer of the model, with a chat template.
        window: Captions of a window, an odd number; LLMVS: 7. At the ends of a video a window holds
            only those that exist (ours; the paper does not say).
        prompt: Text around the captions; None takes ours.
        caches: Whether the instruction and the examples are read once. Otherwise every window reads
            them again, as published; the embeddings are the same.

    Attributes:
        name: Name or path of the model.
        width: Length of an embedding.
        window: Captions of a window.

    Raises:
        InputError: The window is not a positive odd number.
        ModelError: The tokenizer has no chat template, or does not write a digit as one token.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        window: int = 7,
        prompt: WindowPrompt | None = None,
        caches: bool = True,
    ) -> None:
        if window < 1 or window % 2 == 0:
            raise InputError(f"a window must be an odd number of captions, got {window}; give 7")
        prompt = prompt or WindowPrompt.read()
        name: str = model.name_or_path or type(model).__name__
        start, end = chat_around(tokenizer, prompt.before, model=name)
        self._digits, lead = digit_tokens(tokenizer, model=name)
        self._tokenizer = tokenizer
        self._question = prompt.after
        self._tail = [*self._ids(end), *lead]
        self._ends = _end_tokens(model, tokenizer)
        self._model = PrefixedModel(
            model, self._ids(start), caches=caches, spare=_MAX_ANSWER_TOKENS
        )
        self.name = name
        self.width = self._model.width
        self.window = window

    @property
    def n_tokens(self) -> int:
        """The number of tokens that the model has read and written so far."""
        return self._model.n_tokens

    def embed(self, captions: Sequence[str], *, answer: Answer = "none") -> Tensor:
        """Embed the window around each caption (LLMVS, section 3.2).

        An embedding is the maximum over tokens of the model's hidden states after its final norm:
        those of the window and its question, and with ``answer="generate"`` also those of the
        answer. Tokens of the instruction, the examples and the chat template do not count.

        Args:
            captions: Sentence on each of ``n`` frames, in time order; ``""`` where there is none.
            answer: ``"none"``, or ``"generate"`` as published, which adds a decoding (LLMVS's
                Kendall's tau on SumMe is .253 with it and .238 without).

        Returns:
            ``(n, width)`` float32 embeddings, on the CPU.

        Raises:
            ModelError: A window is longer than the context of the model.
        """
        return torch.stack(self._each_window(captions, lambda rows: [*self._embed(rows, answer)]))

    def embed_in_one_pass(self, captions: Sequence[str]) -> Tensor:
        """Embed each caption in one causal pass over all of them: ours, and much cheaper.

        An embedding is the maximum over the tokens of the caption. It knows the captions before it
        and none after it, so this is not LLMVS. Captions that do not fit into the context, or into
        4,096 tokens, are read in parts, each of which begins with the last ones of the part before.

        Args:
            captions: Sentence on each of ``n`` frames, in time order; ``""`` where there is none.

        Returns:
            ``(n, width)`` float32 embeddings, on the CPU.

        Raises:
            ModelError: A few captions are longer than the context of the model.
        """
        lines = [self._ids(f"{text or _UNKNOWN}\n") for text in captions]
        most = min(_PASS_TOKENS, self._model.room or _PASS_TOKENS)
        embeddings: list[Tensor] = []
        while len(embeddings) < len(lines):
            begin = max(0, len(embeddings) - self.window // 2)
            end = len(embeddings) + 1
            while end < len(lines) and sum(map(len, lines[begin : end + 1])) <= most:
                end += 1
            sizes = [len(line) for line in lines[begin:end]]
            read = self._model.read([[token for line in lines[begin:end] for token in line]])
            spans = torch.split(read.states[0, -sum(sizes) :], sizes)
            embeddings += [span.amax(0).float().cpu() for span in spans[len(embeddings) - begin :]]
        return torch.stack(embeddings)

    def expect(self, captions: Sequence[str]) -> Tensor:
        """The importance of each caption without a trained head: the expected digit, divided by 9.

        Ours, as in G-Eval (arXiv 2303.16634): the expected value over the probabilities of the ten
        digits as the next token. The digit that a model writes takes few values, see `answers`.

        Args:
            captions: Sentence on each of ``n`` frames, in time order; ``""`` where there is none.

        Returns:
            ``(n,)`` float64 scores in [0, 1], on the CPU.

        Raises:
            ModelError: A window is longer than the context of the model.
        """
        return torch.stack(self._each_window(captions, lambda rows: [*self._expect(rows)]))

    def answers(self, captions: Sequence[str]) -> list[str]:
        """Let the model write about each window, by greedy decoding (LLMVS's zero-shot row).

        Raises:
            ModelError: A window is longer than the context of the model.
        """
        return self._each_window(captions, self._answer)

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def _each_window(self, captions: Sequence[str], read: Callable[[Rows], Sequence[T]]) -> list[T]:
        """What ``read`` returns for the window of each caption; equal windows are read once."""
        texts = windows(captions, self.window)
        by_window: dict[str, T] = {}
        unique = list(dict.fromkeys(texts))
        for start in range(0, len(unique), _AT_ONCE):
            some = unique[start : start + _AT_ONCE]
            rows = [[*self._ids(f"{text}{self._question}"), *self._tail] for text in some]
            by_window.update(zip(some, read(rows), strict=True))
        return [by_window[text] for text in texts]

    def _embed(self, rows: Rows, answer: Answer) -> Tensor:
        read = self._model.read(rows)
        # A row is padded on the left, and ends with the tokens of the template.
        places = torch.arange(-read.states.shape[1], 0, device=read.states.device)
        starts = torch.tensor([-len(row) for row in rows], device=places.device)
        is_query = (places >= starts[:, None]) & (places < -len(self._tail))
        pooled = read.states.masked_fill(~is_query[..., None], -torch.inf).amax(1)
        if answer == "generate":
            for _, states, is_open in self._write(read):
                pooled = torch.where(is_open[:, None], torch.maximum(pooled, states), pooled)
        return pooled.float().cpu()

    def _expect(self, rows: Rows) -> Tensor:
        logits = self._model.next_logits(rows)[:, self._digits]
        digits = torch.arange(10, dtype=torch.float64) / 9
        return logits.float().softmax(1).double().cpu() @ digits

    def _answer(self, rows: Rows) -> list[str]:
        written: list[list[int]] = [[] for _ in rows]
        for tokens, _, is_open in self._write(self._model.read(rows)):
            for row, token, goes_on in zip(written, tokens.tolist(), is_open.tolist(), strict=True):
                row += [token] * goes_on
        texts: list[str] = self._tokenizer.batch_decode(written, skip_special_tokens=True)
        return texts

    def _write(self, read: Read) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
        return self._model.write(read, ends=self._ends, most=_MAX_ANSWER_TOKENS)


def windows(captions: Sequence[str], window: int) -> list[str]:
    """The window around each caption as text, a line for each caption after its place in it.

    Example:
        >>> windows(["a", "b", ""], 3)[1]
        '-1: a\\n0: b\\n+1: (Nothing is known of this frame.)'
    """
    reach = window // 2
    return [
        "\n".join(
            f"{place - row:{'+' if place != row else ''}d}: {captions[place] or _UNKNOWN}"
            for place in range(max(0, row - reach), min(len(captions), row + reach + 1))
        )
        for row in range(len(captions))
    ]


def number_of(answer: str) -> float | None:
    """The first number that an answer gives, from 0 to 10; None if there is none.

    Example:
        >>> number_of("I would say 7."), number_of("It matters."), number_of("2026")
        (7.0, None, None)
    """
    number = re.search(r"\d+(?:\.\d+)?", answer)
    return float(number[0]) if number and float(number[0]) <= _MOST else None


def load_window_reader(model: str, device: torch.device, *, window: int = 7) -> WindowReader:
    """Load a language model of transformers to read captions.

    Args:
        model: Folder or hub model id.
        device: Device on which the model runs.
        window: Captions of a window, an odd number.

    Raises:
        InputError: The window is not a positive odd number.
        ModelError: Neither this machine nor the hub has the model, it does not load, or it cannot
            be asked.
    """
    with progress.loading(f"language model {model}"):
        return WindowReader(*load_language_model(model, device), window=window)


def _end_tokens(model: Any, tokenizer: Any) -> list[int]:
    ends = model.generation_config.eos_token_id
    named = ends if isinstance(ends, list) else [ends]
    return [token for token in (*named, tokenizer.eos_token_id) if token is not None]
