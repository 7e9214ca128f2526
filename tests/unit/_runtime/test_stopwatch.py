"""Seconds count for the stage that is open, in the call that is open."""

import threading
from collections.abc import Iterator

from keyscore_plugin._runtime.stopwatch import counting, stage, waiting


def test_waiting_counts_the_decoder_and_nothing_else() -> None:
    pause = threading.Event()

    def slow() -> Iterator[int]:
        for number in range(2):
            pause.wait(0.02)
            yield number

    with counting() as stopwatch:
        for _ in waiting("decode", slow()):
            pause.wait(0.1)
        seconds = stopwatch.seconds()
    assert 0.03 < seconds["decode"] < seconds["total"] - 0.15


def test_a_stage_inside_another_counts_for_itself_alone() -> None:
    pause = threading.Event()
    with counting() as stopwatch:
        with stage("encode"):
            pause.wait(0.05)
            for _ in waiting("decode", iter([1])):
                pause.wait(0.02)
                with stage("propose"):
                    pause.wait(0.1)
        seconds = stopwatch.seconds()
    assert 0.06 < seconds["encode"] < 0.1
    assert 0.1 <= seconds["propose"] < 0.15
    assert seconds["decode"] < 0.02
    assert sum(seconds.values()) - seconds["total"] <= seconds["total"]


def test_a_call_inside_a_call_counts_for_itself_and_none_counts_outside() -> None:
    pause = threading.Event()
    with counting() as outer, stage("caption"):
        with counting() as inner, stage("encode"):
            pause.wait(0.05)
        assert inner.seconds()["encode"] >= 0.05
        assert outer.seconds()["encode"] == 0.0
    with stage("encode"):
        pause.wait(0.01)
    assert outer.seconds()["encode"] == 0.0
    assert outer.seconds()["caption"] >= 0.05
