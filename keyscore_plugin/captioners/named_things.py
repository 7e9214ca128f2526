"""The things that a text names, asked of a language model: a line for each.

Ours; HiMu (arXiv 2603.18558) asks a language model for a tree of them.
"""

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import torch

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.full_precision import exact_arithmetic
from keyscore_plugin.captioners.language_model import chat_around, load_language_model
from keyscore_plugin.errors import InputError, ModelError, shown

PROMPT = (
    "Name the things that one has to see in a video to answer the text below. Write a short phrase "
    "for each one on a line of its own, at most {most} lines, and nothing else. If the text is "
    "about one thing, write one line.\nText: {text}"
)
MOST_THINGS = 8  # ours: DEFAULT_NUM_FRAMES, so that each can get a frame
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
        texts: Phrase for each thing, in the order of the answer; the text itself if the answer
            cannot be used.
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
    prompt = PROMPT.format(most=MOST_THINGS, text=" ".join(text.split()))
    return parse_things(writer.write(prompt, max_new_tokens=_MAX_TOKENS), text, model=writer.name)


def parse_things(answer: str, text: str, *, model: str) -> NamedThings:
    """Read the answer of a model that was asked for the things that a text names.

    Args:
        answer: A thing a line; blank lines do not count, nor does a thing that comes again.
        text: The text.
        model: Name of the model, for notes.

    Example:
        >>> parse_things("a dog\\nA dog\\na red car", "Who?", model="m").texts
        ('a dog', 'a red car')
    """
    lines = [" ".join(line.split()) for line in answer.splitlines() if line.strip()]
    things: dict[str, str] = {}
    for line in lines:
        things.setdefault(line.casefold(), line)
    if not 1 <= len(things) <= MOST_THINGS:
        note = (
            f"{model} was asked for 1 to {MOST_THINGS} things that the text names, and wrote "
            f"{len(things)}, so the text scores as a whole"
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
