"""Table: what an encoder can read of a text, and what a selection says where it cannot."""

from pathlib import Path

import pytest
import torch
import transformers

from keyscore_plugin.encoders.conse.minilm import load_minilm
from keyscore_plugin.encoders.hf import HFEncoder
from keyscore_plugin.encoders.reading import is_latin, reader_of, reading_of
from keyscore_plugin.samplers.query import Query
from keyscore_plugin.types import Reading, TextEmbedding
from tests.support.tiny.encoders import save_siglip

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("text", "n_words", "unread"),
    [
        ("a dog is petted", 4, ()),
        ("“Café” - 42 naïve cats toys!", 5, ()),
        ("狗在跑步", 1, ("狗在跑步",)),
        ("собака бежит", 2, ("собака", "бежит")),
        ("🐕", 1, ("🐕",)),
        ("a dog 🐕 runs", 4, ("🐕",)),
        ("???", 1, ("???",)),
        ("what ? ... !", 1, ()),
        ("x" * 150, 1, ("x" * 150,)),  # longer than its tokenizer takes apart
    ],
)
def test_minilm_reads_words_in_latin_letters(
    text: str, n_words: int, unread: tuple[str, ...]
) -> None:
    assert reading_of(text, load_minilm(CPU).reads) == Reading(n_words, unread)


def test_a_tokenizer_with_a_token_for_unknown_words_knows_what_it_reads(tmp_path: Path) -> None:
    save_siglip(tmp_path)
    encoder = HFEncoder(str(tmp_path), CPU, local_files_only=True)
    assert encoder.encode_text("a dog").reading == Reading(2, ())
    assert encoder.encode_text("a dog in 狗").reading == Reading(4, ("狗",))


def test_the_bytes_of_clip_are_read_where_they_make_latin_letters() -> None:
    assert reader_of(transformers.CLIPTokenizer()) is is_latin


def test_bytes_of_other_tokenizers_are_taken_as_read() -> None:
    reads = reader_of(transformers.GPT2Tokenizer())
    assert reads("狗")


def text(n_words: int, *unread: str) -> TextEmbedding:
    return TextEmbedding(torch.ones(1), "conse", 3, 9, Reading(n_words, unread))


def test_what_is_not_read_is_noted() -> None:
    assert Query(embeddings=(text(3), TextEmbedding(torch.ones(1), "other", 3, 9))).notes == ()
    (some,) = Query(embeddings=(text(3, "狗"),)).notes
    assert "conse cannot read 1 of 3 words of the text, such as '狗'" in some
    (nothing,) = Query(embeddings=(text(2, "собака", "бежит"),)).notes
    assert "can read no word of the text ('собака бежит')" in nothing
    (long,) = Query(embeddings=(text(1, "狗" * 10_000),)).notes
    assert len(long) < 400
