"""Answers of Video-LLMs, read as clips: a table with the right answer by hand, and fuzzing."""

import json
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyscore_plugin import ClipAnswer, Clips, PredictedClip, format_clips, parse_clips
from keyscore_plugin.errors import InputError, one_line
from keyscore_plugin.types.clip_answer import Problem

DURATION = 90.0  # of the video that every answer of the table is about

Row = tuple[float, float, int, str]

# Each answer is written by hand, after what Video-LLMs do; right is (start, end, priority, reason).
READ: list[tuple[str, str, list[Row]]] = [
    (
        "as asked",
        '[{"start": 12.5, "end": 20, "priority": 1, "reason": "The dog jumps."}]',
        [(12.5, 20, 1, "The dog jumps.")],
    ),
    (
        "two clips of both priorities",
        '[{"start": 1, "end": 2, "priority": 1, "reason": "a"},'
        ' {"start": 30, "end": 45.5, "priority": 2, "reason": "b"}]',
        [(1, 2, 1, "a"), (30, 45.5, 2, "b")],
    ),
    ("without reason", '[{"start": 0, "end": 3, "priority": 2}]', [(0, 3, 2, "")]),
    ("without priority", '[{"start": 0, "end": 3, "reason": "x"}]', [(0, 3, 1, "x")]),
    (
        "null for a reason",
        '[{"start": 0, "end": 3, "priority": 1, "reason": null}]',
        [(0, 3, 1, "")],
    ),
    ("other keys", '[{"start": 0, "end": 3, "priority": 1, "score": 4.9}]', [(0, 3, 1, "")]),
    (
        "keys in another order",
        '[{"reason": "r", "priority": 2, "end": 9, "start": 8}]',
        [(8, 9, 2, "r")],
    ),
    (
        "one entry a line",
        '[\n  {"start": 5, "end": 6, "priority": 1},\n  {"start": 7, "end": 8, "priority": 1}\n]\n',
        [(5, 6, 1, ""), (7, 8, 1, "")],
    ),
    ("a comma after the last", '[{"start": 5, "end": 6, "priority": 1},]', [(5, 6, 1, "")]),
    ("a code fence", '```json\n[{"start": 5, "end": 6, "priority": 1}]\n```', [(5, 6, 1, "")]),
    (
        "prose before",
        'The relevant part is:\n[{"start": 5, "end": 6, "priority": 1}]',
        [(5, 6, 1, "")],
    ),
    (
        "prose around, with brackets",
        'Frames [1] and [2, 3] show it: [{"start": 5, "end": 6, "priority": 1}] (see [4]).',
        [(5, 6, 1, "")],
    ),
    (
        "an object around the list",
        '{"clips": [{"start": 5, "end": 6, "priority": 1}], "answer": "B"}',
        [(5, 6, 1, "")],
    ),
    (
        "a draft, then the answer",
        'First [{"start": 1, "end": 2}], no: [{"start": 5, "end": 6, "priority": 1}]',
        [(5, 6, 1, "")],
    ),
    (
        "a thought, then the answer",
        '<think>[{"start": 1, "end": 2}] or later?</think>[{"start": 5, "end": 6, "priority": 1}]',
        [(5, 6, 1, "")],
    ),
    (
        "an empty list in the prose after",
        '[{"start": 5, "end": 6, "priority": 1}] Otherwise I would have answered [].',
        [(5, 6, 1, "")],
    ),
    ("minutes and seconds", '[{"start": "0:05", "end": "1:15", "priority": 1}]', [(5, 75, 1, "")]),
    ("two digits of minutes", '[{"start": "00:05", "end": "01:15.5"}]', [(5, 75.5, 1, "")]),
    ("hours", '[{"start": "0:00:05", "end": "0:01:15", "priority": 1}]', [(5, 75, 1, "")]),
    ("numbers as text", '[{"start": "5", "end": "7.25", "priority": "1"}]', [(5, 7.25, 1, "")]),
    (
        "seconds with a unit",
        '[{"start": "5s", "end": "7.5 seconds", "priority": 1}]',
        [(5, 7.5, 1, "")],
    ),
    (
        "P1 and p2",
        '[{"start": 1, "end": 2, "priority": "P1"}, {"start": 3, "end": 4, "priority": "p2"}]',
        [(1, 2, 1, ""), (3, 4, 2, "")],
    ),
    ("priorities with a point", '[{"start": 1, "end": 2, "priority": 2.0}]', [(1, 2, 2, "")]),
    (
        "overlapping, as written",
        '[{"start": 10, "end": 30, "priority": 2}, {"start": 20, "end": 25, "priority": 1}]',
        [(10, 30, 2, ""), (20, 25, 1, "")],
    ),
    (
        "not in time order, as written",
        '[{"start": 50, "end": 60, "priority": 1}, {"start": 1, "end": 2, "priority": 1}]',
        [(50, 60, 1, ""), (1, 2, 1, "")],
    ),
    (
        "one clip again and again",
        "[" + ", ".join(['{"start": 5, "end": 6, "priority": 1, "reason": "x"}'] * 9) + "]",
        [(5, 6, 1, "x")],
    ),
    ("the whole video", '[{"start": 0, "end": 90, "priority": 1}]', [(0, 90, 1, "")]),
    ("an end that is rounded up", '[{"start": 80, "end": 91, "priority": 1}]', [(80, 90, 1, "")]),
    ("cut off after an entry", '[{"start": 1, "end": 2, "priority": 1},', [(1, 2, 1, "")]),
    (
        "cut off in a reason",
        '[{"start": 1, "end": 2, "priority": 1}, {"start": 3, "end": 4, "reason": "The d',
        [(1, 2, 1, "")],
    ),
    (
        "cut off in a number",
        '[{"start": 1, "end": 2, "priority": 1}, {"start": 3, "end": 4',
        [(1, 2, 1, "")],
    ),
    (
        "cut off in a code fence",
        '```json\n[{"start": 1, "end": 2, "priority": 2}\n',
        [(1, 2, 2, "")],
    ),
    (
        "a bad entry between good ones",
        '[{"start": 1, "end": 2}, {"start": 9, "end": 4}, {"start": 5, "end": 6}]',
        [(1, 2, 1, ""), (5, 6, 1, "")],
    ),
    (
        "Chinese",
        '相关片段如下 [{"start": 5, "end": 6, "priority": 1, "reason": "狗跳起来。"}]',
        [(5, 6, 1, "狗跳起来。")],
    ),
    (
        "Arabic, with a line break in the reason",
        '[{"start": 5, "end": 6, "priority": 2, "reason": "الكلب\\nيقفز"}]',
        [(5, 6, 2, "الكلب يقفز")],
    ),
    (
        "German, with quotes",
        'Antwort: [{"start": 5, "end": 6, "priority": 1, "reason": "Er sagt \\"Ja\\"."}]',
        [(5, 6, 1, 'Er sagt "Ja".')],
    ),
]

REFUSED: list[tuple[str, str, Problem]] = [
    ("nothing", "", "empty"),
    ("blanks", " \n ", "empty"),
    ("a thought alone", "<think>The dog jumps.</think>", "empty"),
    ("prose", "The dog jumps at about 12 seconds.", "no list"),
    ("prose of another language", "狗在第十二秒跳起来。", "no list"),
    ("a loop", "the the the the the the the the the", "no list"),
    ("one clip without a list", '{"start": 5, "end": 6, "priority": 1}', "no list"),
    ("pairs of numbers", "[[5, 6], [7, 8]]", "no list"),
    ("numbers", "[12.5, 20]", "no list"),
    (
        "the form of the prompt",
        '[{"start": S, "end": S, "priority": P, "reason": "R"}, ...]',
        "no entry",
    ),
    ("quotes of Python", "[{'start': 5, 'end': 6, 'priority': 1}]", "no entry"),
    ("cut off in the first entry", '[{"start": 5, "end": 6, "pri', "no entry"),
    ("an empty list", "[]", "no clip"),
    ("an empty list after prose", "No part of the video shows it: []", "no clip"),
    ("no end", '[{"start": 5, "priority": 1}]', "no time"),
    ("other names", '[{"from": 5, "to": 6}]', "no time"),
    ("a list for a time", '[{"start": [5], "end": 6}]', "wrong type"),
    ("true for a time", '[{"start": true, "end": 6}]', "wrong type"),
    ("no number", '[{"start": NaN, "end": 6}]', "wrong type"),
    ("a word for a time", '[{"start": "soon", "end": "later"}]', "wrong type"),
    ("75 seconds after the minute", '[{"start": "0:75", "end": "1:20"}]', "wrong type"),
    ("a decimal comma", '[{"start": "5,5", "end": "6,5"}]', "wrong type"),
    ("a number for a reason", '[{"start": 5, "end": 6, "reason": 7}]', "wrong type"),
    ("minutes", '[{"start": "1 min", "end": "1.5 min"}]', "wrong unit"),
    ("milliseconds", '[{"start": "5000 ms", "end": "6000 ms"}]', "wrong unit"),
    ("frames", '[{"start": "frame 5", "end": "frame 6"}]', "wrong unit"),
    ("per cent", '[{"start": "5%", "end": "6%"}]', "wrong unit"),
    ("seconds in Chinese", '[{"start": "5秒", "end": "6秒"}]', "wrong unit"),
    ("reversed", '[{"start": 20, "end": 12.5, "priority": 1}]', "reversed"),
    ("a moment", '[{"start": 20, "end": 20, "priority": 1}]', "no length"),
    ("before the video", '[{"start": -3, "end": 4}]', "out of range"),
    ("after the video", '[{"start": 95, "end": 99}]', "out of range"),
    ("an end far after the video", '[{"start": 80, "end": 120}]', "out of range"),
    ("milliseconds as numbers", '[{"start": 5000, "end": 6000}]', "out of range"),
    ("infinity", '[{"start": 5, "end": Infinity}]', "out of range"),
    ("priority 3", '[{"start": 5, "end": 6, "priority": 3}]', "wrong priority"),
    ("a priority in words", '[{"start": 5, "end": 6, "priority": "high"}]', "wrong priority"),
]


def rows(answer: ClipAnswer) -> list[Row]:
    return [(c.start_seconds, c.end_seconds, c.priority, c.reason) for c in answer.clips]


@pytest.mark.parametrize(("text", "right"), [pytest.param(*one[1:], id=one[0]) for one in READ])
def test_an_answer_with_clips_is_read(text: str, right: list[Row]) -> None:
    answer = parse_clips(text, DURATION)
    assert rows(answer) == right
    assert answer.problem is None


@pytest.mark.parametrize(("text", "why"), [pytest.param(*one[1:], id=one[0]) for one in REFUSED])
def test_an_answer_without_clips_has_a_problem_with_a_name(text: str, why: Problem) -> None:
    answer = parse_clips(text, DURATION)
    assert (answer.problem, answer.clips, answer.notes) == (why, (), ())


def test_the_table_names_every_problem() -> None:
    assert {why for _, _, why in REFUSED} == set(get_args(Problem))
    assert len(READ) + len(REFUSED) >= 60


def test_what_was_left_out_of_an_answer_is_noted() -> None:
    answer = parse_clips('[{"start": 1, "end": 2}, {"start": 9, "end": 4}, {"start": 5', DURATION)
    assert answer.refused == (("reversed", '{"start": 9, "end": 4}'),)
    assert answer.is_cut_off
    assert [note.partition(":")[0] for note in answer.notes] == [
        "the model named a clip that cannot be used (reversed)",
        "the answer of the model was cut off; the clips before that are used",
    ]


def test_clips_of_an_answer_lose_what_a_better_priority_claims() -> None:
    answer = parse_clips(
        '[{"start": 10, "end": 30, "priority": 2, "reason": "b"},'
        ' {"start": 20, "end": 25, "priority": 1, "reason": "a"}]',
        DURATION,
    )
    clips = answer.to_clips(duration_seconds=DURATION, model="m")
    assert (clips.starts, clips.ends) == ((10, 20, 25), (20, 25, 30))
    assert (clips.priorities, clips.reasons) == ((2, 1, 2), ("b", "a", "b"))
    assert clips.weights[0] < clips.weights[1]
    assert (clips.origin, clips.model) == ("predicted", "m")


def test_a_long_reason_loses_its_middle() -> None:
    text = json.dumps([{"start": 1, "end": 2, "reason": "and the dog " * 500}])
    (clip,) = parse_clips(text, DURATION).clips
    assert len(clip.reason) == 300


@pytest.mark.parametrize("duration", [0, -1.0, float("nan"), float("inf")])
def test_a_video_without_a_duration_is_refused(duration: float) -> None:
    with pytest.raises(InputError, match="number of seconds above 0"):
        parse_clips("[]", duration)


@pytest.mark.parametrize("times", [(-1.0, 2.0), (3.0, 3.0), (0.0, float("inf"))])
def test_a_predicted_clip_that_no_video_has_is_refused(times: tuple[float, float]) -> None:
    with pytest.raises(InputError, match="ends after its start"):
        PredictedClip(*times)


def test_clips_that_no_model_is_asked_for_cannot_be_written() -> None:
    clips = Clips.from_intervals([1], [2], end_seconds=3, priorities=[3], origin="scored")
    with pytest.raises(InputError, match="priority 1 and 2"):
        format_clips(clips)


tenths = st.integers(0, 900).map(lambda n: n / 10)
intervals = st.tuples(tenths, tenths).filter(lambda pair: pair[0] < pair[1])
reasons = st.text(max_size=40).map(lambda text: one_line(text, most=300))


@pytest.mark.slow
@given(st.lists(st.tuples(intervals, st.sampled_from([1, 2]), reasons), max_size=6))
def test_clips_that_are_written_are_read_back(
    given_rows: list[tuple[tuple[float, float], int, str]],
) -> None:
    clips = Clips.from_intervals(
        [start for (start, _), _, _ in given_rows],
        [end for (_, end), _, _ in given_rows],
        end_seconds=DURATION,
        priorities=[priority for _, priority, _ in given_rows],
        reasons=[reason for _, _, reason in given_rows],
        origin="predicted",
    )
    answer = parse_clips(format_clips(clips), DURATION)
    read = answer.to_clips(duration_seconds=DURATION, model=None)
    assert answer.refused == ()
    assert (read.starts, read.ends) == (clips.starts, clips.ends)
    assert (read.priorities, read.reasons) == (clips.priorities, clips.reasons)


@given(st.floats(0, 89), st.floats(0.001, 1))
def test_a_written_clip_covers_the_clip(start: float, length: float) -> None:
    clips = Clips.from_intervals([start], [start + length], end_seconds=90, origin="scored")
    (read,) = parse_clips(format_clips(clips), DURATION).clips
    assert read.start_seconds <= clips.starts[0] + 1e-6
    assert read.end_seconds >= clips.ends[0] - 1e-6


value = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1:15", "5 s", "5%", "9" * 500, "P1"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=4,
)
entry = st.dictionaries(st.sampled_from(["start", "end", "priority", "reason", "x"]), value)
piece = st.one_of(
    st.lists(entry | value, max_size=3).map(json.dumps),
    st.text(max_size=12),
    st.sampled_from(["[{", "}]", "[", "]", '"', ",", "```", "</think>", "[[" * 300, "1" * 5000]),
)


@pytest.mark.slow
@given(st.lists(piece, max_size=8).map("".join), st.floats(0.001, 1e6), st.integers(0, 200))
def test_no_text_is_an_exception(text: str, duration: float, end: int) -> None:
    for answer in (parse_clips(text, duration), parse_clips(text[:end], duration)):
        assert (answer.problem is None) == bool(answer.clips)
        assert all(0 <= c.start_seconds < c.end_seconds <= duration for c in answer.clips)
        assert all(c.reason == one_line(c.reason, most=300) for c in answer.clips)
        answer.to_clips(duration_seconds=duration, model=None)


@given(st.text(alphabet='[{]}",:1 a\\', max_size=300))
def test_no_broken_json_is_an_exception(text: str) -> None:
    parse_clips(text, DURATION)


def test_lists_in_lists_are_refused_at_once() -> None:
    assert parse_clips('[{"a":' * 20_000, DURATION).problem == "no entry"
