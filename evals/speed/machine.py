"""What ran it."""

import platform
from pathlib import Path

_CPU_FACTS = Path("/proc/cpuinfo")


def cpu_model() -> str:
    """The processor's own name, where the system tells it."""
    if _CPU_FACTS.is_file():
        for line in _CPU_FACTS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
