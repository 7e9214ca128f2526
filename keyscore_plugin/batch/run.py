"""Answer each line of a manifest exactly once, even if the run is interrupted and repeated."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from keyscore_plugin.batch.journal import Journal
from keyscore_plugin.batch.manifest import Item
from keyscore_plugin.errors import InputError, KeyScoreError, MemoryEndedError, VideoError, shown
from keyscore_plugin.samplers.base import Sampler, text_keywords
from keyscore_plugin.samplers.said import subtitles_read
from keyscore_plugin.samplers.within import within
from keyscore_plugin.types import one_text, texts_of

Record = dict[str, Any]
Records = Generator[tuple[Item, Record], None, None]
Answers = Callable[[Sequence[Item]], Records]  # one record for each line, in the order given
_OF_ANSWERS = frozenset({"indices", "error"})  # every record of a batch has one of these fields


@dataclass(frozen=True, slots=True)
class Budget:
    """The frames to choose of every video; the sampler's default if both fields are None.

    Attributes:
        num_frames: Number of frames.
        threshold: Least total score (0 to 1) of a chosen frame, instead of a number.
    """

    num_frames: int | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class RunSettings:
    """The settings that decide a record, together with its line of the manifest.

    Attributes:
        budget: Number of frames or threshold for every video.
        sampler: Name of the sampler.
        config: Settings of the sampler, as plain JSON values.
        encoder: Encoder, as `Selection.encoder` records it.
        decoder: Decoder, as `Selection.decoder` records it.
        captioner: Captioner, as `Caption.model` records it; None if no captions are written.
    """

    budget: Budget
    sampler: str
    config: Mapping[str, Any] = field(default_factory=dict)
    encoder: str | None = None
    decoder: str | None = None
    captioner: str | None = None


@dataclass(frozen=True, slots=True)
class BatchSummary:
    """Counts of a finished run.

    Attributes:
        n_lines: Lines of the manifest.
        n_before: Lines that were already answered when the run started.
        n_errors: Lines of the whole output that hold an error.
    """

    n_lines: int
    n_before: int
    n_errors: int


def answer(item: Item, sampler: Sampler, budget: Budget) -> Record:
    """Answer one line: return its selection, or the error that prevented one.

    An error of the line or its video becomes a record, and so does a device that runs out of
    memory, since the next video may be smaller. A missing package or model is not an error of the
    video: it ends the run, and the next run answers the line.

    Raises:
        MissingDependencyError: A package that the sampler needs is not installed.
        ModelError: A model does not load.
    """
    try:
        chooser = within(sampler, start_seconds=item.start_seconds, end_seconds=item.end_seconds)
        selection = chooser(
            item.path,
            num_frames=budget.num_frames,
            threshold=budget.threshold,
            caption=item.caption,
            question=item.question,
            **text_keywords(item.join, item.subtitles),
        )
    except (VideoError, InputError, MemoryEndedError) as error:
        return error_record(item, error)
    return {**selection.to_dict(), "video": item.video}


def error_record(item: Item, error: KeyScoreError) -> Record:
    """Return the record of a line that has no selection."""
    return {"video": item.video, "error": " ".join(str(error).split())}


def answers_here(sampler: Sampler, budget: Budget) -> Answers:
    """Return a function that answers lines in this process.

    `keyscore_plugin.batch.workers` answers them in worker processes instead.
    """

    def records(items: Sequence[Item]) -> Records:
        for item in items:
            yield item, answer(item, sampler, budget)

    return records


def run_batch(
    items: Sequence[Item],
    journal: Journal,
    answers: Answers,
    *,
    settings: RunSettings,
    on_answer: Callable[[int, int], None],
) -> BatchSummary:
    """Answer the lines that the journal does not hold, in the order of the manifest.

    Args:
        items: Lines of the manifest.
        journal: Output, open.
        answers: Function that answers lines; its generator is closed if the run ends early.
        settings: Settings by which ``answers`` works.
        on_answer: Function called with (lines answered, lines in all) at the start and after each
            line.

    Raises:
        InputError: The journal holds answers to another manifest or from other settings.
    """
    n_errors = 0
    if not all(_OF_ANSWERS & record.keys() for record in journal.done.values()):
        raise InputError(f"{journal.path} was not written by a batch; give another --out")
    for item in items:
        if item.id in journal.done:
            _require_same_run(journal, item, settings)
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


def _require_same_run(journal: Journal, item: Item, settings: RunSettings) -> None:
    """Refuse to mix the answers of two different runs in one file."""
    for name, then, now in _differences(journal.done[item.id], item, settings):
        raise InputError(
            f"{journal.path} holds id {shown(item.id)} with {name} {shown(then)}, "
            f"this run asks for {shown(now)}; give another --out"
        )


def _differences(
    record: Record, item: Item, settings: RunSettings
) -> Iterator[tuple[str, Any, Any]]:
    """Yield each value that differs: its name, the value in the record, and this run's value."""
    pairs: dict[str, tuple[Any, Any]] = {"video": (record.get("video"), item.video)}
    if "error" not in record:
        pairs |= _answer_pairs(record, item, settings)
    for name, (then, now) in pairs.items():
        # A sampler that reads no text records no text and no encoder.
        is_unread = then is None and name in ("caption", "question", "join", "encoder")
        if then != now and not is_unread:
            yield name, then, now


def _answer_pairs(record: Record, item: Item, settings: RunSettings) -> dict[str, tuple[Any, Any]]:
    pairs: dict[str, tuple[Any, Any]] = {"sampler": (record.get("sampler"), settings.sampler)}
    if settings.budget != Budget(num_frames=None, threshold=None):
        pairs["num_frames"] = (record.get("num_frames"), settings.budget.num_frames)
        pairs["threshold"] = (record.get("threshold"), settings.budget.threshold)
    captions, questions = texts_of(item.caption, "caption"), texts_of(item.question, "question")
    caption = record.get("caption") or {}
    is_given = caption.get("origin") == "given"
    pairs["caption"] = (caption.get("text") if is_given else None, one_text(captions))
    pairs["question"] = (record.get("question"), one_text(questions))
    # The options of one text, and subtitles, are joined by "any" although the line asks for "all".
    if (is_given and len(captions) > 1) or (record.get("question") and len(questions) > 1):
        pairs["join"] = (record.get("join"), item.join)
    # Older versions recorded no subtitles, and a sampler that reads no text reads none.
    if "subtitles" in record and record.get("encoder") is not None:
        texts = (caption.get("text") or "", record.get("question") or "")
        duration = record["duration_seconds"]
        read = subtitles_read(str(item.path), duration, item.subtitles, texts)
        pairs["subtitles"] = (record["subtitles"], None if read is None else asdict(read))
    pairs["start"] = (record.get("start_seconds"), item.start_seconds)
    pairs["end"] = (record.get("end_seconds"), item.end_seconds)
    pairs["encoder"] = (record.get("encoder"), settings.encoder)
    pairs["decoder"] = (record.get("decoder"), settings.decoder)
    # Version 0.3 and older recorded a captioner only in the caption that it wrote.
    if (captioner := record.get("captioner") or caption.get("model")) is not None:
        pairs["captioner"] = (captioner, settings.captioner)
    # Baselines record more settings than they are given; the additional ones are not compared.
    then, now = (_flat(config) for config in (record.get("config") or {}, settings.config))
    return pairs | {name: (then.get(name), value) for name, value in now.items()}


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """Turn ``{"grid": {"kind": "fps"}}`` into ``{"grid.kind": "fps"}``."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": v for inner, v in value.items()}
        else:
            flat[name] = value
    return flat
