"""What the tests of lmms-eval run on: tiny models that answer A or B, clips, and two tasks."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch

from keyscore_plugin.video.samples import sample_video
from tests.support.tiny import FAMILIES
from tests.support.tiny.videos import numbered_video

TASKS = Path(__file__).parent / "task"
PLANTED = "PLANTED"  # stands in every answer that no sampler may see

TINY: tuple[dict[str, Any], ...] = (
    {
        "id": "q0",
        "videos": ["even.mp4"],
        "question": "Which colour comes first?",
        "option_a": "dark",
        "option_b": "bright",
        "answer": "A",
    },
    {
        "id": "q1",
        "videos": ["uneven.mp4"],
        "question": "When does the colour change?",
        "option_a": "near the start",
        "option_b": "past the middle",
        "answer": "B",
    },
    {
        "id": "q2",
        "videos": ["bikes.mp4"],
        "question": "Who passes the tram?",
        "option_a": "cyclists",
        "option_b": "a fire engine",
        "answer": "A",
    },
    {
        "id": "q3",
        "videos": ["carphone.mp4"],
        "question": "Where does the man sit?",
        "option_a": "at a desk",
        "option_b": "in a car",
        "answer": "B",
    },
)
HARD: tuple[dict[str, Any], ...] = (
    {
        "id": "q4",
        "videos": ["even.mp4", "uneven.mp4"],
        "question": "Which of the two is longer?",
        "option_a": "the first",
        "option_b": "the second",
        "answer": "B",
    },
    {
        "id": "q5",
        "videos": ["broken.mp4"],
        "question": "What cannot be seen?",
        "option_a": "this",
        "option_b": "that",
        "answer": "A",
    },
)


def write_clips(folder: Path) -> None:
    """Two numbered clips, one of an uneven rate; two real ones; and one that is no video."""
    numbered_video(folder / "even.mp4", n=80, fps=10)
    gaps = [0.04 + 0.36 * (i % 5 == 0) for i in range(60)]
    numbered_video(folder / "uneven.mp4", n=60, seconds=[sum(gaps[:i]) for i in range(60)])
    for name in ("bikes", "carphone"):
        shutil.copy(sample_video(name), folder / f"{name}.mp4")
    (folder / "broken.mp4").write_bytes(b"no video" * 64)


def write_tasks(folder: Path) -> None:
    """The tasks of `TASKS`, on documents and clips in the folder."""
    for name, docs in (("tiny", TINY), ("hard", HARD)):
        lines = [json.dumps({**doc, "secret": PLANTED}) for doc in docs]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n")
        task = (TASKS / f"keyscore_{name}.yaml").read_text()
        task = task.replace(f"{name}.jsonl", os.fspath(folder / f"{name}.jsonl"))
        (folder / f"keyscore_{name}.yaml").write_text(task)
    shutil.copy(TASKS / "utils.py", folder / "utils.py")


def save_answering(family: str, folder: Path) -> Path:
    """A tiny model of the family that answers A or B, whatever it is asked; returns its folder."""
    processor, model = FAMILIES[family].build()
    _answer_a_or_b(model, processor.tokenizer)
    processor.save_pretrained(folder)
    model.save_pretrained(folder)
    return folder


def _answer_a_or_b(model: Any, tokenizer: Any) -> None:
    """Let the sign of one hidden unit decide between the two letters.

    A random model would answer blanks, which the response cache of lmms-eval refuses to keep.
    """
    a, b = tokenizer.convert_tokens_to_ids(["A", "B"])
    width = model.config.get_text_config().hidden_size
    head = torch.nn.Linear(width, model.lm_head.out_features, bias=False)
    with torch.no_grad():
        norm = model.model.language_model.norm.weight
        norm.zero_()
        norm[0] = 1.0
        head.weight.zero_()
        head.weight[a, 0], head.weight[b, 0] = 10.0, -10.0
    model.lm_head = head
    for config in (model.config, model.config.get_text_config()):
        config.tie_word_embeddings = False
