"""The model families that are supported, and how each gets the times of its frames."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import transformers
from packaging.version import Version

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import Fold
from keyscore_transformers.positions import installed_transformers


@dataclass(frozen=True, slots=True)
class Positions:
    """Time in the position ids: position of patch k = k * interval * rate.

    Attributes:
        name: Input that carries the interval of each video, or of each of its patches.
        rate: Positions per second if no model is known; every published checkpoint has it.
        rate_names: Path of attributes to the rate in a model's config; missing parts are skipped.
        needs_help: Whether transformers before 5.18 reads only whole seconds.
        whole: Whether the model rounds a position down to a whole number.
    """

    name: str
    rate: float
    rate_names: Sequence[str]
    needs_help: bool = False
    whole: bool = True

    def rate_of(self, model: Any) -> float:
        """Positions per second of a model; if it is None, those of the published checkpoints."""
        value = model.config if model is not None else None
        for name in self.rate_names if model is not None else ():
            value = getattr(value, name, value)
        return self.rate if value is None else float(value)


# Where the inputs of a model hold the time of a frame: in position ids, in the prompt or the pixels
# (by the metadata of the video; "on request" where a call has to ask for the metadata, and "in
# milliseconds" where the processor cuts the time of a frame to them), or nowhere.
Times = Positions | Literal["metadata", "metadata on request", "metadata in milliseconds", "none"]
GivenTimes = Literal["metadata", "none"]

# Class of the processor -> its times. Each is tested with a tiny model of the family.
FAMILIES: dict[str, Times] = {
    "CohereCompassProcessor": "metadata",
    "Cosmos3EdgeProcessor": "metadata on request",
    "Dots3NoteProcessor": "none",
    "Ernie4_5_VLMoeProcessor": "metadata",
    "Exaone4_5_Processor": "none",
    "Gemma4Processor": "metadata",
    "Gemma4UnifiedProcessor": "metadata",
    "Glm46VProcessor": "metadata",
    "Glm4vProcessor": "metadata",
    "Glm5NextProcessor": "metadata",
    "HYV4VLProcessor": "none",
    "HyperCLOVAXVisionV2Processor": "none",
    "InternVLProcessor": "none",
    "Kimi_K25Processor": "metadata",
    "Lfm3VlProcessor": "metadata",
    "LlavaNextVideoProcessor": "none",
    "LlavaOnevisionProcessor": "none",
    "MiniCPMOcrProcessor": "none",
    "MiniCPMV4_6Processor": "none",
    "MiniCPMV4_7Processor": "none",
    "MiniMaxM3VLProcessor": "metadata",
    "Molmo2Processor": "metadata",
    "MuseGlimmerProcessor": "metadata on request",
    "MuseSparkProcessor": "metadata on request",
    "NemotronH_Omni_Reasoning_V3Processor": "metadata in milliseconds",
    "PerceptionLMProcessor": "none",
    "Qwen2VLProcessor": "none",
    "Qwen2_5OmniProcessor": Positions(
        "video_second_per_grid", 25.0, ["thinker_config", "position_id_per_seconds"]
    ),
    "Qwen2_5_VLProcessor": Positions(
        "second_per_grid_ts", 2.0, ["vision_config", "tokens_per_second"], needs_help=True
    ),
    "Qwen3OmniMoeProcessor": Positions(
        "video_second_per_grid", 13.0, ["thinker_config", "position_id_per_seconds"], whole=False
    ),
    "Qwen3VLProcessor": "metadata",
    "SmolVLMProcessor": "metadata",
    "VideoLlama3Processor": "metadata",
    "VideoLlavaProcessor": "none",
}

# Class of a processor above -> the release of transformers from which on it can be done, and what
# is in the way before.
SINCE = {
    "Kimi_K25Processor": (
        "5.24",
        "its model fails on a patch of more than one frame: it expects as many tokens as there are "
        "in all frames, and its encoder gives those of one",
    ),
    "NemotronH_Omni_Reasoning_V3Processor": ("5.24", "it reads the times of one video only"),
}

# Class of a processor that takes videos for a model that generates text -> why it is not above,
# as measured with transformers 5.24.
REFUSED = {
    "InstructBlipVideoProcessor": "it always writes the tokens of four frames, and takes them "
    "as images",
}

_DEFAULT_FPS = 2.0  # the rate the Qwen and GLM families were trained at


def times_of(processor: Any, *, given: GivenTimes | None = None) -> Times:
    """How the family of this processor gets times.

    Args:
        processor: Processor of a model.
        given: Argument ``times`` of `enable`, for a family that is not in `FAMILIES`.

    Raises:
        InputError: The processor takes no videos, its family is unknown and nothing is said of it,
            it is known and something is said of it, or the installed transformers is too old.
    """
    name = type(processor).__name__
    if getattr(processor, "video_processor", None) is None:
        raise InputError(
            f"{name} is no processor that takes videos; give the processor of a Video-LLM, such as "
            "a Qwen3VLProcessor"
        )
    classes = [cls.__name__ for cls in type(processor).__mro__]
    release, why_not = next((SINCE[cls] for cls in classes if cls in SINCE), ("0", ""))
    if installed_transformers() < Version(release):
        raise InputError(
            f"{name} cannot be done with transformers {transformers.__version__}: {why_not}; "
            f"install transformers>={release}"
        )
    known = next((FAMILIES[cls] for cls in classes if cls in FAMILIES), None)
    if known is not None and given is None:
        return known
    if known is not None or given not in ("metadata", "none", None):
        raise InputError(
            f"times={shown(given)} of {name}: times is 'metadata' or 'none', and for families that "
            "KeyScore does not know; leave it out for those of "
            "keyscore_transformers.families.FAMILIES"
        )
    if given is None:
        why = next((REFUSED[cls] for cls in classes if cls in REFUSED), None)
        reason = "is of no family that KeyScore knows" if why is None else f"was refused: {why}"
        raise InputError(
            f"{name} {reason}; if you know how yours gets times, say so: enable(processor, "
            "times='metadata') if it reads video_metadata, or times='none'"
        )
    return "none" if given == "none" else "metadata on request"


def processor_fold(processor: Any) -> Fold:
    """How the model folds frames into visual tokens, as its processor says."""
    stock = processor.video_processor
    return Fold(
        frames_per_patch=getattr(stock, "temporal_patch_size", None) or 1,
        spacing_seconds=1 / (getattr(stock, "fps", None) or _DEFAULT_FPS),
    )
