"""Where the video of a name lies."""

from pathlib import Path

from evals.summaries.titles import title_of_name
from keyscore_plugin.errors import InputError

_ENDINGS = (".mp4", ".webm")


def find_video(root: Path, name: str) -> Path:
    """The file under ``Videos`` that bears a name.

    SumMe's own files disagree about spaces, underscores and capitals ("Saving dolphines"); one
    file must fit, and one only.

    Args:
        root: Folder of the data set.
        name: Of the video, without an ending.

    Returns:
        The path under ``root``; ``Videos/<name>.mp4`` where there is none, for the caller to miss.

    Raises:
        InputError: Several files fit.
    """
    fitting = sorted(
        path.relative_to(root)
        for path in (root / "Videos").glob("*")
        if path.suffix in _ENDINGS and _plain(path.stem) == _plain(name)
    )
    if len(fitting) > 1:
        raise InputError(
            f"{root} has {len(fitting)} files for {name!r}: {', '.join(map(str, fitting))}"
        )
    return fitting[0] if fitting else Path("Videos", f"{name}.mp4")


def _plain(name: str) -> str:
    return title_of_name(name).casefold()
