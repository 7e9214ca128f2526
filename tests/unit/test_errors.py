"""Property: whatever was given, a message is one line of at most 400 characters with its advice."""

import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin import SamplerConfig, get_sampler, open_video, select
from keyscore_plugin.errors import (
    MOST_CHARACTERS,
    InputError,
    KeyScoreError,
    VideoError,
    one_line,
    shown,
)
from keyscore_plugin.hosts.download import DownloadLimits
from keyscore_plugin.hosts.pairing import check_pair, keyframes_for_budget
from keyscore_plugin.video.images import open_images
from keyscore_plugin.video.samples import sample_video

LARGE = 10**6
WILD: dict[str, Any] = {
    "bytes": b"\0" * LARGE,
    "bytearray": bytearray(LARGE),
    "memoryview": memoryview(bytes(LARGE)),
    "text": "frame " * LARGE,
    "blanks": " " * LARGE,
    "lines": "a\nb\r\x1b[31m\u2028" * 1000,
    "no Unicode": "\ud800" * 1000,
    "data: URL": "data:video/mp4;base64," + "A" * LARGE,
    "array": np.zeros((9, 999, 999), dtype=np.float32),
    "tensor": torch.zeros(9, 999, 999),
    "list": list(range(10**6)),
    "nested": [[b"\0" * 10**6] * 9] * 9,
    "dict": {"key " * 10**6: "value " * 10**6},
    "whole number": 10**5000,
    "negative": -(10**5000),
    "NaN": float("nan"),
    "None": None,
    "object": object(),
    "class": dict,
}


def is_short_line(text: str) -> bool:
    return len(text) <= MOST_CHARACTERS and text.isprintable()


@pytest.mark.parametrize("name", WILD)
def test_what_is_shown_is_short_and_printable(name: str) -> None:
    assert len(shown(WILD[name])) <= 80
    assert shown(WILD[name]).isprintable()


def test_media_are_shown_by_type_and_size() -> None:
    assert shown(b"\0" * 1234) == "<bytes of 1,234>"
    assert shown(np.zeros((2, 3), dtype=np.uint8)) == "<array of shape (2, 3), uint8>"
    assert shown(torch.zeros(2)) == "<array of shape (2,), torch.float32>"
    assert shown("kescore") == "'kescore'"


@given(st.text(), st.text())
def test_a_message_is_a_short_line_and_keeps_its_advice(given_text: str, cause: str) -> None:
    remedy = "give a video file such as .mp4"
    for error in (
        VideoError(given_text * 100, cause * 100, remedy),
        InputError(f"{given_text * 100} is no sampler {cause * 100}; {remedy}"),
    ):
        assert is_short_line(str(error))
        assert str(error).endswith(remedy)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)


@given(st.text(max_size=300).filter(str.isprintable))
def test_a_short_line_is_left_as_it_is(text: str) -> None:
    assert one_line(text) == text.strip()


def test_the_parts_of_an_error_stay_whole() -> None:
    path = "/videos/" + "x" * LARGE
    assert VideoError(path, "it is empty", "copy it again").path == path


CALLS: dict[str, Callable[[Any], Any]] = {
    "open_video": open_video,
    "open_video, pictures": lambda value: open_video([value], fps=1),
    "open_video, fps": lambda value: open_images([np.zeros((4, 4, 3), np.uint8)], fps=value),
    "open_video, decoder": lambda value: open_video(sample_video("bikes"), shown(value)),
    "get_sampler": get_sampler,
    "device": lambda value: get_sampler("uniform", device=shown(value)),
    "caption": lambda value: call(caption=value),
    "question": lambda value: call(question=value),
    "num_frames": lambda value: call(num_frames=value),
    "threshold": lambda value: call("topk", threshold=value),
    "fps": lambda value: call(fps=value),
    "config": lambda value: SamplerConfig.from_dict({"grid": {"kind": value}}),
    "config, stage": lambda value: SamplerConfig.from_dict({"grid": value}),
    "config, name": lambda value: SamplerConfig.from_dict({shown(value) * 1000: 1}),
    "limits": lambda value: DownloadLimits(max_bytes=value),
    "limits, time": lambda value: DownloadLimits(max_seconds=value),
    "sample_video": sample_video,
    "pair": check_pair,
    "token_budget": lambda value: keyframes_for_budget(value, 2),
    "select": lambda value: select(torch.ones(3), torch.arange(3.0), num_frames=value),
}


def call(sampler: str = "uniform", **keywords: Any) -> Any:
    return get_sampler(sampler)(sample_video("bikes"), **{"num_frames": 2, **keywords})


def answer(name: str, value: Any) -> str:
    """What the call says of a value that it does not take."""
    try:
        CALLS[name](value)
    except KeyScoreError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", CALLS)
def test_public_calls_answer_wild_values_in_a_short_line_or_take_them(name: str) -> None:
    answers = {given: answer(name, value) for given, value in WILD.items()}
    long = [given for given, said in answers.items() if not is_short_line(said)]
    assert long == []
