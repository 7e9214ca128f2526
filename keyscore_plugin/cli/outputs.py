"""Output files of a command, checked before the work starts."""

import io
import os
import tempfile
from pathlib import Path

from PIL import Image

from keyscore_plugin._runtime.files import write_whole
from keyscore_plugin.errors import InputError
from keyscore_plugin.types import Selection
from keyscore_plugin.video.source import reopened


def require_writable_folder(folder: Path) -> None:
    """Make a folder and check that a file can be written into it.

    Raises:
        InputError: A file cannot be written; the message says why.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A file is written, since permission bits say nothing about a read-only disk.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise unwritable(folder, error) from error


def require_writable_file(path: Path) -> None:
    """Check that a file can be written, without changing one that exists.

    Raises:
        InputError: The file cannot be written; the message says why.
    """
    try:
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError as error:  # too long a name, or a folder without permission
        raise unwritable(path, error) from error
    if is_folder:
        raise InputError(f"cannot write {path}: it is a folder; give the name of a file")
    require_writable_folder(path.parent)
    if is_there and not os.access(path, os.W_OK):
        raise InputError(f"cannot write {path}: it is read-only; give another name")


def unwritable(path: Path, error: OSError) -> InputError:
    """Return the error for an output file that cannot be written."""
    # The path that fails may be another one, such as a parent that is a file.
    name = f" ({error.filename})" if error.filename not in (None, str(path)) else ""
    return InputError(
        f"cannot write {path}: {error.strerror or error}{name}; give another place, or free this"
    )


def save_frames(selection: Selection, folder: Path) -> list[Path]:
    """Write the chosen frames as PNG at full size, named by index and time from the first frame.

    Args:
        selection: Selection whose frames are written. Its video is opened again, with the decoder
            that was used.
        folder: Output folder, which exists.

    Returns:
        Paths of the files, in time order.

    Raises:
        InputError: A file cannot be written.
        VideoError: The video has changed meanwhile, or a frame does not decode.
    """
    paths = []
    with reopened(selection) as source:
        # Frames are read one at a time, since many 4K frames may not fit in memory together.
        for index in selection.indices:
            frame = source.read([index]).since(source.start_pts_seconds)
            path = folder / f"frame_{index:07d}_{float(frame.pts_seconds[0]):.3f}s.png"
            content = io.BytesIO()
            Image.fromarray(frame.pixels[0].numpy()).save(content, format="PNG")
            try:
                write_whole(path, content.getvalue())
            except OSError as error:
                raise unwritable(path, error) from error
            paths.append(path)
    return paths
