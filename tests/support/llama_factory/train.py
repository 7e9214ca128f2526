"""One training step by LLaMA-Factory, in a separate process, with what reached the model.

    python -m tests.support.llama_factory.train FOLDER VIDEO

FOLDER holds the folder ``model``; the data set and the settings are written there. Prints one JSON
object: the frames and the seconds in the batch that the model was called with.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

from keyscore_llamafactory.__main__ import main as train
from tests.support.tiny import FAMILIES
from tests.support.tiny.family import hf

FAMILY = "qwen3_vl"
SETTINGS = {
    "stage": "sft",
    "do_train": True,
    "finetuning_type": "full",
    "template": "qwen3_vl_nothink",
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
    """Write the row, train a step, and print what the model got."""
    place = Path(folder)
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
    (place / "rows.json").write_text(json.dumps([row]))
    (place / "dataset_info.json").write_text(json.dumps({"rows": about}))
    settings = SETTINGS | {
        "model_name_or_path": str(place / "model"),
        "dataset_dir": str(place),
        "output_dir": str(place / "out"),
    }
    (place / "train.yaml").write_text(json.dumps(settings))
    batches = watch(hf("Trainer"))
    sys.argv = ["keyscore_llamafactory", str(place / "train.yaml")]
    os.chdir(place)
    if code := train():
        return code
    family = FAMILIES[FAMILY]
    processor = hf("AutoProcessor").from_pretrained(place / "model")
    assert family.read_times is not None
    seconds = family.read_times(batches[0], processor, None)
    print(json.dumps({"frames": family.read_back(batches[0]), "seconds": seconds}))
    return 0


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
