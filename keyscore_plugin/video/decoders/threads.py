"""Which threads FFmpeg may start for one video, and how many; for the whole process."""

from typing import Literal

# FFmpeg's decoders that can work at several frames at once, and do not hold when they are used
# again after a seek. `tests/fuzz/sweep.py ROUNDS SEED all FILE` shows each: it flushes a decoder at
# random and compares its frames with those of a new one on one thread. All others hold.
NO_FRAME_THREADS = {
    "theora",  # one process in six crashes
    *("vp3", "vp4"),  # read by Theora's decoder
    "apng",  # now and then no frame comes after a seek
    "mpeg4",  # a B-frame of before the seek may come after it
    # Nothing here can write these, whose frames build on each other, so that they were not tried.
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
