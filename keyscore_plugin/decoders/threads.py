"""Which threads FFmpeg may start for one video, and how many; for the whole process."""

from typing import Literal

# FFmpeg's decoders that work at several frames at once and do not hold when they are used again
# after a seek: found by `tests/fuzz/sweep.py`, which flushes every decoder that can be fed here at
# random and compares its frames with those of a new decoder on one thread (FFmpeg 5.1, 7.1, 8.1).
NO_FRAME_THREADS = {
    "theora",  # the process crashes, now and then
    *("vp3", "vp4"),  # Theora's decoder, too
    "mpeg4",  # frames are lost, and one of before the seek comes out after it
    "apng",  # now and then all frames after a seek are lost
    # Their frames build on each other, and nothing here writes them, so that they were not tried.
    *("mimic", "rv30", "rv40"),
}

_AS_MANY_AS_FFMPEG_LIKES = 0  # one a core and one more

_n_threads = _AS_MANY_AS_FFMPEG_LIKES


def decode_on_one_thread() -> None:
    """Start no threads for the videos that this process opens from now on.

    For a process that shares the cores with others of its kind.
    """
    global _n_threads
    _n_threads = 1


def n_threads() -> int:
    """Threads to ask FFmpeg for; 0 leaves it to FFmpeg."""
    return _n_threads


def kind_of_threads(codec: str) -> Literal["AUTO", "SLICE"]:
    """Over frames, where FFmpeg has them and they hold; else over the slices of a frame."""
    return "SLICE" if codec in NO_FRAME_THREADS else "AUTO"


def n_threads_of_any_kind(codec: str) -> int:
    """Threads to ask of a library that leaves their kind to FFmpeg."""
    return 1 if codec in NO_FRAME_THREADS else n_threads()
