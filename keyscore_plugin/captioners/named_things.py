"""The things that a text names, asked of a language model: a line for each.

Ours; HiMu (arXiv 2603.18558) asks a language model for a tree of them.
"""

import re
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.captioners.language_model import chat_around, load_language_model
from keyscore_plugin.errors import InputError, ModelError, shown

PROMPT = """\
Write down what one has to see in a video to answer a text: a short phrase for each thing, on a \
line of its own, and nothing else.

Text: Does the chef cut the onion before or after the phone rings?
a chef cuts an onion
a phone rings

Text: A boat leaves the harbour at night.
a boat leaves the harbour at night

Text: Who wins the race, who falls, and what colour is the trophy?
the winner of a race
somebody falls
a trophy

Text: {text}
"""
MOST_THINGS = 8  # ours: DEFAULT_NUM_FRAMES, so that each can get a frame
_MARK = re.compile(r"(?:[-*\u2022]|\d{1,2}[.)]|\(?[A-H][.)])\s+")  # of a line of a list
_THOUGHT = re.compile(r"\A.*</think>|\A\s*<think>.*", re.DOTALL)  # of a model that reasons first
_MAX_TOKENS = 128  # ours: 16 for each of them


@runtime_checkable
class Writer(Protocol):
    """A model that answers a prompt in text.

    Attributes:
        name: Name of the model.
    """

    name: str

    def write(self, prompt: str, *, max_new_tokens: int) -> str:
        """The answer, by greedy decoding."""


@dataclass(frozen=True, slots=True)
class NamedThings:
    """What a text names.

    Attributes:
        texts: Phrase for each of several things, in the order of the answer; else the text itself.
        notes: Facts that a reader of the selection must know.
    """

    texts: tuple[str, ...]
    notes: tuple[str, ...] = ()


def named_things(text: str, writer: Writer) -> NamedThings:
    """Ask a model for the things that a text names.

    Args:
        text: A caption or a question.
        writer: Model that is asked once.

    Raises:
        InputError: The text is longer than the context of the model.
    """
    prompt = PROMPT.format(text=" ".join(text.split()))
    return parse_things(writer.write(prompt, max_new_tokens=_MAX_TOKENS), text, model=writer.name)


def parse_things(answer: str, text: str, *, model: str) -> NamedThings:
    """Read the answer of a model that was asked for the things that a text names.

    A text that names one thing stays as it is: the model's words for it would be no better.

    Args:
        answer: A thing a line, also with the mark of a list or in bold. What does not count: lines
            without a letter or a digit, a heading (it ends in a colon), a thing that comes again,
            and what a model thinks aloud before its answer.
        text: The text.
        model: Name of the model, for notes.

    Example:
        >>> parse_things("- a dog\\n- A dog\\n- a red car", "Who?", model="m").texts
        ('a dog', 'a red car')
    """
    lines = [" ".join(line.split()) for line in _THOUGHT.sub("", answer).splitlines()]
    lines = [_MARK.sub("", line, count=1).strip("*`") for line in lines]
    lines = [line for line in lines if any(map(str.isalnum, line)) and not line.endswith(":")]
    things: dict[str, str] = {}
    for line in lines:
        things.setdefault(line.casefold(), line)
    if not 2 <= len(things) <= MOST_THINGS:
        note = (
            f"the text scores as a whole: the number of things that {model} named in it is "
            f"{len(things)}, and 2 to {MOST_THINGS} would score in its place"
        )
        return NamedThings((text,), (note,))
    n_again = len(lines) - len(things)
    again = f"; {n_again} came again and count once" if n_again else ""
    note = f"the things that {model} named in the text score in its place{again}"
    return NamedThings(tuple(things.values()), (note,))


class LanguageModel:
    """A causal language model of transformers that answers prompts.

    Args:
        model: Causal language model of transformers.
        tokenizer: Tokenizer of the model, with a chat template.

    Attributes:
        name: Name or path of the model.

    Raises:
        ModelError: The tokenizer has no chat template.
    """

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.name: str = model.name_or_path or type(model).__name__
        self._model = model
        self._tokenizer = tokenizer
        self._before, self._after = chat_around(tokenizer, "", model=self.name)

    def write(self, prompt: str, *, max_new_tokens: int) -> str:
        """The answer to a prompt, by greedy decoding.

        Raises:
            InputError: The prompt and the answer are longer than the context of the model.
        """
        text = f"{self._before}{prompt}{self._after}"
        inputs = self._tokenizer(text, add_special_tokens=False, return_tensors="pt")
        n_read = inputs["input_ids"].shape[1]
        most = getattr(self._model.config.get_text_config(), "max_position_embeddings", None)
        if most is not None and n_read + max_new_tokens > most:
            raise InputError(
                f"the text takes {n_read} tokens with its prompt, and {shown(self.name)} reads "
                f"{most - max_new_tokens}; give a shorter text, or another split"
            )
        device = self._model.device
        with torch.inference_mode(), exact_arithmetic(device):
            tokens = self._model.generate(
                **inputs.to(device), max_new_tokens=max_new_tokens, do_sample=False
            )
        answer: str = self._tokenizer.decode(tokens[0, n_read:], skip_special_tokens=True)
        return answer


def load_writer(model: str, device: torch.device) -> LanguageModel:
    """Load a causal language model of transformers that answers prompts.

    Args:
        model: Folder or hub model id.
        device: Device on which the model runs.

    Raises:
        ModelError: Neither this machine nor the hub has the model, or it does not load or chat.
    """
    with progress.loading(f"language model {model}"):
        return LanguageModel(*load_language_model(model, device))


def require_writer(captioner: object) -> Writer:
    """Return the captioner if it answers prompts in text, as a Video-LLM does.

    Args:
        captioner: Captioner of the caller, or None.

    Raises:
        ModelError: There is no captioner, or it only writes captions.
    """
    if isinstance(captioner, Writer):
        return captioner
    # Not an InputError: in a run of many videos that would be taken for a fact about each of them.
    raise ModelError(
        "split='model' asks a language model what the text names, and none is given; set "
        "llmvs.model (--language-model), or give a Video-LLM as the captioner"
    )
