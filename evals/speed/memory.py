"""The peak memory of a process. Imports nothing: peers' environments use it too."""

import resource
import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_megabytes() -> float:
    """Most memory this process, or a child of it that has ended, ever held.

    On Linux `getrusage` counts what the parent held when it started this process; the kernel's
    own high-water mark does not.
    """
    unit = 2**20 if sys.platform == "darwin" else 2**10
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    return max(children, _own_megabytes(unit))


def _own_megabytes(unit: int) -> float:
    if _STATUS.is_file():
        for line in _STATUS.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
