"""Text files, or one line that says they are none."""

from pathlib import Path

from keyscore_plugin.errors import InputError


def read_lines(path: Path) -> list[str]:
    """The lines of a file in UTF-8.

    Raises:
        InputError: It is none: an archive, a picture, a page in another encoding.
    """
    try:
        return path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8 ({error}); download it again") from error
