"""Progress on standard error: bars on a terminal, a few plain lines in the log of a long run."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from keyscore_plugin._runtime import progress
from keyscore_plugin.cli.streams import detail, is_quiet, is_verbose, say, tell

# tqdm draws nothing before this time, and with disable=None nothing if stderr is not a terminal.
DELAY_SECONDS = 1.0

_LINE_SECONDS = 60.0  # ours: a log stays readable
_MAX_LINES = 100


def bar(description: str, total: int, unit: str) -> Any:
    """Make a bar that appears after a second, only on a terminal, and is erased at its end."""
    return tqdm(
        desc=description,
        total=total,
        unit=unit,
        delay=DELAY_SECONDS,
        disable=True if is_quiet() else None,
        leave=False,
    )


def announce(what: str) -> None:
    """Print that models are being loaded, on a terminal or if details are wanted."""
    if sys.stderr.isatty() or is_verbose():
        tell(f"loading {what} ...")


@contextmanager
def _load_lines(what: str) -> Iterator[None]:
    announce(what)
    start = time.monotonic()
    yield
    detail(f"loaded {what} in {time.monotonic() - start:.1f} s")


@contextmanager
def stage_bars() -> Iterator[None]:
    """Show what is being loaded, and a bar for each stage of a call that reports its progress."""
    bars: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage in bars and done < bars[stage].n:  # the stage begins anew
            bars.pop(stage).close()
        if stage not in bars:  # frames are embedded while others are decoded, so both bars stay
            for name in [name for name, one in bars.items() if one.n >= one.total]:
                bars.pop(name).close()
            bars[stage] = bar(stage, total, "frame")
        bars[stage].update(done - bars[stage].n)

    try:
        with progress.watching_loads(_load_lines), progress.listening(show):
            yield
    finally:
        close_bars(bars)


def close_bars(bars: dict[str, Any]) -> None:
    """Erase all bars from the terminal."""
    while bars:
        bars.popitem()[1].close()


@contextmanager
def line_meter(description: str) -> Iterator[Callable[[int, int], None]]:
    """Show progress over the lines of a run.

    On a terminal it is a bar. Elsewhere, such as in a log, and with details, it is a plain line now
    and then.

    Args:
        description: Text that the bar or each line begins with.

    Yields:
        Function to call with (lines done, lines in all).
    """
    with progress.watching_loads(_load_lines):
        if is_quiet():
            yield lambda done, total: None
        elif is_verbose() or not sys.stderr.isatty():
            yield PlainLines(description).show
        else:
            with _line_bar(description) as show:
                yield show


@contextmanager
def _line_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    bars: dict[str, Any] = {}

    def show(done: int, total: int) -> None:
        if description not in bars:
            # Lines that an earlier run answered do not count for the rate of this one.
            bars[description] = tqdm(desc=description, total=total, initial=done, unit="video")
        bars[description].update(done - bars[description].n)

    try:
        yield show
    finally:
        close_bars(bars)


class PlainLines:
    """Progress as lines of text: at most one per minute, and about a hundred in all.

    Args:
        description: Text that each line begins with.
        now: Function that gives the time in seconds.
    """

    def __init__(self, description: str, now: Callable[[], float] = time.monotonic) -> None:
        self._description = description
        self._now = now
        self._start: tuple[float, int] | None = None  # when this run began, and what was done
        self._last = 0.0, 0  # the same of the last line

    def show(self, done: int, total: int) -> None:
        """Print a line if it is time for one."""
        now = self._now()
        if self._start is None:
            self._start = self._last = now, done
            return
        last, done_then = self._last
        if now - last < _LINE_SECONDS or (done - done_then) * _MAX_LINES < total:
            return
        self._last = now, done
        start, done_before = self._start
        rate = (done - done_before) / (now - start)
        say(
            f"{self._description}: {done} of {total} videos, {rate * 60:.3g} a minute, "
            f"{tqdm.format_interval((total - done) / rate)} left"
        )
