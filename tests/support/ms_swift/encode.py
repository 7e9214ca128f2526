"""Encodes a row by ms-swift as its training does, in a separate process: it patches a great deal.

    python -m tests.support.ms_swift.encode MODEL VIDEO

Prints one JSON object: the frames that reach the model's tensors, by what stands in the row; what
of ours ms-swift replaced; which row takes the place of one that cannot be read, and what is logged.
"""

import importlib
import json
import logging
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from keyscore_qwen_vl_utils import replaced
from keyscore_qwen_vl_utils.swift import install
from tests.support.tiny import FAMILIES

FAMILY = "qwen2_5_vl"
SIZE = {"nframes": 4, "resized_height": 56, "resized_width": 56}
ROWS: dict[str, dict[str, Any]] = {
    "without": {},
    "chosen": {"sampler": "uniform", "pair": "plain"},
    "misspelt": {"sampler": "uniforn"},
    "uncountable": {"sampler": "uniform", "fps": 2.0},
    "named": {"pair": "plain"},
}


class Kept(logging.Handler):
    """Appends each message to a list."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a message."""
        self.lines.append(record.getMessage())


def row(video: str, keys: Mapping[str, Any]) -> dict[str, Any]:
    """A row of a data set."""
    return {
        "messages": [
            {"role": "user", "content": "<video>Which?"},
            {"role": "assistant", "content": "A"},
        ],
        "videos": [video],
        "chat_template_kwargs": {**SIZE, **keys},
    }


def frames_of(template: Any, video: str, keys: Mapping[str, Any]) -> list[int] | str:
    """Numbers of the frames that the template makes tensors of, or what ended the training."""
    named = f"{video}#frames=3,4,40,101" if keys == ROWS["named"] else video
    try:
        return FAMILIES[FAMILY].read_back(template.encode(row(named, keys)))
    except SystemExit as error:
        return str(error)


def instead_of(template: Any, lost: str, video: str) -> tuple[list[int], list[str]]:
    """The frames of the row that ms-swift takes instead of one, and our lines in its log."""
    lines: list[str] = []
    logger: Any = importlib.import_module("swift.utils").get_logger()
    logger.addHandler(Kept(lines))
    dataset: Any = importlib.import_module("swift.dataset.utils").LazyLLMDataset
    keys = ROWS["chosen"]
    rows = dataset([row(lost, keys), row(video, keys)], template.encode)
    found, _ = (FAMILIES[FAMILY].read_back(rows[0]) for _ in range(2))
    return found, [line for line in lines if line.startswith("keyscore")]


def read_elsewhere(template: Any) -> None:
    """Patch the template as another library may, which opens each video by its name in the row."""

    def replace_tag(media_type: str, index: int, inputs: Any) -> list[str]:
        Path(inputs.videos[index]).stat()
        inputs.videos[index] = torch.zeros(4, 3, 56, 56)
        inputs.mm_processor_kwargs.setdefault("fps", []).append(2.0)
        return ["<|vision_start|><|video_pad|><|vision_end|>"]

    template.replace_tag = replace_tag


def main(model: str, video: str) -> None:
    """Install, let ms-swift patch, and encode each row."""
    install()
    swift: Any = importlib.import_module("swift")
    template = swift.get_template(
        swift.get_processor(model, model_type=FAMILY), template_type=FAMILY
    )
    template.set_mode("train")
    found: dict[str, Any] = {name: frames_of(template, video, ROWS[name]) for name in ROWS}
    found["replaced"] = [f"{one.name} by {one.by}" for one in replaced()]
    found["instead"], found["logged"] = instead_of(template, "lost.mp4", video)
    read_elsewhere(template)
    found["elsewhere"] = [frames_of(template, video, ROWS[name]) for name in ("chosen", "named")]
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
