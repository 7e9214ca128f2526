"""Worker processes: how they are started, how they ended, and that they end with their parent."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from multiprocessing.process import BaseProcess
from threading import Thread


def ending(exit_code: int | None) -> str:
    """How a process ended, in words such as ``"was killed by SIGSEGV"``.

    Args:
        exit_code: As `multiprocessing.process.BaseProcess.exitcode` gives it.
    """
    if exit_code is None:
        return "does not end, though it was killed"
    if exit_code < 0:
        return f"was killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


@contextmanager
def sigint_blocked() -> Iterator[None]:
    """Block Ctrl-C in processes that are started in this block.

    A terminal sends Ctrl-C to all its processes. Only the parent reacts to it, and ends its
    workers; each of them would print a traceback.
    """
    resource_tracker.ensure_running()  # else it starts with the first worker, and unblocks Ctrl-C
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with_parent() -> None:
    """End this process when its parent has ended, for any reason."""
    import fcntl

    parent = parent_process()
    if parent is None:
        return
    # This pipe is closed when the parent ends. On Linux the kernel then sends SIGIO, which ends
    # this process even while a decoder holds the GIL. On other systems the thread ends it, as soon
    # as it can run.
    pipe = parent.sentinel
    fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | fcntl.FASYNC)
    Thread(target=_wait_for_end, args=(parent,), daemon=True).start()


def _wait_for_end(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)
