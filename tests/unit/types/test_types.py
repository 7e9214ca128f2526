"""The values between the stages: checked when made, printed by shape, kept by JSON bit for bit."""

import json
import math
import pickle
from dataclasses import FrozenInstanceError, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.types import (
    Candidates,
    Caption,
    Embeddings,
    Frames,
    FrameScores,
    GridInfo,
    ScoredFrame,
    Selection,
    TextEmbedding,
)


def frames(n: int = 3) -> Frames:
    pixels = torch.arange(n * 24, dtype=torch.uint8).reshape(n, 2, 4, 3)
    return Frames(pixels, torch.arange(n) * 10, torch.arange(n) / 2)


def embeddings(n: int = 3) -> Embeddings:
    return Embeddings(torch.eye(n, 5), torch.arange(n), torch.arange(n).double(), "conse")


def selection(**changes: Any) -> Selection:
    whole = Selection(
        video="vidéo.mp4",
        sampler="keyscore",
        config=json.loads(json.dumps(SamplerConfig().to_dict())),
        num_frames=2,
        indices=[3, 70],
        pts_seconds=[0.1, 2.3356999999999997],
        scores=[0.1 + 0.2, 1 / 3],
        caption=Caption("a dog, “petted”\n", "generated", "labels"),
        question="why?",
        encoder="conse",
        decoder="pyav",
        duration_seconds=3.0000000000000004,
        average_fps=30000 / 1001,
        n_frames=90,
        n_frames_counted=True,
        n_grid=6,
        looked_at=GridInfo("refine", 4, 2),
        candidates=(ScoredFrame(3, 0.1, 0, 0.1, 0.2, 0.3, 0.7), ScoredFrame(70, 2.3357, 1)),
        curves=(ScoredFrame(0, 0.0), ScoredFrame(3, 0.1, None, 1e-17, 5e-324, -0.0, 1.0)),
        seconds={"decode": 0.25, "total": 0.5},
        notes=("stream ends early",),
    )
    return replace(whole, **changes)


def test_repr_prints_shapes_not_values() -> None:
    assert repr(frames()) == (
        "Frames(pixels=uint8(3, 2, 4, 3), indices=int64(3,), pts_seconds=float32(3,))"
    )
    assert repr(embeddings()) == (
        "Embeddings(vectors=float32(3, 5), indices=int64(3,), pts_seconds=float64(3,), "
        "model='conse')"
    )
    text = TextEmbedding(torch.ones(5), "conse", 9, 7)
    assert repr(text) == (
        "TextEmbedding(vector=float32(5,), model='conse', n_tokens=9, max_tokens=7, reading=None)"
    )
    assert repr(scores_of(2)).startswith("FrameScores(semantic=float32(2,), temporal=float32(2,)")
    assert "labels=int64(9,), k_silhouettes={2: 0.5})" in repr(candidates())


def candidates(n: int = 3) -> Candidates:
    rows = torch.arange(n)
    return Candidates(rows, rows, rows, rows.double(), torch.zeros(9, dtype=torch.int64), {2: 0.5})


def scores_of(n: int) -> FrameScores:
    return FrameScores(*[torch.rand(n) for _ in range(7)])


def test_values_do_not_change() -> None:
    for value, name in (
        (frames(), "pixels"),
        (embeddings(), "model"),
        (scores_of(2), "total"),
        (candidates(), "rows"),
        (Caption("a", "given"), "text"),
        (selection(), "indices"),
    ):
        with pytest.raises(FrozenInstanceError):
            setattr(value, name, None)


def test_the_length_of_a_value_is_its_number_of_rows() -> None:
    assert [len(v) for v in (frames(3), embeddings(4), scores_of(5), candidates(2))] == [3, 4, 5, 2]
    assert len(selection()) == 2


def test_frames_are_taken_by_rows() -> None:
    whole = frames(4)
    for rows in (slice(1, 3), [1, 2], torch.tensor([1, 2])):
        part = whole[rows]
        assert torch.equal(part.pixels, whole.pixels[1:3])
        assert part.indices.tolist() == [10, 20]
        assert part.pts_seconds.tolist() == [0.5, 1.0]


def test_tokens_beyond_the_limit_are_counted_as_cut() -> None:
    assert TextEmbedding(torch.ones(2), "m", 80, 77).n_tokens_cut == 3
    assert TextEmbedding(torch.ones(2), "m", 7, 77).n_tokens_cut == 0


THREE = torch.arange(3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Frames(torch.zeros(3, 2, 4, 3), THREE, THREE), "uint8, got .* torch.float32"),
        (lambda: Frames(frames().pixels[..., :1], THREE, THREE), r"got \(3, 2, 4, 1\)"),
        (lambda: Frames(frames().pixels[0], THREE, THREE), r"got \(2, 4, 3\)"),
        (lambda: Frames(frames().pixels, THREE[:2], THREE), "one length in every field.*2"),
        (lambda: Embeddings(torch.eye(3).long(), THREE, THREE, "m"), "floating point.*int64"),
        (lambda: Embeddings(torch.ones(3), THREE, THREE, "m"), r"\(n, d\).*got \(3,\)"),
        (lambda: Embeddings(torch.eye(3), THREE, THREE[:2], "m"), "Embeddings needs one length"),
        (lambda: Embeddings(torch.eye(3), THREE, -THREE, "m"), "Embeddings needs .* time order"),
        (
            lambda: Candidates(THREE, THREE[:2], THREE, THREE, THREE, {}),
            "Candidates needs one length",
        ),
        (lambda: Candidates(THREE, THREE, THREE, -THREE, THREE, {}), "time order"),
        (
            lambda: FrameScores(*[torch.rand(2 if i == 6 else 3) for i in range(7)]),
            "FrameScores needs one length",
        ),
        (lambda: Caption("  \n", "given"), "caption is empty"),
        (lambda: selection(indices=[3]), "1 indices and 2 times"),
        (lambda: selection(scores=[0.5]), "2 indices and 1 scores"),
        (lambda: selection(rank=[0, 2]), r"places 0 to 1 once, got \[0, 2\]"),
        (lambda: selection(rank=[1, 0]).prefix(0), "whole number >= 1, got 0"),
        (lambda: selection(rank=None).prefix(1), "have no order"),
        (lambda: selection(indices=[70, 3]), r"unique and rising, got \[70, 3\]"),
        (lambda: selection(indices=[3, 3]), "unique and rising"),
        (lambda: selection(pts_seconds=[0.1, math.nan]), "pts_seconds must be finite"),
        (lambda: selection(scores=[0.1, math.nan]), "scores must be finite"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_selection_takes_the_numbers_of_arrays_and_writes_them_as_json() -> None:
    plain = selection(indices=[3, 70], pts_seconds=[0.25, 7.5], scores=[0.5, 0.75])
    given = selection(
        indices=np.array([3, 70], dtype=np.uint32),
        pts_seconds=torch.tensor([0.25, 7.5]),
        scores=np.array([0.5, 0.75], dtype=np.float32),
        num_frames=np.int64(plain.num_frames or 0),
        average_fps=np.float64(plain.average_fps),
    )
    assert given.to_json() == plain.to_json()


def test_a_prefix_keeps_the_first_frames_in_time_order() -> None:
    whole = selection(
        indices=[3, 70, 90],
        pts_seconds=[0.25, 7.5, 9.0],
        scores=[0.5, 0.75, 0.1],
        rank=list(np.array([1, 0, 2])),
        frame_captions=("a", "b", "c"),
    )
    assert whole.prefix(1).frame_captions == ("b",)
    assert whole.prefix(1).indices == [70]
    two = whole.prefix(2)
    assert (two.indices, two.pts_seconds, two.scores) == ([3, 70], [0.25, 7.5], [0.5, 0.75])
    assert (two.num_frames, two.rank) == (2, [1, 0])
    assert two.prefix(1) == whole.prefix(1)
    assert whole.prefix(9).indices == whole.indices
    assert Selection.from_json(two.to_json()).rank == [1, 0]


def test_a_selection_of_a_long_video_is_shown_in_a_few_lines() -> None:
    frames = tuple(ScoredFrame(i, i / 2, 0, 0.1, 0.2, 0.3, 0.4) for i in range(2048))
    shown = repr(
        selection(
            video="/videos/" + "long " * 60 + "name.mp4",
            duration_seconds=1024.0,
            indices=list(range(64)),
            pts_seconds=[i / 2 for i in range(64)],
            scores=[0.5] * 64,
            caption=Caption("a dog " * 500, "generated", "labels"),
            curves=frames,
            candidates=frames[:16],
            notes=tuple(f"note {n}" for n in range(9)),
        )
    )
    assert len(shown) < 1000
    assert shown.count("\n") < 16
    assert shown.startswith("Selection(\n  video='/videos/long long")
    assert "name.mp4', duration_seconds=1024, n_frames=" in shown
    assert "  generated caption='a dog a dog" in shown
    assert "  indices=[0, 1, 2, 3, ..., 60, 61, 62, 63] (64,),\n" in shown
    assert "  pts_seconds=[0, 0.5, 1, 1.5, ..., 30, 30.5, 31, 31.5] (64,),\n" in shown
    assert "  candidates=(16,), curves=(2048,), n_grid=" in shown
    assert "  note='note 2',\n  6 more notes,\n)" in shown


def test_a_selection_without_scores_and_texts_shows_neither() -> None:
    shown = repr(selection(caption=None, question=None, scores=None, notes=(), threshold=None))
    assert "caption" not in shown
    assert "note" not in shown
    assert "  scores=None,\n" in shown
    assert "  question='why?',\n" in repr(selection(caption=None, question="why?"))
    assert ", threshold=0.5, encoder=" in repr(selection(num_frames=None, threshold=0.5))


def test_json_keeps_a_selection_bit_for_bit() -> None:
    for whole in (selection(), selection(caption=None, scores=None, num_frames=None, curves=())):
        text = whole.to_json(curves=True)
        assert "\n" not in text
        again = Selection.from_json(text)
        assert again == whole
        assert again.to_json(curves=True) == text


finite = st.floats(allow_nan=False, allow_infinity=False)


@given(
    times=st.lists(finite, min_size=2, max_size=2), scores=st.lists(finite, min_size=2, max_size=2)
)
def test_json_keeps_every_float(times: list[float], scores: list[float]) -> None:
    whole = selection(pts_seconds=times, scores=scores)
    again = Selection.from_json(whole.to_json())
    assert [x.hex() for x in again.pts_seconds] == [x.hex() for x in times]
    assert [x.hex() for x in again.scores or []] == [x.hex() for x in scores]


def test_json_of_an_older_version_says_not_what_was_looked_at() -> None:
    values = selection().to_dict()
    assert values.pop("looked_at") == {"kind": "refine", "n_first": 4, "n_closer": 2}
    assert Selection.from_dict(values).looked_at is None


def test_json_names_its_format_and_older_json_without_one_is_read() -> None:
    values = selection(curves=()).to_dict()
    assert values.pop("format") == 1
    assert Selection.from_dict(values) == selection(curves=())


def test_curves_are_written_only_when_asked_for() -> None:
    assert "curves" not in selection().to_dict()
    assert Selection.from_json(selection().to_json()) == selection(curves=())


def test_a_default_config_survives_json() -> None:
    whole = selection(config=SamplerConfig().to_dict(), curves=())
    again = Selection.from_json(whole.to_json())
    assert SamplerConfig.from_dict(again.config) == SamplerConfig()
    assert again == whole


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[1]", "expected an object, got list"),
        ("{}", "not a Selection: .*missing"),
    ],
)
def test_text_that_is_no_selection_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Selection.from_json(text)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, "not a Selection: .*colour"),
        ({"indices": 5}, "Selection.indices must be whole numbers, got 5"),
        ({"indices": [3, 7.5]}, r"Selection.indices must be whole numbers, got \[3, 7.5\]"),
        ({"pts_seconds": ["a", "b"]}, r"Selection.pts_seconds must be numbers, got \['a', 'b'\]"),
        ({"candidates": None}, "not a Selection"),
        ({"candidates": [{"row": 1}]}, "not a Selection: .*row"),
        ({"caption": "a dog"}, "not a Selection"),
        ({"caption": {"text": "", "origin": "given"}}, "caption is empty"),
        ({"notes": None}, "not a Selection"),
        ({"indices": [2, 1]}, "unique and rising"),
        ({"format": 2}, "a Selection of format 2 .* up to 1; update keyscore-plugin"),
        ({"format": "1"}, "a Selection of format '1' cannot be read"),
    ],
)
def test_values_that_are_no_selection_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Selection.from_dict({**selection().to_dict(), **changes})
    assert "\n" not in str(caught.value)


def test_a_video_error_survives_pickle() -> None:
    error = VideoError("a.mp4", "it is empty", "give a video")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) == "cannot read a.mp4: it is empty; give a video"
    assert (again.path, again.cause, again.remedy) == ("a.mp4", "it is empty", "give a video")
