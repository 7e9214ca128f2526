"""How many threads FFmpeg may start for one video; for the whole process."""

_AS_MANY_AS_FFMPEG_LIKES = 0  # one a core and one more

_n_threads = _AS_MANY_AS_FFMPEG_LIKES


def decode_on_one_thread() -> None:
    """Start no threads for the videos that this process opens from now on.

    For a process that shares the cores with others of its kind. Threads over frames also lose good
    frames beside one that does not decode, the more of them the more threads there are: what is
    seen of a damaged video would depend on how the cores were divided.
    """
    global _n_threads
    _n_threads = 1


def n_threads() -> int:
    """Threads to ask FFmpeg for; 0 leaves it to FFmpeg."""
    return _n_threads
