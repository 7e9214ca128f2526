"""The clips of a video that a question needs: what any number of frames is taken from."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Any, Literal, get_args

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types.numbers import is_real, is_whole, plain

ClipOrigin = Literal["predicted", "scored", "segments"]

_PER_CLIP = ("starts", "ends", "weights", "priorities", "reasons")


@dataclass(frozen=True, slots=True, kw_only=True)
class Clips:
    """Stretches of one video, in time order, none of which overlap.

    Times are seconds from the first frame of the video, the clock of players and hosts. A frame
    belongs to a clip if ``start <= time < end``.

    Attributes:
        starts: Start of each clip in seconds.
        ends: End of each clip in seconds, after its start.
        weights: Worth of a second of each clip, positive: a clip's share of the frames grows with
            ``weight * (end - start)`` (K-frames, appendix D.2).
        priorities: Priority of each clip; 1 is the most important.
        reasons: Sentence for people that says why a clip was chosen; ``""`` if nobody wrote one.
        origin: Origin of the clips: ``"predicted"`` by a Video-LLM, ``"scored"`` by an encoder, or
            ``"segments"``, scenes that nothing has scored.
        model: Name of the model that predicted or scored them; None if there was none.

    Raises:
        InputError: The fields differ in length, a number is out of range, or clips are out of order
            or overlap.
    """

    starts: tuple[float, ...] = ()
    ends: tuple[float, ...] = ()
    weights: tuple[float, ...] = ()
    priorities: tuple[int, ...] = ()
    reasons: tuple[str, ...] = ()
    origin: ClipOrigin
    model: str | None = None

    def __post_init__(self) -> None:
        for name in _PER_CLIP:
            object.__setattr__(self, name, tuple(map(plain, getattr(self, name))))
        lengths = {name: len(getattr(self, name)) for name in _PER_CLIP}
        if len(set(lengths.values())) != 1:
            raise InputError(f"Clips needs one value per clip in every field, got {lengths}")
        for name in ("starts", "ends", "weights"):
            _require_finite(name, getattr(self, name))
        if not all(weight > 0 for weight in self.weights):
            raise InputError(f"Clips.weights must be positive, got {shown(self.weights)}")
        if not all(is_whole(priority) and priority >= 1 for priority in self.priorities):
            raise InputError(
                f"Clips.priorities must be whole numbers of at least 1, "
                f"got {shown(self.priorities)}"
            )
        if not all(isinstance(reason, str) for reason in self.reasons):
            raise InputError(f"Clips.reasons must be texts, got {shown(self.reasons)}")
        if self.origin not in get_args(ClipOrigin):
            raise InputError(
                f"Clips.origin must be {'|'.join(get_args(ClipOrigin))}, got {shown(self.origin)}"
            )
        self._require_order()

    def _require_order(self) -> None:
        for start, end in zip(self.starts, self.ends, strict=True):
            if not 0 <= start < end:
                raise InputError(f"a clip must end after its start, got {start} s to {end} s")
        for (_, end), (start, _) in pairwise(zip(self.starts, self.ends, strict=True)):
            if start < end:
                raise InputError(
                    f"Clips must be in time order and not overlap, but one ends at {end} s and the "
                    f"next starts at {start} s; Clips.from_intervals takes clips in any order"
                )

    @classmethod
    def from_intervals(
        cls,
        starts: Sequence[float],
        ends: Sequence[float],
        *,
        end_seconds: float,
        start_seconds: float = 0.0,
        weights: Sequence[float] | None = None,
        priorities: Sequence[int] | None = None,
        reasons: Sequence[str] | None = None,
        origin: ClipOrigin,
        model: str | None = None,
    ) -> "Clips":
        """Make clips from intervals in any order, which may overlap and leave the video.

        An interval is cut to the video, and left out if nothing of it remains. A moment that
        several intervals claim goes to the one of the best priority; of equal ones to the one of
        the largest weight, then to the earliest start. The others keep what remains of them, in
        several clips if one was cut out of their middle.

        Args:
            starts: Starts of the ``n`` intervals, in seconds from the first frame of the video.
            ends: Ends of the intervals.
            end_seconds: End of the video, or of the part of it that frames are chosen from.
            start_seconds: Start of that part.
            weights: Worth of a second of each interval; None gives all of them 1.
            priorities: Priority of each interval, 1 for the best; None gives all of them 1.
            reasons: Sentence on each interval; None gives none of them one.
            origin: Origin of the intervals, a value of `Clips.origin`.
            model: Name of the model that made them.

        Returns:
            The clips, sorted and disjoint; none for no interval.

        Raises:
            InputError: The arguments differ in length, or a number is not finite or out of range.

        Example:
            >>> clips = Clips.from_intervals([4, 0], [9, 6], end_seconds=8, origin="predicted")
            >>> clips.starts, clips.ends
            ((0.0, 6.0), (6.0, 8.0))
        """
        n = len(starts)
        rows: dict[str, Sequence[Any]] = {
            "starts": starts,
            "ends": ends,
            "weights": [1.0] * n if weights is None else weights,
            "priorities": [1] * n if priorities is None else priorities,
            "reasons": [""] * n if reasons is None else reasons,
        }
        lengths = {name: len(values) for name, values in rows.items()}
        if len(set(lengths.values())) != 1:
            raise InputError(f"Clips needs one value per clip in every field, got {lengths}")
        _require_finite("starts", starts)
        _require_finite("ends", ends)
        _require_finite("weights", rows["weights"])
        bounds = float(start_seconds), float(end_seconds)
        pieces: list[tuple[float, float, int]] = []
        for row in sorted(
            range(n), key=lambda i: (rows["priorities"][i], -rows["weights"][i], starts[i])
        ):
            interval = max(float(starts[row]), bounds[0]), min(float(ends[row]), bounds[1])
            pieces += [(*piece, row) for piece in _uncovered(interval, pieces)]
        pieces.sort()
        columns = {
            name: tuple(rows[name][row] for _, _, row in pieces)
            for name in ("weights", "priorities", "reasons")
        }
        return cls(
            starts=tuple(start for start, _, _ in pieces),
            ends=tuple(end for _, end, _ in pieces),
            **columns,
            origin=origin,
            model=model,
        )

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        inside = ", ".join(f"{f.name}={shown(getattr(self, f.name))}" for f in fields(self))
        return f"Clips({inside})"


def _require_finite(name: str, values: Sequence[float]) -> None:
    if not all(is_real(value) and math.isfinite(value) for value in values):
        raise InputError(f"Clips.{name} must be finite numbers, got {shown(values)}")


def _uncovered(
    interval: tuple[float, float], pieces: list[tuple[float, float, int]]
) -> list[tuple[float, float]]:
    """What of an interval no piece covers, in time order."""
    start, end = interval
    left = []
    for taken_from, taken_to, _ in sorted(pieces):
        if taken_from > start and min(taken_from, end) > start:
            left.append((start, min(taken_from, end)))
        start = max(start, taken_to)
    return left + ([(start, end)] if end > start else [])
