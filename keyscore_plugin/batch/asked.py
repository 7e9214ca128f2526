"""What a run asks of every video, and whether a record answers just that."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyscore_plugin.batch.manifest import Item


@dataclass(frozen=True, slots=True)
class Budget:
    """How much a run asks of every video: a number of frames, or a threshold."""

    num_frames: int | None
    threshold: float | None


@dataclass(frozen=True, slots=True)
class Asked:
    """All that decides an answer beside the line of the manifest.

    Attributes:
        budget: Of each video; where it names neither, the sampler has its own.
        sampler: What answers.
        config: Its settings, as plain JSON values.
        encoder: As `Selection.encoder` records it.
        decoder: As `Selection.decoder` records it.
        captioner: As `Caption.model` records it; None writes no captions.
    """

    budget: Budget
    sampler: str
    config: Mapping[str, Any] = field(default_factory=dict)
    encoder: str | None = None
    decoder: str | None = None
    captioner: str | None = None


def differences(
    record: Mapping[str, Any], item: Item, asked: Asked
) -> Iterator[tuple[str, Any, Any]]:
    """Where a record answers something else: what it is, in the record, and asked now."""
    pairs: dict[str, tuple[Any, Any]] = {"video": (record.get("video"), item.video)}
    if "error" not in record:
        pairs |= _answer_pairs(record, item, asked)
    for name, (then, now) in pairs.items():
        # A sampler that reads no text records no text and no encoder.
        is_unread = then is None and name in ("caption", "question", "encoder")
        if then != now and not is_unread:
            yield name, then, now


def _answer_pairs(
    record: Mapping[str, Any], item: Item, asked: Asked
) -> dict[str, tuple[Any, Any]]:
    pairs: dict[str, tuple[Any, Any]] = {"sampler": (record.get("sampler"), asked.sampler)}
    if asked.budget != Budget(num_frames=None, threshold=None):
        pairs["num_frames"] = (record.get("num_frames"), asked.budget.num_frames)
        pairs["threshold"] = (record.get("threshold"), asked.budget.threshold)
    caption = record.get("caption") or {}
    is_given = caption.get("origin") == "given"
    pairs["caption"] = (caption.get("text") if is_given else None, item.caption)
    pairs["question"] = (record.get("question"), item.question)
    pairs["start"] = (record.get("start_seconds"), item.start_seconds)
    pairs["end"] = (record.get("end_seconds"), item.end_seconds)
    pairs["encoder"] = (record.get("encoder"), asked.encoder)
    pairs["decoder"] = (record.get("decoder"), asked.decoder)
    if caption and not is_given:
        pairs["captioner"] = (caption.get("model"), asked.captioner)
    # Published samplers record more than they are given; the rest is theirs.
    then, now = (_flat(config) for config in (record.get("config") or {}, asked.config))
    return pairs | {name: (then.get(name), value) for name, value in now.items()}


def _flat(config: Mapping[str, Any]) -> dict[str, Any]:
    """``{"grid": {"kind": "fps"}}`` as ``{"grid.kind": "fps"}``."""
    flat: dict[str, Any] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= {f"{name}.{inner}": v for inner, v in value.items()}
        else:
            flat[name] = value
    return flat
