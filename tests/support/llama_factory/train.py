"""One training step by LLaMA-Factory for each family, in a separate process.

    python -m tests.support.llama_factory.train FOLDER VIDEO

FOLDER holds a model in a folder of its family's name; the data set and the settings are written
there. Prints one JSON object: by family, the frames and the seconds in the batch that the model was
called with; and how a training ends whose row cannot be used, and one whose plugin was replaced.
"""

import json
import os
import sys
from contextlib import redirect_stderr
from importlib import import_module
from io import StringIO
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

from keyscore_llamafactory.__main__ import main as train
from tests.support.tiny import FAMILIES
from tests.support.tiny.family import Family, hf

TEMPLATES = {"qwen3_vl": "qwen3_vl_nothink", "qwen2_5_vl": "qwen2_vl"}
SETTINGS = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "full",
    "dataset": "rows",
    "cutoff_len": 4096,
    "max_steps": 1,
    "per_device_train_batch_size": 1,
    "report_to": "none",
    "save_strategy": "no",
    "video_max_pixels": 112 * 112,
    "use_cpu": True,
    "disable_gradient_checkpointing": True,  # that of LLaMA-Factory needs an older transformers
}


def main(folder: str, video: str) -> int:
    """Train a step of each family, and print what the models got."""
    os.chdir(folder)
    batches = watch(hf("Trainer"))
    found: dict[str, Any] = {}
    for name in TEMPLATES:
        if code := train_on(name, video):
            return code
        found[name] = read(FAMILIES[name], batches.pop())
    with redirect_stderr(StringIO()) as said:
        code = train_on("qwen3_vl", f"{video},120")
    found["refused"] = code, said.getvalue().splitlines()[-1]
    take_plugin_out(TEMPLATES["qwen3_vl"])
    try:
        train_on("qwen3_vl", video)
    except OSError as error:
        found["patched"] = str(error)
    print(json.dumps(found))
    return 0


def train_on(name: str, video: str) -> int:
    """Write a row and the settings, and train; returns the exit code."""
    place = Path.cwd()
    row = {
        "messages": [
            {"role": "user", "content": "<video>Which?"},
            {"role": "assistant", "content": "A"},
        ],
        "videos": [video],
    }
    tags = {"role_tag": "role", "content_tag": "content"}
    tags |= {"user_tag": "user", "assistant_tag": "assistant"}
    columns = {"messages": "messages", "videos": "videos"}
    about = {"file_name": "rows.json", "formatting": "sharegpt", "columns": columns, "tags": tags}
    settings = SETTINGS | {
        "template": TEMPLATES[name],
        "model_name_or_path": str(place / name),
        "dataset_dir": str(place),
        "output_dir": mkdtemp(dir=place),  # it refuses that of an earlier training
    }
    contents = {
        "rows.json": [row],
        "dataset_info.json": {"rows": about},
        "train.yaml": settings,
    }
    for file, content in contents.items():
        Path(file).write_text(json.dumps(content))
    sys.argv = ["keyscore_llamafactory", "train.yaml"]
    return train()


def take_plugin_out(template: str) -> None:
    """Put the stock plugin back into a template, as another library may that makes its own."""
    module: Any = import_module("llamafactory.data.template")
    plugin = module.TEMPLATES[template].mm_plugin
    plugin.__class__ = type(plugin).__mro__[2]
    plugins: Any = import_module("keyscore_llamafactory.__main__")
    plugins.register = lambda: None  # it came after us


def read(family: Family, batch: dict[str, Any]) -> dict[str, Any]:
    """The frames and the seconds in a batch: in the prompt, or else in the position ids."""
    processor, model = family.build()
    if family.name != "qwen2_5_vl":
        assert family.read_times is not None
        seconds = family.read_times(batch, processor, model)
    else:
        # The three rows before the end: time, height and width; two positions a second.
        temporal = batch["position_ids"][-3][batch["input_ids"] == model.config.video_token_id]
        seconds = ((temporal - temporal[0]).unique_consecutive() / 2).tolist()
    return {"frames": family.read_back(batch), "seconds": seconds}


def watch(trainer: Any) -> list[dict[str, Any]]:
    """The batch of each later step of the trainer's class."""
    batches: list[dict[str, Any]] = []
    stock = trainer.training_step

    def training_step(self: Any, model: Any, inputs: Any, *args: Any) -> Any:
        batches.append(dict(inputs))
        return stock(self, model, inputs, *args)

    trainer.training_step = training_step
    return batches


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
