"""Reading frame numbers from normalised pixels, and seconds from prompts and position ids."""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tests.support.tiny.family import Inputs
from tests.support.tiny.videos import frame_numbers

Channels = Sequence[float]
HALF = (0.5, 0.5, 0.5)


def from_patches(
    inputs: Inputs, *, mean: Channels, std: Channels, frames_per_patch: int, name: str = "video"
) -> list[int]:
    """Frame numbers from flattened patches, as the Qwen families and their kin have them.

    A patch is ``(channels, frames, height, width)``, flattened; the patches of one temporal step
    lie together, so the mean over them is the colour of each of the step's frames.

    Args:
        inputs: What the processor returned.
        mean: What normalisation took away from each channel.
        std: What it divided each channel by.
        frames_per_patch: Frames that share one patch.
        name: Start of the names of the inputs.
    """
    pixels = inputs[f"pixel_values_{name}s"]
    numbers: list[int] = []
    start = 0
    for steps, height, width in inputs[f"{name}_grid_thw"].tolist():
        end = start + steps * height * width
        patches = pixels[start:end].reshape(steps, height * width, 3, frames_per_patch, -1)
        colours = patches.mean(dim=(1, 4)).transpose(1, 2).reshape(-1, 3)
        numbers += frame_numbers(_denormalise(colours, mean, std))
        start = end
    return numbers


def from_frames(pixels: Tensor, *, mean: Channels, std: Channels) -> list[int]:
    """Frame numbers from ``(..., 3, height, width)`` normalised frames."""
    colours = pixels.mean(dim=(-2, -1)).reshape(-1, 3)
    return frame_numbers(_denormalise(colours, mean, std))


def from_colours(
    colours: Sequence[Tensor], *, mean: Channels = HALF, std: Channels = HALF
) -> list[int]:
    """Frame numbers from the mean normalised colour of each frame."""
    return frame_numbers(_denormalise(torch.stack(list(colours)), mean, std))


def _denormalise(colours: Tensor, mean: Channels, std: Channels) -> Tensor:
    """``(n, 3)`` colours on the scale 0 to 255."""
    return (colours * torch.tensor(std) + torch.tensor(mean)) * 255


def prompt(inputs: Inputs, processor: Any) -> str:
    """Everything the model reads, special tokens included, padding left out."""
    kept = inputs["input_ids"][inputs["attention_mask"].bool()]
    text: str = processor.tokenizer.decode(kept, skip_special_tokens=False)
    return text


def seconds_of_positions(
    temporal: Tensor, inputs: Inputs, config: Any, *, per_second: int
) -> list[float]:
    """The time of each patch by its position, in seconds from the first patch of its video.

    Args:
        temporal: ``(batch, length)`` temporal position of each token.
        inputs: What the processor returned.
        config: Config of the model.
        per_second: Positions per second.
    """
    positions = temporal[inputs["input_ids"] == config.video_token_id].tolist()
    times: list[float] = []
    start = 0
    for steps, height, width in inputs["video_grid_thw"].tolist():
        n_tokens = height * width // config.vision_config.spatial_merge_size**2
        firsts = positions[start : start + steps * n_tokens : n_tokens]
        times += [(first - firsts[0]) / per_second for first in firsts]
        start += steps * n_tokens
    return times


def mean_of_pairs(seconds: Sequence[float]) -> list[float]:
    """The mean time of each patch of two frames."""
    return [(seconds[i] + seconds[i + 1]) / 2 for i in range(0, len(seconds), 2)]


def seconds_in_prompt(pattern: str, inputs: Inputs, processor: Any) -> list[float]:
    """Every number that ``pattern`` captures in the prompt.

    Args:
        pattern: A regular expression; its groups are hours, minutes and seconds, the last one
            seconds.
        inputs: What the processor returned.
        processor: The processor.
    """
    found: list[float] = []
    for match in re.finditer(pattern, prompt(inputs, processor)):
        seconds = 0.0
        for part in match.groups():
            seconds = 60 * seconds + float(part)
        found.append(seconds)
    return found
