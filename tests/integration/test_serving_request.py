"""The request that a client makes of a server: its URL, its keys in a chat, and what is refused."""

import contextlib
import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin.errors import MOST_CHARACTERS, InputError
from keyscore_plugin.types import Join
from keyscore_serving import (
    FrameRequest,
    RequestLimits,
    ServerSettings,
    rewrite,
    rewrite_json,
    split_url,
)
from keyscore_serving.request import is_request_url

LIMITS = RequestLimits(max_frames=64, max_characters=1000)
Json = dict[str, Any]
NAMES = st.sampled_from(["url", "uuid", "text", "sampler", "num_frames", "question", "encoder"])


def chat(*messages: list[Json], **top: Any) -> Json:
    return {"messages": [{"role": "user", "content": parts} for parts in messages], **top}


def video(url: str = "file:///v.mp4", **keys: Any) -> Json:
    return {"type": "video_url", "video_url": {"url": url}, **keys}


def text(words: str) -> Json:
    return {"type": "text", "text": words}


def asked(body: Json, **more: Any) -> list[FrameRequest]:
    """The requests in the URLs of a rewritten chat."""
    rewritten = rewrite(body, limits=LIMITS, **more)
    assert rewritten is not None
    parts = [part for message in rewritten["messages"] for part in message["content"]]
    urls = [split_url(part["video_url"]["url"]) for part in parts if part["type"] == "video_url"]
    return [FrameRequest.of(keys, LIMITS) for keys, _ in filter(None, urls)]


TEXTS = st.text(st.characters(codec="utf-8"), min_size=1).filter(str.strip)


@given(
    question=st.none() | TEXTS | st.lists(TEXTS, min_size=2, max_size=4).map(tuple),
    join=st.sampled_from(get_args(Join)),
    num_frames=st.integers(1, 64),
)
def test_a_request_survives_its_url(
    question: str | tuple[str, ...] | None, join: Join, num_frames: int
) -> None:
    request = FrameRequest(
        sampler="topk", num_frames=num_frames, question=question, join=join, pair="plain"
    )
    split = split_url(request.url("data:video/mp4;base64,AAAA"))
    assert split is not None
    keys, inner = split
    assert FrameRequest.of(keys, LIMITS) == request
    assert inner == "data:video/mp4;base64,AAAA"


@pytest.mark.parametrize(
    "url",
    [
        "keyscore:",
        "keyscore:sampler=topk",
        "keyscore:sampler=topk;",
        "keyscore:sampler;file:///v.mp4",
        "keyscore:sampler=topk&sampler=uniform;file:///v.mp4",
        "keyscore:sampler=topk&question=%FF;file:///v.mp4",
        "keyscore:sampler=topk;KeyScore:sampler=topk;file:///v.mp4",
    ],
)
def test_a_url_of_another_form_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="keyscore:"):
        split_url(url)


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ({"sampler": "keyscores"}, "did you mean 'keyscore'"),
        ({"sampler": ["keyscore"]}, "unknown sampler"),
        ({"sampler": "topk", "num_frames": 0}, "from 1 to 64"),
        ({"sampler": "topk", "num_frames": 65}, "from 1 to 64"),
        ({"sampler": "topk", "num_frames": "9" * 5000}, "from 1 to 64"),
        ({"sampler": "topk", "num_frames": "x"}, "from 1 to 64"),
        ({"sampler": "topk", "num_frames": True}, "from 1 to 64"),
        ({"sampler": "topk", "num_frames": 8.0}, "from 1 to 64"),
        ({"sampler": "topk", "question": " "}, "is empty"),
        ({"sampler": "topk", "question": None}, "is null"),
        ({"sampler": "topk", "question": []}, "empty list"),
        ({"sampler": "topk", "question": ["a", 3]}, "a list of texts"),
        ({"sampler": "topk", "question": "a" * 1001}, "1,001 characters"),
        ({"sampler": "topk", "question": ["a" * 500, "b" * 501]}, "1,001 characters"),
        ({"sampler": "topk", "caption": ["a"] * 33}, "33 texts"),
        ({"sampler": "topk", "join": "xor"}, "join 'xor' is not"),
        ({"sampler": "topk", "caption": "\ud800"}, "surrogate"),
        ({"sampler": "topk", "pair": "double"}, "unknown pair"),
        ({"sampler": "topk", "encoder": "/etc/passwd"}, "chosen by the server"),
        ({"sampler": "topk", "device": "cuda"}, "chosen by the server"),
        ({"sampler": "topk", "num_frame": 4}, "did you mean 'num_frames'"),
        ({"num_frames": 4}, "'num_frames' is given without a sampler"),
    ],
)
def test_keys_that_cannot_be_used_are_refused_in_one_line(keys: Json, what: str) -> None:
    with pytest.raises(InputError, match=what) as caught:
        rewrite(chat([video(**keys), text("q")]), limits=LIMITS)
    assert len(str(caught.value)) <= MOST_CHARACTERS
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["index", "subtitles", "threshold", "token_budget"])
def test_a_key_of_another_host_is_not_ignored(name: str) -> None:
    with pytest.raises(InputError, match=f"'{name}'"):
        rewrite(chat([video(), text("q")], sampler="topk", **{name: 1}), limits=LIMITS)


def test_a_chat_that_asks_nothing_stays_byte_for_byte() -> None:
    body = json.dumps(chat([video(), text("q")], temperature=0.5)).encode()
    assert rewrite_json(body, limits=LIMITS) is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"messages": [{"sampler": "topk", "content": [{"video_url"',
        b'["sampler"]',
        b'{"messages": "sampler", "sampler": "topk"}',
        b'{"messages": [null, 3, {"content": [1, {"video_url": 3}]}], "x": "sampler"}',
        b'{"sampler"' + b"[" * 100_000,
    ],
)
def test_what_is_not_a_chat_is_left_to_the_host(body: bytes) -> None:
    assert rewrite_json(body, limits=LIMITS) is None


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("topk"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
PARTS = st.fixed_dictionaries({"type": VALUES, "video_url": VALUES | st.just({"url": "v.mp4"})})
MESSAGES = st.lists(st.fixed_dictionaries({"role": VALUES, "content": st.lists(PARTS | VALUES)}))


@given(st.fixed_dictionaries({"messages": MESSAGES | VALUES}), st.dictionaries(NAMES, VALUES))
def test_any_json_is_rewritten_refused_or_left_alone(body: Json, top: Json) -> None:
    text = json.dumps({**body, **top}).encode()
    with contextlib.suppress(InputError):
        rewritten = rewrite_json(text, limits=LIMITS)
        assert rewritten is None or "messages" in json.loads(rewritten)


def test_the_question_is_the_text_of_the_videos_own_message() -> None:
    body = chat([video(), text("first")], [text("second")], sampler="keyscore", num_frames=4)
    assert asked(body) == [FrameRequest(sampler="keyscore", num_frames=4, question="first")]
    rewritten = rewrite(body, limits=LIMITS)
    assert rewritten is not None
    assert set(rewritten) == {"messages"}


def test_a_message_without_text_is_asked_by_the_next_users_text() -> None:
    body = chat([video()], [text("second")], [text("third")], sampler="keyscore")
    assert [request.question for request in asked(body)] == ["second"]


def test_later_turns_of_a_chat_choose_the_same_frames() -> None:
    turns = [[video(), text("first")], [text("second")], [text("third")]]
    requests = [asked(chat(*turns[:n], sampler="keyscore")) for n in (1, 2, 3)]
    assert requests[0] == requests[1] == requests[2]


def test_the_closest_key_counts() -> None:
    in_url = FrameRequest(sampler="topk", num_frames=3, caption="c").url("file:///b.mp4")
    body = chat(
        [video(num_frames=5), video(in_url), video(), text("q")], sampler="uniform", num_frames=7
    )
    assert [(request.sampler, request.num_frames) for request in asked(body)] == [
        ("uniform", 5),
        ("topk", 3),
        ("uniform", 7),
    ]


@pytest.mark.parametrize("url", [["keyscore:"], {}, None, 3, b"keyscore:a=b;c"])
def test_what_is_no_text_asks_for_no_frames(url: object) -> None:
    assert not is_request_url(url)


def test_several_texts_are_joined_as_the_client_says() -> None:
    body = chat([video(), text("q")], sampler="topk", question=["a dog", "a cat"], join="any")
    assert asked(body) == [FrameRequest(sampler="topk", question=("a dog", "a cat"), join="any")]


def test_a_given_caption_is_not_joined_by_the_question() -> None:
    assert asked(chat([video(sampler="topk", caption="c"), text("q")])) == [
        FrameRequest(sampler="topk", caption="c")
    ]


@pytest.mark.parametrize("in_url", [False, True])
def test_a_uuid_names_the_request_too(in_url: bool) -> None:
    def uuid(question: str) -> str:
        request = FrameRequest(sampler="topk", question=question)
        part = video(request.url("file:///v.mp4")) if in_url else video(sampler="topk")
        rewritten = rewrite(chat([{**part, "uuid": "v"}, text(question)]), limits=LIMITS)
        assert rewritten is not None
        found: str = rewritten["messages"][0]["content"][0]["uuid"]
        return found

    assert uuid("a") != uuid("b")
    assert uuid("a") == uuid("a")
    assert uuid("a").startswith("v-")


def test_a_sampler_without_a_video_is_refused() -> None:
    with pytest.raises(InputError, match="no message has a video"):
        rewrite(chat([text("q")], sampler="keyscore"), limits=LIMITS)


def test_the_servers_default_chooses_for_clients_that_ask_nothing() -> None:
    default = {"sampler": "uniform", "num_frames": 5}
    assert asked(chat([video(), text("q")]), default=default) == [
        FrameRequest(sampler="uniform", num_frames=5, question="q")
    ]
    assert asked(chat([video(num_frames=2), text("q")]), default=default)[0].num_frames == 2


@pytest.mark.parametrize(
    "body",
    [
        chat([video("data:video/jpeg;base64,AAAA,BBBB"), text("q")]),
        chat([video(fps=2), text("q")]),
        chat([{"type": "video_url", "video_url": {"url": "v.mp4", "max_frames": 4}}, text("q")]),
        chat([video(), text("q")], media_io_kwargs={"video": {"num_frames": 4}}),
        chat([video(), text("q")], mm_processor_kwargs={"do_sample_frames": False}),
    ],
)
def test_the_default_leaves_clients_alone_that_choose_frames_themselves(body: Json) -> None:
    assert rewrite(body, limits=LIMITS, default={"sampler": "uniform"}) is None


def test_the_default_chooses_for_clients_with_other_arguments_for_their_host() -> None:
    body = chat([video(), text("q")], mm_processor_kwargs={"max_pixels": 9000}, media_io_kwargs=3)
    assert asked(body, default={"sampler": "uniform"})[0].sampler == "uniform"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MAX_FRAMES", "many"),
        ("MAX_FRAMES", "0"),
        ("CONFIG", "llmvs"),
        ("CONFIG", '{"llvms": {"model": "chat"}}'),
        ("DEFAULT", "keyscore"),
        ("DEFAULT", '["keyscore"]'),
        ("DEFAULT", '{"sampler": "keyscores"}'),
        ("DEFAULT", '{"num_frames": 4}'),
    ],
)
def test_an_environment_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"KEYSCORE_{name}", value)
    with pytest.raises(InputError):
        ServerSettings.from_environment()


def test_the_environment_sets_what_the_server_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEYSCORE_ENCODER", "conse")
    monkeypatch.setenv("KEYSCORE_CAPTIONER", "labels")
    monkeypatch.setenv("KEYSCORE_CONFIG", '{"llmvs": {"model": "chat"}}')
    monkeypatch.setenv("KEYSCORE_INDEX", "auto")
    monkeypatch.setenv("KEYSCORE_MAX_FRAMES", "12")
    monkeypatch.setenv("KEYSCORE_DEFAULT", '{"sampler": "keyscore", "num_frames": 12}')
    settings = ServerSettings.from_environment()
    assert (settings.encoder, settings.device) == ("conse", "cpu")
    assert (settings.captioner, settings.config.llmvs.model) == ("labels", "chat")
    assert (settings.index, settings.limits.max_frames) == ("auto", 12)
    assert settings.default == {"sampler": "keyscore", "num_frames": 12}
