"""The question for the clips of a video that matter, for a Video-LLM (K-frames, section 3).

`clip_prompt` builds the inputs of the model for inference, for supervised fine-tuning and for
reinforcement learning. A policy that was trained on other inputs, such as frames without their
times, is another policy: trained selectors lose most of what they learned.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from keyscore_plugin.captioners.processing import (
    append_completions,
    call_processor,
    frames_per_token,
)
from keyscore_plugin.errors import InputError, ModelError, shown
from keyscore_plugin.types import Frames
from keyscore_plugin.video.metadata import clock_metadata

# Ours: the prompt of K-frames is not published. The form shows letters instead of numbers, so that
# a model that repeats it has not named a clip.
_INSTRUCTION = """
These are {n_frames} frames of a video of {duration:.1f} s, each after its time in seconds.
Which parts of the video must one see for this query?
Query: {query}
Answer with a JSON list alone, one object for each part, with times in seconds:
[{{"start": S, "end": S, "priority": P, "reason": "R"}}, ...]
P is 1 for a part that the query needs and 2 for one that helps; R is one short sentence.
If no part matters, answer [].
"""


@dataclass(frozen=True, slots=True, eq=False)
class ClipQuestion:
    """A question to a judge about one video.

    Attributes:
        frames: Frames that the judge sees, in time order; `pts_seconds` counts from the first
            frame of the video.
        query: Question about the video, or a sentence that describes what is looked for.
        duration_seconds: Duration of the video.

    Raises:
        InputError: There are no frames, the query is empty, or the duration is not positive.
    """

    frames: Frames
    query: str
    duration_seconds: float

    def __post_init__(self) -> None:
        if len(self.frames) == 0:
            raise InputError("a ClipQuestion has no frames; give at least one")
        if not self.query.strip():
            raise InputError("the query of a ClipQuestion is empty; give a question")
        if not 0 < self.duration_seconds < math.inf:
            raise InputError(
                "ClipQuestion.duration_seconds must be a number above 0, got "
                f"{shown(self.duration_seconds)}; give that of the video"
            )


@runtime_checkable
class Judge(Protocol):
    """A model that says which clips of a video a question needs.

    Attributes:
        name: Name that `Clips.model` records.
    """

    name: str

    def judge(self, question: ClipQuestion, *, max_new_tokens: int) -> str:
        """Answer the question; `keyscore_plugin.parse_clips` reads the text, whatever it is."""


def require_judge(captioner: object, *, asker: str) -> Judge:
    """Return the captioner if it can be asked for clips.

    Args:
        captioner: Captioner of the caller, or None.
        asker: Name of the sampler that asks.

    Raises:
        ModelError: There is no captioner, or it only writes captions.
    """
    if isinstance(captioner, Judge):
        return captioner
    given = getattr(captioner, "name", captioner)
    named = "no captioner was given" if captioner is None else f"{shown(given)} is not one"
    # Not an InputError: in a run of many videos that would be taken for a fact about each of them.
    raise ModelError(
        f"{asker} asks a Video-LLM which clips matter, and {named}; give the model id or folder of "
        "a Video-LLM as the captioner, or use the sampler 'clips', which needs none"
    )


def clip_prompt(
    processor: Any,
    questions: Sequence[ClipQuestion],
    *,
    completions: Sequence[str] | None = None,
) -> Any:
    """Build the inputs of a Video-LLM that is asked for clips, or is trained to name them.

    Every frame is a separate video block after its time as text, ``12.5 s:`` (the "temporal
    prompts" of K-frames, which carry most of its gain). Where the model folds several frames into
    one visual token, the frame is repeated to fill the fold, so that no two are blended. The
    processor also gets the true time of each frame, for families that read it.

    The prompt of a question has the same tokens and pixels with a completion and without, alone and
    in a batch, except for the padding on its left.

    Args:
        processor: Processor of a Video-LLM of transformers, with a chat template.
        questions: Question about each video of the batch.
        completions: Answer to each question that the model is trained to give, as
            `keyscore_plugin.format_clips` writes it. Its tokens, and the token that ends an answer,
            follow the prompt. None adds nothing, for generation.

    Returns:
        A `BatchFeature` with what the processor returns: ``input_ids`` and ``attention_mask``, both
        ``(batch, length)``, and the pixels of the frames. With completions also ``labels``, int64
        ``(batch, length)``: the ids of the completions, and -100 for all other tokens.

    Raises:
        InputError: There are no questions, or their number differs from that of the completions.
        ModelError: The processor reads no videos.
    """
    if not questions:
        raise InputError("clip_prompt got no questions; give at least one ClipQuestion")
    if completions is not None and len(completions) != len(questions):
        raise InputError(
            f"clip_prompt needs a completion for each question, got {len(completions)} for "
            f"{len(questions)} questions"
        )
    if getattr(processor, "video_processor", None) is None:
        raise ModelError(
            f"a {type(processor).__name__} reads no videos, so its model cannot name clips; use "
            "a Video-LLM of transformers, or sampler='clips', which needs none"
        )
    fold = frames_per_token(processor)
    videos = [
        list(question.frames.pixels.to("cpu").permute(0, 3, 1, 2)[:, None].repeat(1, fold, 1, 1, 1))
        for question in questions
    ]
    metadata = [
        clock_metadata(seconds.expand(fold), question.duration_seconds)
        for question in questions
        for seconds in question.frames.pts_seconds
    ]
    prompts = [_prompt(processor, question) for question in questions]
    inputs = call_processor(processor, prompts, videos, metadata)
    if completions is not None:
        append_completions(inputs, processor.tokenizer, completions)
    return inputs


def _prompt(processor: Any, question: ClipQuestion) -> str:
    """The prompt as text, with a placeholder for each frame right after its time."""
    token = processor.video_token
    query = question.query
    # Data sets write "<video>" and "<image>" in questions; processors would count them as inputs.
    for placeholder in (token, getattr(processor, "image_token", None)):
        query = query.replace(placeholder, "") if placeholder else query
    times = [f"{seconds:.1f} s:" for seconds in question.frames.pts_seconds.tolist()]
    instruction = _INSTRUCTION.format(
        n_frames=len(times),
        duration=question.duration_seconds,
        query=query.strip(),
    )
    blocks = [block for time in times for block in (_text_block(time), {"type": "video"})]
    prompt = _rendered(processor, [*blocks, _text_block(instruction)])
    before = prompt.split(token)
    if len(before) == len(times) + 1 and all(
        time in part for time, part in zip(times, before, strict=False)
    ):
        return prompt
    # The templates of the LLaVA family write all videos before all texts.
    text = "".join(f"{time} {token}\n" for time in times)
    return _rendered(processor, [_text_block(text + instruction)])


def _text_block(text: str) -> dict[str, str]:
    return {"type": "text", "text": text}


def _rendered(processor: Any, content: list[dict[str, str]]) -> str:
    message = {"role": "user", "content": content}
    prompt: str = processor.apply_chat_template([message], add_generation_prompt=True)
    return prompt
