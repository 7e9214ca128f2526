"""Which text scores in each host, by one table; the package's own call follows its row too."""

from typing import Any

import pytest

from keyscore_plugin.config import Guide
from keyscore_plugin.errors import InputError
from keyscore_plugin.hosts.query import QUERY_RULES, Texts, decide_texts
from keyscore_plugin.samplers.query import SelectionRequest
from keyscore_plugin.types import texts_of

TEXTS = {"caption": "c", "question": "q", "user_text": "u"}
OURS, HF, QWEN, LMMS = "keyscore", "transformers", "qwen-vl-utils", "lmms-eval"
SERVING = "serving"

# host, texts given, whether there is a captioner, guide asked for -> what the sampler gets, or None
# for an error
CASES: list[tuple[str, set[str], bool, Guide | None, Texts | None]] = [
    (HF, {"caption"}, False, None, Texts("caption", caption="c")),
    (HF, {"caption", "question", "user_text"}, True, None, Texts("caption", caption="c")),
    (HF, {"question", "user_text"}, True, None, Texts("question", question="q")),
    (HF, {"user_text"}, True, None, Texts("caption")),
    (HF, {"user_text"}, False, None, Texts("question", question="u")),
    (HF, set(), True, None, Texts("caption")),
    (HF, set(), False, None, None),
    (HF, {"caption", "user_text"}, False, "question", Texts("question", question="u")),
    (HF, {"caption", "question", "user_text"}, False, "both", Texts("both", "c", "q")),
    (HF, {"user_text"}, True, "both", Texts("both", question="u")),
    (HF, {"caption"}, True, "both", None),
    (HF, {"question"}, False, "both", None),
    (HF, {"question"}, False, "caption", None),
    (HF, {"caption"}, True, "question", None),
    (QWEN, {"caption", "question"}, True, None, Texts("caption", "c", "q")),
    (QWEN, {"question"}, True, None, Texts("question", question="q")),
    (QWEN, set(), True, None, Texts("caption")),
    (QWEN, {"user_text"}, False, None, None),
    (QWEN, {"caption", "question"}, False, "question", Texts("question", "c", "q")),
    (QWEN, {"caption", "question"}, False, "both", Texts("both", "c", "q")),
    (QWEN, {"caption"}, False, "both", None),
    (QWEN, {"caption"}, False, "importance", Texts("importance", caption="c")),
    (HF, {"caption", "user_text"}, True, "importance", Texts("importance")),
    (LMMS, {"question"}, True, None, Texts("question", question="q")),
    (LMMS, set(), True, None, None),
    (LMMS, {"question"}, True, "given", Texts("question", question="q")),
    (LMMS, set(), True, "given", Texts("caption")),
    (LMMS, {"question"}, True, "caption", Texts("caption")),
    (LMMS, {"question"}, True, "both", Texts("both", question="q")),
    (LMMS, {"question"}, False, "caption", None),
    (SERVING, {"question"}, True, None, Texts("question", question="q")),
    (SERVING, set(), True, None, None),
    (SERVING, set(), True, "caption", Texts("caption")),
]


def decided(host: str, names: set[str], has_captioner: bool, guide: Guide | None) -> Texts:
    texts: dict[str, Any] = {name: TEXTS[name] for name in names}
    return decide_texts(
        QUERY_RULES[host],
        guide=guide,
        needs_text=True,
        has_captioner=has_captioner,
        remedy="give one",
        **texts,
    )


@pytest.mark.parametrize(("host", "names", "has_captioner", "guide", "expected"), CASES)
def test_the_text_that_scores(
    host: str, names: set[str], has_captioner: bool, guide: Guide | None, expected: Texts | None
) -> None:
    if expected is None:
        with pytest.raises(InputError, match=r"no text to choose the frames by.*; give one"):
            decided(host, names, has_captioner, guide)
    else:
        assert decided(host, names, has_captioner, guide) == expected


@pytest.mark.parametrize("host", QUERY_RULES)
def test_a_sampler_that_needs_no_text_gets_none_or_all(host: str) -> None:
    texts = decide_texts(
        QUERY_RULES[host],
        guide="both",
        caption="c",
        needs_text=False,
        has_captioner=False,
        remedy="give one",
    )
    assert texts == (Texts(None, caption="c") if QUERY_RULES[host].passes_all else Texts(None))


@pytest.mark.parametrize("guide", ["given", "caption", "question", "both"])
@pytest.mark.parametrize(
    "names", [("caption",), ("question",), ("caption", "question")], ids="+".join
)
def test_the_packages_own_call_follows_its_row(names: tuple[str, ...], guide: Guide) -> None:
    given: dict[str, Any] = {name: TEXTS[name] for name in names}
    captions, questions = (texts_of(given.get(name), name) for name in ("caption", "question"))
    request = SelectionRequest(num_frames=8, captions=captions, questions=questions)
    try:
        wants_caption, wants_question = request.texts(guide)
    except InputError:
        with pytest.raises(InputError):
            decided(OURS, set(names), True, guide)
        return
    scores = decided(OURS, set(names), True, guide).guide
    assert wants_caption == (scores in ("caption", "both"))
    assert wants_question == (scores in ("question", "both"))
