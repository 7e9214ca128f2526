"""Files that are there as a whole or not at all."""

import secrets
from contextlib import suppress
from pathlib import Path


def write_whole(path: Path, content: bytes) -> None:
    """Write a file beside its place and move it there in one step.

    Whoever reads meanwhile finds the file of before, or none; so does the next run where this one
    is killed or the disk is full. Several processes may write one file: the last one stays.

    Raises:
        OSError: The system refuses; nothing is left behind.
    """
    path = path.resolve()  # a link stays a link
    # Not a fixed name, and not mkstemp, whose files nobody else may read.
    beside = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with beside.open("xb") as file:
            file.write(content)
        beside.replace(path)
    finally:
        with suppress(OSError):  # it was moved, or never made
            beside.unlink()
