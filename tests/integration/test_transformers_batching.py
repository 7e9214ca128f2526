"""Captions asked for by several jobs are made together, whatever the jobs do."""

from collections.abc import Callable, Sequence
from functools import partial

import pytest
import torch

from keyscore_plugin.errors import ModelError
from keyscore_plugin.types import Caption, Frames
from keyscore_transformers.batching import BatchingCaptioner


class Numberer:
    """Captions a video by its first pixel, and remembers which videos came together."""

    name = "numberer"

    def __init__(self, *, broken: bool = False) -> None:
        self.rounds: list[list[int]] = []
        self.broken = broken

    def caption(self, frames: Frames) -> Caption:
        return self.caption_batch([frames])[0]

    def caption_batch(self, videos: Sequence[Frames]) -> list[Caption]:
        numbers = [int(frames.pixels[0, 0, 0, 0]) for frames in videos]
        self.rounds.append(numbers)
        if self.broken:
            raise ModelError("no caption today")
        return [Caption(str(number), origin="generated") for number in numbers]


def frames(number: int) -> Frames:
    return Frames(
        torch.full((1, 2, 2, 3), number, dtype=torch.uint8), torch.zeros(1).long(), torch.zeros(1)
    )


def job(
    captioner: BatchingCaptioner, number: int, *, captions: int = 1, fails: bool = False
) -> str:
    """Asks for some captions in turn, then ends or fails."""
    texts = [captioner.caption(frames(number + 10 * i)).text for i in range(captions)]
    if fails:
        raise ValueError(f"job {number} failed")
    return " ".join(texts)


def test_all_captions_come_in_one_round_and_in_order() -> None:
    captioner = BatchingCaptioner(numberer := Numberer())
    assert captioner.run([partial(job, captioner, i) for i in range(5)]) == list("01234")
    assert [sorted(numbers) for numbers in numberer.rounds] == [[0, 1, 2, 3, 4]]


def test_jobs_without_a_caption_hold_nobody_up() -> None:
    captioner = BatchingCaptioner(numberer := Numberer())
    jobs = [partial(job, captioner, i, captions=i % 2) for i in range(4)]
    assert captioner.run(jobs) == ["", "1", "", "3"]
    assert [sorted(numbers) for numbers in numberer.rounds] == [[1, 3]]


def test_jobs_may_ask_more_than_once() -> None:
    captioner = BatchingCaptioner(numberer := Numberer())
    jobs = [partial(job, captioner, i, captions=i) for i in (1, 2, 3)]
    assert captioner.run(jobs) == ["1", "2 12", "3 13 23"]
    assert [sorted(numbers) for numbers in numberer.rounds] == [[1, 2, 3], [12, 13], [23]]


def test_a_job_that_fails_fails_alone_and_is_reported() -> None:
    captioner = BatchingCaptioner(numberer := Numberer())
    ended: list[str] = []

    def last() -> str:
        ended.append(job(captioner, 2))
        return ended[-1]

    jobs: list[Callable[[], str]] = [partial(job, captioner, 1, captions=0, fails=True), last]
    with pytest.raises(ValueError, match="job 1 failed"):
        captioner.run(jobs)
    assert ended == ["2"]
    assert numberer.rounds == [[2]]


def test_a_captioner_that_fails_fails_every_job_and_is_usable_after() -> None:
    captioner = BatchingCaptioner(numberer := Numberer(broken=True))
    with pytest.raises(ModelError, match="no caption today"):
        captioner.run([partial(job, captioner, i) for i in range(3)])
    numberer.broken = False
    assert captioner.run([partial(job, captioner, i) for i in range(2)]) == ["0", "1"]


def test_outside_of_a_run_it_captions_at_once() -> None:
    captioner = BatchingCaptioner(numberer := Numberer())
    assert captioner.caption(frames(7)).text == "7"
    assert numberer.rounds == [[7]]
