"""Encodes a row by ms-swift as its training does, in a separate process: it patches a great deal.

    python -m tests.support.ms_swift.encode MODEL VIDEO

Prints one JSON object: the frames that reach the model's tensors, by what stands in the row, and
what of ours ms-swift replaced.
"""

import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any

from keyscore_plugin.errors import InputError
from keyscore_qwen_vl_utils import install, replaced
from tests.support.tiny import FAMILIES

FAMILY = "qwen2_5_vl"
SIZE = {"nframes": 4, "resized_height": 56, "resized_width": 56}
ROWS: dict[str, dict[str, Any]] = {
    "without": {},
    "chosen": {"sampler": "uniform", "pair": "plain"},
    "misspelt": {"sampler": "uniforn"},
    "named": {"pair": "plain"},
}


def frames_of(template: Any, video: str, keys: Mapping[str, Any]) -> list[int] | str:
    """Numbers of the frames that the template makes tensors of, or the error."""
    row = {
        "messages": [
            {"role": "user", "content": "<video>Which?"},
            {"role": "assistant", "content": "A"},
        ],
        "videos": [f"{video}#frames=3,4,40,101" if keys == ROWS["named"] else video],
        "chat_template_kwargs": {**SIZE, **keys},
    }
    try:
        return FAMILIES[FAMILY].read_back(template.encode(row))
    except InputError as error:
        return str(error)


def main(model: str, video: str) -> None:
    """Install, let ms-swift patch, and encode each row."""
    install()
    swift: Any = importlib.import_module("swift")
    template = swift.get_template(
        swift.get_processor(model, model_type=FAMILY), template_type=FAMILY
    )
    template.set_mode("train")
    found = {name: frames_of(template, video, keys) for name, keys in ROWS.items()}
    print(json.dumps({**found, "replaced": [f"{one.name} by {one.by}" for one in replaced()]}))


if __name__ == "__main__":
    main(*sys.argv[1:])
