"""Damage a video file the way disks, networks and attackers do, the same way for the same seed."""

import random
from collections.abc import Callable

# Headers that hold counts, durations, rates and dimensions: of MP4 (ISO/IEC 14496-12), AVI,
# Matroska (RFC 9559: the IDs of Duration, DefaultDuration, TimestampScale, PixelWidth and -Height,
# Cluster times, blocks, and cues).
_HEADERS = (
    *(b"mvhd", b"tkhd", b"mdhd", b"elst", b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz"),
    *(b"stco", b"avc1", b"hvc1", b"avcC", b"hvcC", b"moov", b"mdat"),
    *(b"avih", b"strh", b"strf", b"idx1", b"movi"),
    *(b"\x44\x89", b"\x23\xe3\x83", b"\x2a\xd7\xb1", b"\xb0\x82", b"\xba\x82", b"\x1f\x43\xb6\x75"),
    *(b"\xe7\x81", b"\xa3", b"\xbb", b"\x53\xab"),
)
_LIES = (0, 1, 2, 255, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def mutate(seed: int, files: list[tuple[str, bytes]]) -> tuple[str, bytes]:
    """One damaged file.

    Args:
        seed: Decides everything.
        files: Names and contents of sound files.

    Returns:
        The name of the file that was damaged, and what became of it.
    """
    chance = random.Random(seed)
    name, sound = chance.choice(files)
    data = bytearray(sound)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if data:
            chance.choice(_WAYS)(data, chance, files)
    return name, bytes(data)


def _flip(data: bytearray, chance: random.Random, files: list[tuple[str, bytes]]) -> None:
    for _ in range(chance.choice((1, 3, 10, 100))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, chance: random.Random, files: list[tuple[str, bytes]]) -> None:
    start, end = _range(data, chance)
    filler = chance.choice((bytes(end - start), b"\xff" * (end - start)))
    data[start:end] = chance.choice((filler, chance.randbytes(end - start)))


def _cut_off(data: bytearray, chance: random.Random, files: list[tuple[str, bytes]]) -> None:
    del data[chance.randrange(len(data)) :]


def _cut_out(data: bytearray, chance: random.Random, files: list[tuple[str, bytes]]) -> None:
    start, end = _range(data, chance)
    del data[start:end]


def _repeat(data: bytearray, chance: random.Random, files: list[tuple[str, bytes]]) -> None:
    start, end = _range(data, chance)
    data[start:start] = data[start:end]


def _splice(data: bytearray, chance: random.Random, files: list[tuple[str, bytes]]) -> None:
    _, other = chance.choice(files)
    data[chance.randrange(len(data)) :] = other[chance.randrange(len(other)) :]


def _lie(data: bytearray, chance: random.Random, files: list[tuple[str, bytes]]) -> None:
    """Overwrite a number in one of the headers that the file has."""
    headers = [header for header in _HEADERS if header in data]
    if not headers:
        return
    header = chance.choice(headers)
    place = data.index(header, chance.randrange(data.rindex(header) + 1)) + len(header)
    place += chance.randrange(40) if len(header) == 4 else chance.randrange(5)
    n_bytes = chance.choice((1, 2, 4, 8))
    value = chance.choice((*_LIES, chance.getrandbits(32))) % 2 ** (8 * n_bytes)
    data[place : place + n_bytes] = value.to_bytes(n_bytes, chance.choice(("big", "little")))


def _range(data: bytearray, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(data))
    return start, start + chance.choice((1, 4, 16, 256, 4096, len(data) // 3))


_WAYS: tuple[Callable[[bytearray, random.Random, list[tuple[str, bytes]]], None], ...] = (
    *(_flip, _overwrite, _cut_off, _cut_out, _repeat, _splice),
    *(_lie, _lie, _lie),  # the half of it that looks sound
)
