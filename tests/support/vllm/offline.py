"""What an offline ``LLM`` answers, with the plugin and without it.

    python -m tests.support.vllm.offline MODEL VIDEO plugin|without

Prints one JSON object: the log-probabilities of the first token that each call generates, by the
token's id; and with the plugin the error of a start that is refused.
"""

import importlib
import json
import sys
from typing import Any

import keyscore_vllm
from keyscore_plugin import get_sampler
from tests.support.colour_encoder import ColourEncoder
from tests.support.vllm import cli

QUESTION = "red?"
CAPTION = "red"
NUM_FRAMES = 4
PROMPT = (
    "<|im_start|>user\n<|vision_start|><|video_pad|><|vision_end|>"
    f"{QUESTION}<|im_end|>\n<|im_start|>assistant\n"
)


def main(model: str, video: str, plugin: str) -> None:
    """Ask an `LLM` in several ways."""
    cli.install()
    found: dict[str, Any] = {}
    if plugin == "without":
        found["whole video"] = chat(make(model), f"file://{video}")
    else:
        keyscore_vllm.register()
        found["pruning"] = refusal(model)
        llm = make(model)
        found["whole video"] = chat(llm, f"file://{video}")
        found |= chosen(llm, video)
    print(json.dumps(found))


def chosen(llm: Any, video: str) -> dict[str, Any]:
    """The answers to chosen frames, by URL and as an item, and to ones that a user gives."""
    found: dict[str, Any] = {}
    asked = f"keyscore:sampler=topk&num_frames={NUM_FRAMES}&caption={CAPTION};file://{video}"
    found["chat"] = chat(llm, asked)
    item = keyscore_vllm.frames(
        video,
        caption=CAPTION,
        num_frames=NUM_FRAMES,
        sampler=get_sampler("topk", encoder=ColourEncoder()),
    )
    found["generate"] = generated(llm, item)
    pixels, metadata = item
    found["stock"] = generated(llm, (pixels, {**metadata, "video_backend": "opencv"}))
    return found


def make(model: str, **more: Any) -> Any:
    """An ``LLM`` in this process."""
    return importlib.import_module("vllm").LLM(
        model=model,
        dtype="float32",
        enforce_eager=True,
        max_model_len=4096,
        max_num_seqs=2,
        allowed_local_media_path="/",
        **more,
    )


def refusal(model: str) -> str:
    """The error of an ``LLM`` that prunes the tokens of videos."""
    try:
        make(model, video_pruning_rate=0.5)
    except Exception as error:
        return str(error)
    return ""


def generated(llm: Any, item: Any) -> dict[str, float]:
    """The first token after the question about a video."""
    prompt = {"prompt": PROMPT, "multi_modal_data": {"video": [item]}}
    return first_token(llm.generate(prompt, parameters(), use_tqdm=False))


def chat(llm: Any, url: str) -> dict[str, float]:
    """The first token after a question about a video."""
    video = {"type": "video_url", "video_url": {"url": url}}
    messages = [{"role": "user", "content": [video, {"type": "text", "text": QUESTION}]}]
    return first_token(llm.chat(messages, parameters(), use_tqdm=False))


def parameters() -> Any:
    """One token, and the most probable ones in its place."""
    return importlib.import_module("vllm").SamplingParams(max_tokens=1, temperature=0, logprobs=5)


def first_token(outputs: Any) -> dict[str, float]:
    """Log-probabilities by token id."""
    return {str(token): one.logprob for token, one in outputs[0].outputs[0].logprobs[0].items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
