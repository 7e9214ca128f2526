"""What `llmvs` needs in tests: a tiny language model, and a captioner that names colours."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from keyscore_plugin.config import SamplerConfig
from keyscore_plugin.types import Caption, Frames
from tests.support.tiny.llama import save_llama

COLOURS = ("red", "green", "blue")


@cache
def language_model_folder() -> str:
    """A Llama of random weights that chats; it is written once a process."""
    folder = Path(tempfile.mkdtemp(prefix="keyscore-test-llama-"))
    return str(save_llama(folder, positions=8192, chats=True))


def config_of(sampler: str, config: Any = None) -> SamplerConfig:
    """Settings with which a sampler of this name works: `llmvs` gets the tiny language model."""
    values = SamplerConfig.of(config)
    if sampler != "llmvs":
        return values
    return replace(values, llmvs=replace(values.llmvs, model=language_model_folder()))


class ColourDescriber:
    """Names the strongest colour of each frame; of a black frame it says nothing."""

    name = "colours"

    def __init__(self) -> None:
        self.n_captioned = 0

    def caption(self, frames: Frames) -> Caption:
        raise AssertionError("frames are described one by one")

    def caption_each(self, frames: Frames) -> list[str]:
        self.n_captioned += len(frames)
        means = frames.pixels.float().mean((1, 2))
        named = [COLOURS[int(mean.argmax())] if mean.max() > 40 else "" for mean in means]
        return [f"All is {colour}." if colour else "" for colour in named]
