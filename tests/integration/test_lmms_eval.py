"""The command line of lmms-eval with ``sampler=``: answers, frames, times, log, cache, errors."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.lmms.assets import HARD, TINY, save_answering, write_clips, write_tasks
from tests.support.lmms.command import Outcome, evaluate
from tests.support.requires import require_or_skip
from tests.support.tiny import FAMILIES
from tests.support.tiny.family import hf
from tests.support.tiny.read_back import prompt

pytestmark = pytest.mark.slow

BOTH = ("keyscore_tiny", "keyscore_hard")
SMALL = "min_pixels=3136,max_pixels=12544"
KEYSCORE = f"{SMALL},sampler=keyscore,sampler_encoder=conse,num_frames=8,sampler_log=log.jsonl"
NUMBERED = ("even.mp4", "uneven.mp4")


@pytest.fixture(scope="module")
def assets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_or_skip("lmms_eval")
    folder = tmp_path_factory.mktemp("lmms")
    write_clips(folder)
    write_tasks(folder)
    for family in ("qwen2_5_vl", "qwen3_vl"):
        save_answering(family, folder / family)
    return folder


@pytest.fixture(scope="module")
def run(assets: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Outcome]:
    """Runs the command line with one of the tiny models."""

    def with_model(model: str, **keywords: Any) -> Outcome:
        folder = tmp_path_factory.mktemp("run") / "out"
        return evaluate(assets, folder, model=model, pretrained=assets / model, **keywords)

    return with_model


@pytest.fixture(scope="module")
def chosen(run: Callable[..., Outcome], assets: Path) -> Outcome:
    """Qwen2.5-VL, chat, the keyscore sampler, both tasks."""
    arguments = f"{KEYSCORE},sampler_cache={assets / 'cache'}"
    return run("qwen2_5_vl", tasks=BOTH, model_args=arguments)


def documents() -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Task, position and fields of every document."""
    for task, docs in zip(BOTH, (TINY, HARD), strict=True):
        for doc_id, doc in enumerate(docs):
            yield task, doc_id, doc


def lines_of(outcome: Outcome, task: str, doc_id: int) -> list[dict[str, Any]]:
    return [line for line in outcome.log if (line["task"], line["doc_id"]) == (task, doc_id)]


def assert_the_model_got_what_the_log_says(outcome: Outcome, family: str, model: Path) -> None:
    """Frames and times, read back from the tensors of every call of the model."""
    tiny = FAMILIES[family]
    processor = hf("AutoProcessor").from_pretrained(model)
    network = hf("AutoModelForImageTextToText").from_pretrained(model)
    n_checked = 0
    for inputs in outcome.inputs:
        [(task, doc_id, doc)] = [
            place for place in documents() if place[2]["question"] in prompt(inputs, processor)
        ]
        lines = lines_of(outcome, task, doc_id)
        assert len(lines) == len(doc["videos"])
        if set(doc["videos"]) <= set(NUMBERED):
            assert tiny.read_back(inputs) == [i for line in lines for i in line["shown"]]
            n_checked += 1
        assert tiny.expected_times is not None
        assert tiny.read_times is not None
        told = [t for line in lines for t in tiny.expected_times(line["shown_seconds"])]
        assert tiny.read_times(inputs, processor, network) == pytest.approx(told)
    assert n_checked >= 2


@pytest.mark.timeout(600)
def test_without_a_sampler_results_are_those_without_the_plugin(
    run: Callable[..., Outcome],
) -> None:
    arguments = f"{SMALL},max_num_frames=8"
    bare = run("qwen2_5_vl", model_args=arguments, plugin=False)
    stock = run("qwen2_5_vl", model_args=arguments)
    assert stock.answers("keyscore_tiny") == bare.answers("keyscore_tiny")
    assert stock.results["results"] == bare.results["results"]
    assert "avg_keyscore_videos" not in stock.results["throughput"]
    for ours, theirs in zip(stock.inputs, bare.inputs, strict=True):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_model_gets_the_frames_and_times_of_the_log(chosen: Outcome, assets: Path) -> None:
    assert_the_model_got_what_the_log_says(chosen, "qwen2_5_vl", assets / "qwen2_5_vl")


def test_every_healthy_document_is_answered_and_a_broken_one_stops_nothing(
    chosen: Outcome,
) -> None:
    assert all(answer in ("AA", "AB", "BA", "BB") for answer in chosen.answers("keyscore_tiny"))
    two_videos, broken = chosen.answers("keyscore_hard")
    assert two_videos in ("AA", "AB", "BA", "BB")
    assert broken == ""
    [line] = lines_of(chosen, "keyscore_hard", 1)
    assert line["video"].endswith("broken.mp4")
    assert "cannot read" in line["error"]
    assert "indices" not in line
    # `repeats: 2` asks the model twice about what was chosen once.
    assert len(chosen.inputs) == len(TINY) + 2
    assert len(chosen.log) == len(TINY) + 3


def test_the_sampler_gets_the_question_with_its_options_and_nothing_else(
    chosen: Outcome,
) -> None:
    for task, doc_id, doc in documents():
        asked = f"{doc['question']}\nA. {doc['option_a']}\nB. {doc['option_b']}"
        assert {line["question"] for line in lines_of(chosen, task, doc_id)} == {asked}


def test_the_table_of_throughput_counts_selection(chosen: Outcome) -> None:
    table = chosen.results["throughput"]
    assert table["avg_keyscore_videos"] == 7
    assert table["avg_keyscore_errors"] == 1
    # Eight frames of a budget are four keyframes, each of which fills a whole token.
    assert (table["avg_keyscore_selected_frames"], table["avg_keyscore_shown_frames"]) == (4, 8)
    stages = ("decode", "encode", "score", "select")
    assert all(table[f"avg_keyscore_{stage}_seconds"] > 0 for stage in stages)
    seconds = table["avg_keyscore_end_to_end_seconds"] * table["avg_keyscore_videos"]
    assert seconds > table["total_elapsed_time"]
    per_question = {line["question"]: line["visual_tokens"] for line in chosen.log[: len(TINY)]}
    assert all(tokens == 16 * 4 or tokens == 12 * 4 for tokens in per_question.values())


def test_a_second_model_by_force_simple_reuses_every_selection(
    run: Callable[..., Outcome], chosen: Outcome, assets: Path
) -> None:
    arguments = f"{KEYSCORE},sampler_cache={assets / 'cache'}"
    again = run("qwen3_vl", tasks=BOTH, model_args=arguments, options=("--force_simple",))
    healthy = [line for line in again.log if line["error"] is None]
    assert all(line["cached"] for line in healthy)
    assert again.results["throughput"]["avg_keyscore_encode_seconds"] == 0
    assert [line.get("indices") for line in again.log] == [
        line.get("indices") for line in chosen.log
    ]
    assert_the_model_got_what_the_log_says(again, "qwen3_vl", assets / "qwen3_vl")
