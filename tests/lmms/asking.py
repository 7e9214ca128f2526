"""Requests as lmms-eval makes them, for models that are called without its command line."""

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TASK, SPLIT = "tiny", "test"


@dataclass
class TinyTask:
    """The methods of a task that a request carries.

    Attributes:
        folder: Where the clips are.
        lmms_eval_specific_kwargs: Its instructions, as in a task's YAML.
    """

    folder: Path
    lmms_eval_specific_kwargs: Mapping[str, Any] = field(
        default_factory=lambda: {"post_prompt": "Answer with a letter."}
    )

    def doc_to_visual(self, doc: Mapping[str, Any]) -> list[str]:
        return [str(self.folder / name) for name in doc["videos"]]

    def doc_to_text(self, doc: Mapping[str, Any]) -> str:
        return f"{doc['question']}\n{self.lmms_eval_specific_kwargs['post_prompt']}"

    def doc_to_messages(self, doc: Mapping[str, Any]) -> list[dict[str, Any]]:
        videos = [{"type": "video", "url": path} for path in self.doc_to_visual(doc)]
        text = {"type": "text", "text": self.doc_to_text(doc)}
        return [{"role": "user", "content": [*videos, text]}]


def requests_of(task: Any, docs: Sequence[Mapping[str, Any]], *, is_simple: bool) -> list[Any]:
    """One request a document."""
    instance = importlib.import_module("lmms_eval.api.instance").Instance
    made = []
    for doc_id, doc in enumerate(docs):
        options = {"max_new_tokens": 2, "temperature": 0, "do_sample": False}
        place = (doc_id, TASK, SPLIT)
        arguments = (
            (task.doc_to_text(doc), options, task.doc_to_visual, *place)
            if is_simple
            else (task.doc_to_text(doc), task.doc_to_messages, options, *place)
        )
        facts = {"task": TASK, "doc_id": doc_id, "repeats": 1, "split": SPLIT}
        made.append(instance("generate_until", arguments, 0, metadata=facts))
    return made


def ask(model: Any, task: Any, docs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The model's answers."""
    model.task_dict = {TASK: {SPLIT: list(docs)}}
    unwrap = importlib.import_module("lmms_eval.api.instance").unwrap_generation_output
    answers = model.generate_until(requests_of(task, docs, is_simple=model.is_simple))
    return [unwrap(answer)[0] for answer in answers]
