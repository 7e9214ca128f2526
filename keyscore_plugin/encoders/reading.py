"""The words of a text that an encoder can read; it embeds even texts it was not trained on.

The tokenizer decides how this is found out. A tokenizer with a token for unknown words answers by
itself. A tokenizer that falls back to letters or bytes does not: one made for English reads words
in Latin letters (`is_latin`), and a multilingual one is taken to read everything. Other languages
in Latin letters (German, Vietnamese) cannot be distinguished from English.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

from keyscore_plugin.types import Reading


def reading_of(text: str, is_read: Callable[[str], bool]) -> Reading:
    """Count the words of a text, and list those that the encoder cannot read.

    Args:
        text: A text. Its words are the parts between spaces that are not punctuation alone; in a
            text of punctuation alone, every part is a word.
        is_read: Function that says for one word whether the encoder reads it.
    """
    parts = text.split()
    words = [part for part in parts if not _is_punctuation(part)] or parts
    return Reading(len(words), tuple(word for word in words if not is_read(word)))


def is_latin(word: str) -> bool:
    """Whether a word has a Latin letter or a digit, which a model for English reads.

    Example:
        >>> [is_latin(word) for word in ("café", "42", "狗", "собака", "🐕", "???")]
        [True, True, False, False, False, False]
    """
    letters = unicodedata.normalize("NFD", word)
    return any(unicodedata.name(c, "").startswith(("LATIN ", "DIGIT ")) for c in letters)


def reader_of(tokenizer: Any) -> Callable[[str], bool]:
    """Return a function that says for one word whether a tokenizer of transformers reads it."""
    if type(tokenizer).__name__.startswith("CLIPTokenizer"):  # English, byte by byte
        return is_latin
    unknown = tokenizer.unk_token_id
    marks = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    if unknown is None or unknown in marks:
        return lambda word: True
    return lambda word: unknown not in tokenizer(word, add_special_tokens=False)["input_ids"]


def _is_punctuation(part: str) -> bool:
    return all(unicodedata.category(c).startswith("P") for c in part)
