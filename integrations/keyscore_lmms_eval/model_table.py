"""The models of lmms-eval by id and kind, and where each one takes its frames from."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["simple", "chat"]
Seam = Literal["fetch_video", "processor", "load_video", "segments"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """How one class of lmms-eval gets the frames of a video.

    Attributes:
        seam: Place where chosen frames go in: ``"fetch_video"``, the function of
            qwen-vl-utils; ``"processor"``, that of transformers, which is handed paths;
            ``"load_video"``, a method of the class; ``"segments"``, a function of its module.
        budget: Argument for the number of frames, which is also the name of the attribute.
        processor: Attribute that holds the processor of transformers; None if the class has none.
        one_by_one: Whether the class reads a batch as if all requests were the first one; then a
            sampler needs batch size 1.
        needs: Arguments that must have this value or be left out: with another value the class
            reads videos where no sampler can reach.
        asks: Arguments that must have this value: by default the class reads no videos.
    """

    seam: Seam
    budget: str
    processor: str | None = None
    one_by_one: bool = False
    needs: tuple[tuple[str, object], ...] = ()
    asks: tuple[tuple[str, object], ...] = ()


_QWEN_CHAT = Host(seam="fetch_video", budget="max_num_frames", processor="processor")
_QWEN_SIMPLE = Host(
    seam="fetch_video", budget="max_num_frames", processor="processor", one_by_one=True
)
_SEGMENTS = Host(
    seam="segments", budget="num_frame", one_by_one=True, asks=(("modality", "video"),)
)

HOSTS: dict[tuple[str, Kind], Host] = {
    ("huggingface", "chat"): Host(
        seam="processor", budget="max_num_frames", processor="processor", one_by_one=True
    ),
    ("internvl2", "simple"): _SEGMENTS,
    ("internvl3", "simple"): _SEGMENTS,
    ("internvl3_5", "simple"): _SEGMENTS,
    ("internvl_hf", "chat"): Host(
        seam="processor", budget="num_frames", processor="processor", one_by_one=True
    ),
    ("llava_hf", "chat"): Host(
        seam="processor", budget="max_frames_num", processor="_image_processor", one_by_one=True
    ),
    ("llava_hf", "simple"): Host(seam="load_video", budget="max_frames_num", one_by_one=True),
    ("llava_onevision", "simple"): Host(
        seam="load_video",
        budget="max_frames_num",
        one_by_one=True,
        needs=(("video_decode_backend", "decord"),),
    ),
    ("openai", "chat"): Host(
        seam="fetch_video", budget="max_frames_num", needs=(("pass_video_url", False),)
    ),
    ("qwen2_5_vl", "chat"): _QWEN_CHAT,
    ("qwen2_5_vl", "simple"): _QWEN_SIMPLE,
    ("qwen2_vl", "simple"): _QWEN_SIMPLE,
    ("qwen3_vl", "chat"): _QWEN_CHAT,
    ("qwen3_vl", "simple"): _QWEN_SIMPLE,
    ("vllm", "chat"): Host(seam="fetch_video", budget="nframes"),
}

_OWN_LOOP = "with --force_simple it samples frames itself; leave --force_simple out"

# Ids that one may try, and why a sampler cannot serve them. Without a sampler they are stock.
REFUSED: dict[tuple[str, Kind], str] = {
    ("gemini", "chat"): "it uploads the whole video and the service picks the frames",
    ("internvl", "simple"): "it reads images only; take internvl_hf, internvl2 or internvl3",
    ("openai", "simple"): _OWN_LOOP,
    ("sglang", "chat"): "it sends the path to the engine, which picks the frames",
    ("vllm", "simple"): _OWN_LOOP,
}
