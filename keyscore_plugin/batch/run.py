"""Answer each line of a manifest once, however often the run is cut off."""

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from keyscore_plugin.batch.asked import Asked, Budget, differences
from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.batch.manifest import Item
from keyscore_plugin.errors import InputError, KeyScoreError, MemoryEndedError, VideoError, shown
from keyscore_plugin.samplers.base import Sampler
from keyscore_plugin.samplers.within import within

Record = dict[str, Any]
Records = Generator[tuple[Item, Record], None, None]
Answers = Callable[[Sequence[Item]], Records]  # one record for each line, in the order given


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """What a run did.

    Attributes:
        n_lines: Lines of the manifest.
        n_before: Lines that were answered when the run started.
        n_errors: Lines of the whole output that hold an error.
    """

    n_lines: int
    n_before: int
    n_errors: int


def answer(item: Item, sampler: Sampler, budget: Budget) -> Record:
    """The record of one line: its selection, or why there is none.

    Only what lies in the line or its video becomes a record, and a device's memory that ends: the
    next video may be smaller. A missing package or model is no fact about the video: it ends the
    run, and the line is answered by the next one.
    """
    try:
        chooser = within(sampler, start_seconds=item.start_seconds, end_seconds=item.end_seconds)
        selection = chooser(
            item.path,
            num_frames=budget.num_frames,
            threshold=budget.threshold,
            caption=item.caption,
            question=item.question,
        )
    except (VideoError, InputError, MemoryEndedError) as error:
        return error_record(item, error)
    return {**selection.to_dict(), "video": item.video}


def error_record(item: Item, error: KeyScoreError) -> Record:
    """The record of a line that has no selection."""
    return {"video": item.video, "error": " ".join(str(error).split())}


def answers_here(sampler: Sampler, budget: Budget) -> Answers:
    """Answer line after line in this process; `keyscore_plugin.batch.pool` has other processes."""

    def records(items: Sequence[Item]) -> Records:
        for item in items:
            yield item, answer(item, sampler, budget)

    return records


def run_batch(
    items: Sequence[Item],
    journal: Journal,
    answers: Answers,
    *,
    asked: Asked,
    on_answer: Callable[[int, int], None],
) -> BatchSummary:
    """Answer the lines that the journal does not hold, in the order of the manifest.

    Args:
        items: The manifest.
        journal: The open output.
        answers: Gives the records; closed when the run ends early.
        asked: What the answers answer.
        on_answer: Called with (lines answered, lines in all) at the start and after each line.

    Raises:
        InputError: The journal holds answers to another manifest or from other settings.
    """
    n_errors = 0
    for item in items:
        if item.id in journal.done:
            _require_same_run(journal, item, asked)
            n_errors += "error" in journal.done[item.id]
    journal.mend()
    pending = [item for item in items if item.id not in journal.done]
    n_before = len(items) - len(pending)
    on_answer(n_before, len(items))
    with closing(answers(pending)) as records:
        for n_answered, (item, record) in enumerate(records, start=n_before + 1):
            journal.append(item.id, record)
            n_errors += "error" in record
            on_answer(n_answered, len(items))
    return BatchSummary(n_lines=len(items), n_before=n_before, n_errors=n_errors)


def _require_same_run(journal: Journal, item: Item, asked: Asked) -> None:
    """Refuse to mix answers to different questions in one file."""
    for name, then, now in differences(journal.done[item.id], item, asked):
        raise InputError(
            f"{journal.path} holds id {shown(item.id)} with {name} {shown(then)}, "
            f"this run asks for {shown(now)}; give another --out"
        )
