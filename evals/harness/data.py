"""A data set that is not all there is one clear line."""

from collections.abc import Iterable
from pathlib import Path

from keyscore_plugin.errors import InputError

_SHOWN = 3


def require_files(root: Path, paths: Iterable[Path | str], *, source: str, layout: str) -> None:
    """Check that the files of a data set are there.

    Args:
        root: The folder that was given.
        paths: Files and folders under it.
        source: Where to get them.
        layout: How they lie under the folder.

    Raises:
        InputError: Some are not; names the first of them, the source and the layout.
    """
    wanted = [Path(path) for path in paths]
    missing = [path for path in wanted if not (root / path).exists()]
    if missing:
        named = ", ".join(map(str, missing[:_SHOWN])) + (", ..." if len(missing) > _SHOWN else "")
        raise InputError(
            f"{len(missing)} of {len(wanted)} files are not under {root}: {named}; "
            f"get them from {source} and lay them out as {layout}"
        )
