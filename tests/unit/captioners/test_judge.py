"""The inputs of a Video-LLM that is asked for clips: one function for inference and training."""

import re
from typing import Any

import pytest
import torch

from keyscore_plugin import ClipQuestion, Frames, Judge, VlmCaptioner, clip_prompt
from keyscore_plugin.captioners import load_captioner
from keyscore_plugin.captioners.judge import require_judge
from keyscore_plugin.errors import InputError, ModelError
from tests.support import tiny
from tests.support.tiny import read_back
from tests.support.tiny.videos import numbered_frames

SECONDS = (0.5, 2.5, 4.5, 70.04)
ANSWER = '[{"start": 1.0, "end": 2.0, "priority": 1, "reason": "Da läuft er."}]'


def frames(n: int = len(SECONDS)) -> Frames:
    pixels = torch.stack([torch.as_tensor(one) for one in numbered_frames(n, (112, 112))])
    return Frames(pixels, torch.arange(n) * 10, torch.tensor(SECONDS[:n], dtype=torch.float64))


def question(n: int = len(SECONDS), query: str = "Where is the dog?") -> ClipQuestion:
    return ClipQuestion(frames(n), query, duration_seconds=80.0)


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny.FAMILIES)
def test_every_family_sees_each_frame_after_its_time(family: str) -> None:
    known = tiny.FAMILIES[family]
    if known.missing:
        pytest.skip(f"this transformers has no {', '.join(known.missing)}")
    processor, model = known.build()
    inputs = clip_prompt(processor, [question()])
    shown = known.read_back(inputs)
    assert shown == [i for i in range(len(SECONDS)) for _ in range(known.frames_per_patch)]
    shown_prompt, _, instruction = read_back.prompt(inputs, processor).partition("\nThese are 4")
    _, *stamped = re.split(r"(\d+\.\d) s:", shown_prompt)
    assert stamped[::2] == ["0.5", "2.5", "4.5", "70.0"]
    assert all("<" in visual_tokens for visual_tokens in stamped[1::2])
    assert "Where is the dog?" in instruction
    assert VlmCaptioner(model, processor).judge(question(), max_new_tokens=3)
    assert model(**clip_prompt(processor, [question()], completions=[ANSWER])).loss.isfinite()


@pytest.mark.parametrize("family", ["qwen2_5_vl", "qwen3_vl"])
def test_inference_and_training_see_the_same_prompt(family: str) -> None:
    """Tensor for tensor: alone and in a batch, with a completion and without."""
    processor, _ = tiny.build(family)
    asked = [question(3), question(query="Was tut der Hund am Ende des Videos?")]
    alone = [clip_prompt(processor, [one]) for one in asked]
    trained = clip_prompt(processor, asked, completions=[ANSWER, "[]"])
    for row, one in enumerate(alone):
        length = one["input_ids"].shape[1]
        is_prompt = trained["attention_mask"][row].bool() & (trained["labels"][row] == -100)
        for name, tensor in one.items():
            if tensor.shape == (1, length):
                assert torch.equal(trained[name][row][is_prompt], tensor[0]), name
    others = {"input_ids", "attention_mask", "mm_token_type_ids"}
    assert set(trained) == {*alone[0], "labels"}
    for name in set(alone[0]) - others:
        assert torch.equal(trained[name], torch.cat([one[name] for one in alone])), name


def test_labels_are_the_completion_and_the_end_of_an_answer() -> None:
    processor, _ = tiny.build("qwen2_5_vl")
    inputs = clip_prompt(processor, [question(), question(2)], completions=[ANSWER, "[]"])
    for row, text in enumerate([ANSWER, "[]"]):
        labels = inputs["labels"][row]
        is_answer = labels != -100
        assert processor.tokenizer.decode(labels[is_answer]) == text + processor.tokenizer.eos_token
        assert torch.equal(inputs["input_ids"][row][is_answer], labels[is_answer])
        assert inputs["attention_mask"][row][is_answer].all()
    assert inputs["attention_mask"][1, -1] == 0  # the shorter completion is padded on its right


def test_a_template_that_moves_videos_to_the_front_keeps_the_times_in_place() -> None:
    processor, _ = tiny.build("llava_onevision")
    # The template of llava-hf's checkpoints, for one message.
    processor.chat_template = (
        "{% for message in messages %}<|im_start|>{{ message['role'] }} "
        "{% for part in message['content'] | selectattr('type', 'equalto', 'video') %}<video>\n"
        "{% endfor %}{% for part in message['content'] | selectattr('type', 'equalto', 'text') %}"
        "{{ part['text'] }}{% endfor %}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    prompt = read_back.prompt(clip_prompt(processor, [question()]), processor)
    assert re.search(
        r"0\.5 s: (<video>)+\n2\.5 s: (<video>)+\n4\.5 s: (<video>)+\n70\.0 s:", prompt
    )


@pytest.mark.parametrize("kind", ["video_token", "image_token"])
def test_a_placeholder_in_the_question_is_no_input(kind: str) -> None:
    processor, _ = tiny.build("qwen2_5_vl")
    plain = clip_prompt(processor, [question(query="What happens?")])
    marked = clip_prompt(processor, [question(query=f"{getattr(processor, kind)}\nWhat happens?")])
    assert torch.equal(plain["input_ids"], marked["input_ids"])


def test_an_answer_is_generated_once_for_one_question() -> None:
    processor, model = tiny.build("qwen2_5_vl")
    captioner = VlmCaptioner(model, processor)
    first = captioner.judge(question(), max_new_tokens=4)
    prompt = clip_prompt(processor, [question()])["input_ids"]
    assert captioner.n_tokens - prompt.numel() in range(5)
    model.generate = None  # calling it again would fail
    assert captioner.judge(question(), max_new_tokens=4) == first
    with pytest.raises(TypeError):
        captioner.judge(question(query="What else?"), max_new_tokens=4)


def test_a_processor_that_reads_no_videos_is_one_line() -> None:
    processor, _ = tiny.build("qwen2_5_vl")
    of_stills: Any = processor.tokenizer
    with pytest.raises(ModelError, match=r"reads no videos, so its model cannot name clips"):
        clip_prompt(of_stills, [question()])


@pytest.mark.parametrize("captioner", [None, "labels"])
def test_only_a_video_llm_can_be_asked_for_clips(captioner: str | None) -> None:
    loaded = load_captioner(captioner, device="cpu")
    with pytest.raises(ModelError, match=r"kframes asks a Video-LLM .* use the sampler 'clips'"):
        require_judge(loaded, asker="kframes")


def test_a_video_llm_is_a_judge() -> None:
    processor, model = tiny.build("qwen2_5_vl")
    captioner = VlmCaptioner(model, processor)
    assert isinstance(captioner, Judge)
    assert require_judge(captioner, asker="kframes") is captioner


@pytest.mark.parametrize(
    ("n", "query", "duration", "match"),
    [
        (0, "What?", 8.0, "no frames"),
        (2, " ", 8.0, "query .* is empty"),
        (2, "What?", 0.0, "number above 0"),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    n: int, query: str, duration: float, match: str
) -> None:
    with pytest.raises(InputError, match=match):
        ClipQuestion(frames(2)[:n], query, duration)


def test_completions_without_questions_are_refused() -> None:
    processor, _ = tiny.build("qwen2_5_vl")
    with pytest.raises(InputError, match="completion for each question, got 2 for 1"):
        clip_prompt(processor, [question()], completions=["[]", "[]"])
    with pytest.raises(InputError, match="no questions"):
        clip_prompt(processor, [])
