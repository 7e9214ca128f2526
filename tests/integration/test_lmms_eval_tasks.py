"""What reaches a sampler of the documents of eight public tasks, each in its task's own format."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from keyscore_plugin.registries import SAMPLERS
from tests.support.lmms.eval_requests import TellingSampler, ask, echoing_model
from tests.support.requires import require_or_skip
from tests.support.tiny.videos import numbered_video

pytestmark = pytest.mark.filterwarnings("default")  # what the host warns about is its own

ANSWER = "PLANTED"


@dataclass(frozen=True, kw_only=True)
class Case:
    """One document of a task.

    Attributes:
        name: Of the task.
        yaml: Its file, below lmms_eval/tasks.
        doc: The document.
        video: Where the task looks for the video, below HF_HOME.
        question: What has to reach the sampler.
    """

    name: str
    yaml: str
    doc: Mapping[str, Any] = field(repr=False)
    video: str
    question: str


CASES = [
    Case(
        name="longvideobench_val_v",
        yaml="longvideobench/longvideobench_val_v.yaml",
        doc={
            "id": "86CxyhFV9MI_0",
            "video_id": "86CxyhFV9MI",
            "video_path": "86CxyhFV9MI.mp4",
            "subtitle_path": "86CxyhFV9MI_en.json",
            "question": "In the video, which subtitles appear with the man with black hair?",
            "option0": "promisc has come to an end",
            "option1": "run for your life",
            "option2": "N/A",
            "option3": "N/A",
            "option4": "N/A",
            "correct_choice": 1,
            "question_category": ANSWER,
            "duration": 8.0,
            "starting_timestamp_for_subtitles": 0.0,
        },
        video="datasets/longvideobench/videos/86CxyhFV9MI.mp4",
        question="In the video, which subtitles appear with the man with black hair?\n"
        "A. promisc has come to an end\nB. run for your life",
    ),
    Case(
        name="videomme",
        yaml="videomme/videomme.yaml",
        doc={
            "video_id": "001",
            "duration": "short",
            "domain": "Knowledge",
            "videoID": "fFjv93ACGo8",
            "question_id": "001-1",
            "task_type": "Counting Problem",
            "question": "When demonstrating the Germany modern Christmas tree, how many apples?",
            "options": ["A. Three.", "B. Two."],
            "answer": ANSWER,
        },
        video="videomme/data/fFjv93ACGo8.mp4",
        question="Select the best answer to the following multiple-choice question based on the "
        "video and the subtitles. Respond with only the letter (A, B, C, or D) of the correct "
        "option.\nWhen demonstrating the Germany modern Christmas tree, how many apples?\n"
        "A. Three.\nB. Two.",
    ),
    Case(
        name="mlvu_dev",
        yaml="mlvu/mlvu_dev.yaml",
        doc={
            "video_name": "needle_32.mp4",
            "duration": 467.98,
            "question": "What does the hand do?\n(A) Delivers a product\n(B) Points\n",
            "candidates": ["Delivers a product", "Points"],
            "answer": ANSWER,
            "task_type": "needle",
            "question_id": "Q0",
        },
        video="mlvu/needle_32.mp4",
        question="What does the hand do?\n(A) Delivers a product\n(B) Points",
    ),
    Case(
        name="lvbench",
        yaml="lvbench/lvbench.yaml",
        doc={
            "video_path": "Cm73ma6Ibcs.mp4",
            "uid": "3",
            "question": "What year appears in the opening caption?",
            "options": ["1636", "1366"],
            "answer": ANSWER,
            "time_reference": "00:15-00:19",
        },
        video="lvbench/Cm73ma6Ibcs.mp4",
        question="What year appears in the opening caption?\n(A) 1636\n(B) 1366",
    ),
    Case(
        name="egoschema",
        yaml="egoschema/egoschema.yaml",
        doc={
            "question_idx": "0",
            "question": "What is the overarching behavior of c and the man?",
            "video_idx": "001934bb-81bd-4cd8-a574-0472ef3f6678",
            "option": ["A. C teaches the man.", "B. They play cards."],
            "answer": ANSWER,
        },
        video="egoschema/videos/001934bb-81bd-4cd8-a574-0472ef3f6678.mp4",
        question="What is the overarching behavior of c and the man?\nA. C teaches the man.\n"
        "B. They play cards.",
    ),
    Case(
        name="nextqa_mc_test",
        yaml="nextqa/nextqa_mc_test.yaml",
        doc={
            "video": "4010069381",
            "qid": 6,
            "question": "how do the two men play the instrument",
            "type": "CH",
            "a0": "roll the handle",
            "a1": "tap their feet",
            "a2": "strum the string",
            "a3": "hit with sticks",
            "a4": "pat with hand",
            "answer": 0,
            "secret": ANSWER,
        },
        video="nextqa/NExTVideo/4010069381.mp4",
        question="how do the two men play the instrument\nA. roll the handle\nB. tap their feet\n"
        "C. strum the string\nD. hit with sticks\nE. pat with hand",
    ),
    Case(
        name="mvbench_action_count",
        yaml="mvbench/mvbench_action_count.yaml",
        doc={
            "video": "video_6833.mp4",
            "question": "The person makes sets of repeated actions. How many times?",
            "candidates": ["3", "2"],
            "answer": ANSWER,
        },
        video="mvbench_video/perception/videos/video_6833.mp4",
        question="Question:The person makes sets of repeated actions. How many times?\nOption:\n"
        "(A) 3\n(B) 2",
    ),
    Case(
        name="tempcompass_multi_choice",
        yaml="tempcompass/tempcompass_mc.yaml",
        doc={
            "video_id": "1021488277",
            "question": "What is happening in the video?\nA. melting\nB. freezing",
            "answer": ANSWER,
            "dim": "action",
        },
        video="tempcompass/videos/1021488277.mp4",
        question="What is happening in the video?\nA. melting\nB. freezing",
    ),
]


def load_task(yaml: str) -> Any:
    """The task with its own functions and instructions, without its dataset, which is not here."""
    package = importlib.import_module("lmms_eval")
    utils = importlib.import_module("lmms_eval.utils")
    api = importlib.import_module("lmms_eval.api.task")
    path = Path(str(package.__file__)).parent / "tasks" / yaml
    config = utils.load_yaml_config(path, mode="full")
    task = object.__new__(api.ConfigurableMessagesTask)
    names = ("doc_to_messages", "model_specific_target_kwargs", "model_specific_generation_kwargs")
    task._config = SimpleNamespace(
        **{**dict.fromkeys((*names, "lmms_eval_specific_kwargs", "num_fewshot")), **config}
    )
    task.model_name = "qwen2_5_vl"
    task._prepare_model_specific_config()
    return task


@pytest.mark.parametrize("kind", ["simple", "chat"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_path_question_and_options_reach_the_sampler_and_the_answer_does_not(
    case: Case, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_or_skip("lmms_eval")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.setitem(SAMPLERS, "telling", "tests.support.lmms.eval_requests:TellingSampler")
    TellingSampler.calls.clear()
    video = tmp_path / case.video
    video.parent.mkdir(parents=True)
    numbered_video(video, n=20)
    model = echoing_model(
        is_simple=kind == "simple", sampler="telling", sampler_cache="none", sampler_log="none"
    )
    answers = ask(model, load_task(case.yaml), [case.doc])
    assert answers == [str(video)]
    [told] = TellingSampler.calls
    assert told["path"] == str(video)
    assert told["question"] == case.question
    given = {name for name, value in told.items() if value is not None}
    assert given == {"video", "path", "num_frames", "question"}
    assert ANSWER not in repr(told)
    assert ANSWER not in repr(vars(told["video"]))
