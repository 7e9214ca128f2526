"""Which words of a text an encoder can read: it embeds any text, also one that it knows nothing of.

How that can be known depends on the tokenizer. One with a token for what it does not know tells
itself. One that falls back to letters or bytes does not: of those, the ones made for English read
words in Latin letters (`is_latin`), and of the multilingual ones all is taken as read. Other
languages in Latin letters (German, Vietnamese) cannot be distinguished from English.
"""

import unicodedata
from collections.abc import Callable
from typing import Any

from keyscore_plugin.types import Reading


def reading_of(text: str, is_read: Callable[[str], bool]) -> Reading:
    """Count the words of a text, and name those that are not read.

    Args:
        text: The text. Its words are what stands between spaces and is not punctuation alone; a
            text of punctuation alone is made of that.
        is_read: Tells for one word whether the encoder reads it.
    """
    parts = text.split()
    words = [part for part in parts if not _is_punctuation(part)] or parts
    return Reading(len(words), tuple(word for word in words if not is_read(word)))


def is_latin(word: str) -> bool:
    """Whether a word has a Latin letter or a digit, which a model of English texts reads.

    Example:
        >>> [is_latin(word) for word in ("café", "42", "狗", "собака", "🐕", "???")]
        [True, True, False, False, False, False]
    """
    letters = unicodedata.normalize("NFD", word)
    return any(unicodedata.name(c, "").startswith(("LATIN ", "DIGIT ")) for c in letters)


def reader_of(tokenizer: Any) -> Callable[[str], bool]:
    """How a tokenizer of transformers tells whether it reads a word."""
    if type(tokenizer).__name__.startswith("CLIPTokenizer"):  # English, byte by byte
        return is_latin
    unknown = tokenizer.unk_token_id
    marks = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
    if unknown is None or unknown in marks:
        return lambda word: True
    return lambda word: unknown not in tokenizer(word, add_special_tokens=False)["input_ids"]


def _is_punctuation(part: str) -> bool:
    return all(unicodedata.category(c).startswith("P") for c in part)
