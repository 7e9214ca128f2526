"""Chosen frames for ``LLM.generate`` in one's own process."""

from functools import cache

from keyscore_plugin import Sampler, VideoInput
from keyscore_plugin.hosts import (
    QUERY_RULES,
    DownloadLimits,
    Fold,
    HostProfile,
    HostRequest,
    Pair,
    SamplerPool,
    choose,
)
from keyscore_vllm.items import VideoItem, item_of

HOST = HostProfile(
    rule=QUERY_RULES["serving"],
    allowed_by="frames(..., limits=DownloadLimits(max_bytes=..., max_seconds=...))",
    give_text="give frames(...) a 'question' or a 'caption'",
    give_times="give the path of a video",
)


def frames(
    video: VideoInput,
    *,
    question: str | None = None,
    caption: str | None = None,
    num_frames: int = 8,
    sampler: str | Sampler = "keyscore",
    pair: Pair = "duplicate",
    frames_per_patch: int = 2,
    limits: DownloadLimits | None = None,
) -> VideoItem:
    """Choose frames of a video for ``LLM.generate``.

    Args:
        video: A path, or anything that `keyscore_plugin.open_video` takes.
        question: The question that the model will be asked about the video.
        caption: A sentence about the video; it scores instead of the question.
        num_frames: The budget of keyframes.
        sampler: A name of `keyscore_plugin.list_samplers`, which is made once and kept, or a
            sampler with an encoder of your choice.
        pair: Filling of a temporal patch, see `keyscore_plugin.hosts.pairing.pair_frames`.
        frames_per_patch: Frames that the model folds into one visual token: 2 for Qwen2-VL,
            Qwen2.5-VL, Qwen3-VL and GLM-4V, 1 for models that fold none.
        limits: Limits of the download of a URL; None refuses URLs.

    Returns:
        ``(n, h, w, 3)`` uint8 RGB and their metadata: one video of ``multi_modal_data``.

    Raises:
        VideoError: The video cannot be read.
        InputError: An argument cannot be used, or no text is given for a sampler that needs one.
        ModelError: The encoder cannot be loaded.

    Example:
        prompt = "<|im_start|>user\\n<|vision_start|><|video_pad|><|vision_end|>Who scores?..."
        video = frames("match.mp4", question="Who scores?")
        llm.generate({"prompt": prompt, "multi_modal_data": {"video": [video]}})
    """
    request = HostRequest(
        video=video,
        sampler=sampler,
        num_frames=num_frames,
        question=question,
        caption=caption,
        pair=pair,
        limits=limits,
    )
    fold = Fold(frames_per_patch=frames_per_patch)
    return item_of(choose(request, host=HOST, samplers=_samplers(), fold=fold))


@cache
def _samplers() -> SamplerPool:
    """Samplers by name, made once per process."""
    return SamplerPool()
