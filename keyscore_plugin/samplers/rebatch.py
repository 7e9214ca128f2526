"""Frames that come in batches, in chunks of another size."""

from collections.abc import Iterable, Iterator

import torch

from keyscore_plugin.types import Frames


def in_chunks(batches: Iterable[Frames], size: int) -> Iterator[Frames]:
    """The same frames in chunks of ``size``; the last one may be shorter."""
    held: list[Frames] = []
    room = size
    for batch in batches:
        rest = batch
        while len(rest):
            held.append(rest[:room])
            rest = rest[room:]
            room -= len(held[-1])
            if room == 0:
                yield joined(held)
                held, room = [], size
    if held:
        yield joined(held)


def joined(parts: list[Frames]) -> Frames:
    """Frames of one video one after the other, at least one part."""
    return Frames(
        torch.cat([part.pixels for part in parts]),
        torch.cat([part.indices for part in parts]),
        torch.cat([part.pts_seconds for part in parts]),
    )
