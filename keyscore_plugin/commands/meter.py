"""Progress on standard error, where a person watches and something takes more than a second."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

from keyscore_plugin import progress

# tqdm draws nothing before this, and with disable=None nothing where stderr is no terminal.
DELAY_SECONDS = 1.0


def bar(description: str, total: int, unit: str) -> Any:
    """A bar that shows after a second, on a terminal only, and leaves nothing behind."""
    return tqdm(
        desc=description, total=total, unit=unit, delay=DELAY_SECONDS, disable=None, leave=False
    )


@contextmanager
def stage_bars() -> Iterator[None]:
    """Show a bar for each stage of a sampler's call that reports its progress."""
    bars: dict[str, Any] = {}

    def show(stage: str, done: int, total: int) -> None:
        if stage not in bars or done < bars[stage].n:  # the stage begins, or begins anew
            close_bars(bars)
            bars[stage] = bar(stage, total, "frame")
        bars[stage].update(done - bars[stage].n)

    try:
        with progress.listening(show):
            yield
    finally:
        close_bars(bars)


def close_bars(bars: dict[str, Any]) -> None:
    """Take all bars off the terminal."""
    while bars:
        bars.popitem()[1].close()


@contextmanager
def line_bar(description: str) -> Iterator[Callable[[int, int], None]]:
    """One bar over the lines of a run; call what it gives with (done, total)."""
    bars: dict[str, Any] = {}

    def show(done: int, total: int) -> None:
        if description not in bars:
            # What was answered before this run says nothing about its rate.
            bars[description] = tqdm(
                desc=description, total=total, initial=done, unit="video", disable=None
            )
        bars[description].update(done - bars[description].n)

    try:
        yield show
    finally:
        close_bars(bars)
