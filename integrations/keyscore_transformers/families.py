"""The families that are known, and how each is told the times of its frames."""

from typing import Any, Literal

from keyscore_plugin.errors import InputError

Times = Literal["prompt", "positions", "none"]

# Class of the processor -> where the time of a frame stands in what the model gets: in the prompt,
# as text; in the position ids; nowhere. Each one is tested with a tiny model of the family.
FAMILIES: dict[str, Times] = {
    "Glm46VProcessor": "prompt",
    "Glm4vProcessor": "prompt",
    "InternVLProcessor": "none",
    "LlavaNextVideoProcessor": "none",
    "LlavaOnevisionProcessor": "none",
    "Qwen2VLProcessor": "none",
    "Qwen2_5_VLProcessor": "positions",
    "Qwen3VLProcessor": "prompt",
    "SmolVLMProcessor": "prompt",
    "VideoLlama3Processor": "prompt",
    "VideoLlavaProcessor": "none",
}

_DEFAULT_FPS = 2.0  # the rate the Qwen and GLM families were trained at


def times_of(processor: Any) -> Times:
    """How the family of this processor is told times.

    Raises:
        InputError: The family is unknown, or its processor takes no videos.
    """
    for cls in type(processor).__mro__:
        if cls.__name__ in FAMILIES and getattr(processor, "video_processor", None) is not None:
            return FAMILIES[cls.__name__]
    raise InputError(
        f"{type(processor).__name__} is of no family whose frames can be chosen; "
        f"the processors that can be enabled are: {', '.join(sorted(FAMILIES))}"
    )


def frames_per_patch(processor: Any) -> int:
    """Frames that the model folds into one visual token (its temporal patch)."""
    return getattr(processor.video_processor, "temporal_patch_size", None) or 1


def usual_spacing_seconds(processor: Any) -> float:
    """Time between two frames of a patch when the family samples by itself."""
    return 1 / (getattr(processor.video_processor, "fps", None) or _DEFAULT_FPS)
