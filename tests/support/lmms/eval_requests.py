"""Requests as lmms-eval makes them, for models that are called without its command line."""

import importlib
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from keyscore_plugin.errors import MemoryEndedError
from keyscore_plugin.types import Selection
from tests.support.fixed_sampler import FixedSampler

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


class TellingSampler:
    """A sampler that chooses the first frame and keeps all that it is given; for the registry."""

    name = "telling"
    needs_text = True
    calls: ClassVar[list[dict[str, Any]]] = []

    def __init__(self, *settings: Any, **more: Any) -> None:
        self.settings = (settings, more)

    def __call__(self, video: Any, **asked: Any) -> Selection:
        TellingSampler.calls.append({"video": video, "path": video.path, **asked})
        return FixedSampler([0])(video, **asked)


class SmallGpuSampler(TellingSampler):
    """Has a GPU that ``uneven.mp4`` fills, and no video fits while anybody holds its pixels."""

    held: ClassVar[Callable[[], Tensor | None]] = staticmethod(lambda: None)

    def __call__(self, video: Any, **asked: Any) -> Selection:
        try:
            self._decode(Path(video.path).name)
        except RuntimeError as error:
            raise MemoryEndedError("the memory of the device does not hold it") from error
        return super().__call__(video, **asked)

    def _decode(self, name: str) -> None:
        if name == "uneven.mp4":
            pixels = torch.empty(1)
            SmallGpuSampler.held = weakref.ref(pixels)
        if SmallGpuSampler.held() is not None:
            raise torch.OutOfMemoryError("CUDA out of memory")


def echoing_model(*, is_simple: bool, **model_args: Any) -> Any:
    """A model of lmms-eval that answers with the videos it is shown, served by our base class."""
    lmms = importlib.import_module("lmms_eval.api.model").lmms
    models = importlib.import_module("keyscore_lmms_eval.models")
    hosts = importlib.import_module("keyscore_lmms_eval.model_table")

    def init(self: Any, max_num_frames: int = 8, **more: Any) -> None:
        lmms.__init__(self)
        self.max_num_frames = max_num_frames

    def generate_until(self: Any, requests: Sequence[Any]) -> list[str]:
        answers = []
        for request in requests:
            function = request.args[2 if self.is_simple else 1]
            doc_id, task, split = request.args[3:]
            shown = function(self.task_dict[task][split][doc_id])
            if not self.is_simple:
                parts = [part for message in shown for part in message["content"]]
                shown = [part["url"] for part in parts if part["type"] == "video"]
            for video in shown:
                reader = importlib.import_module("keyscore_qwen_vl_utils.reader")
                keyed = importlib.import_module("keyscore_qwen_vl_utils.request")
                reader.read(keyed.with_own_keys({"video": video}))
            answers.append(" ".join(shown))
        return answers

    methods = {"__init__": init, "generate_until": generate_until, "is_simple": is_simple}
    abstract = dict.fromkeys(("loglikelihood", "generate_until_multi_round"), generate_until)
    stock = type("Echo", (lmms,), {**methods, **abstract})
    host = hosts.Host(seam="fetch_video", budget="max_num_frames")
    model = type("Echo", (models.KeyScoreModel, stock), {"_host": host})
    return model(**model_args)
