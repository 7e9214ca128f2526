"""KeyScore: give a Video-LLM the frames that matter.

What you call: `KeyScoreSampler`, or `get_sampler` with one of `list_samplers`, chooses frames of a
video and returns a `Selection`. `open_video`, `load_encoder`, `load_captioner` and `VlmCaptioner`
make its parts; `propose`, `score` and `select` are the three steps of the algorithm;
`write_report` and `write_comparison` draw selections; `sample_video` gives a clip to try it on.
`clip_prompt`, `parse_clips` and `format_clips` ask a Video-LLM for clips, or train it to name them;
`any_k` takes any number of frames from clips. `WindowReader` and `ImportanceHead` find the
importance of frames from their captions; `load_head` and `save_head` keep a trained head.

What you implement to extend it: `Sampler`, `Encoder`, `Captioner`, `FrameCaptioner`, `Judge`,
`VideoSource`. A package that names its class in one of the entry-point groups of
`keyscore_plugin.registries` adds it by name.

What flows between the steps: `VideoFacts`, `Frames`, `Embeddings`, `TextEmbedding`, `Candidates`,
`FrameScores`, `Clips`, `FrameCaptions`, `Importance`, and last the `Selection`. `SamplerConfig`
holds the settings, one config for each stage. Every error is a `KeyScoreError`.

Example:
    >>> from keyscore_plugin import get_sampler, sample_video
    >>> get_sampler("uniform")(sample_video("bikes"), num_frames=4).indices
    [31, 93, 156, 218]
"""

from pkgutil import resolve_name
from typing import TYPE_CHECKING

from keyscore_plugin._runtime.version import VERSION as __version__

if TYPE_CHECKING:
    from keyscore_plugin.algorithm.any_k import any_k
    from keyscore_plugin.algorithm.importance_head import (
        HeadShape,
        ImportanceHead,
    )
    from keyscore_plugin.algorithm.scoring import score, score_by_importance
    from keyscore_plugin.algorithm.selection import select
    from keyscore_plugin.algorithm.stacfp import propose
    from keyscore_plugin.captioners.base import (
        Captioner,
        FrameCaptioner,
    )
    from keyscore_plugin.captioners.clip_text import format_clips, parse_clips
    from keyscore_plugin.captioners.judge import ClipQuestion, Judge, clip_prompt
    from keyscore_plugin.captioners.registry import load_captioner
    from keyscore_plugin.captioners.vlm import VlmCaptioner
    from keyscore_plugin.captioners.windows import (
        WindowReader,
        number_of,
    )
    from keyscore_plugin.config import (
        ClipsConfig,
        EncodeConfig,
        GridConfig,
        IndexConfig,
        JudgeConfig,
        LlmvsConfig,
        ProposalConfig,
        SamplerConfig,
        ScoreConfig,
        SelectConfig,
    )
    from keyscore_plugin.encoders.base import Encoder
    from keyscore_plugin.encoders.registry import load_encoder
    from keyscore_plugin.errors import (
        CacheError,
        InputError,
        KeyScoreError,
        MemoryEndedError,
        MissingDependencyError,
        ModelError,
        VideoError,
    )
    from keyscore_plugin.report.write import write_comparison, write_report
    from keyscore_plugin.samplers.base import Sampler, get_sampler, list_samplers
    from keyscore_plugin.samplers.head_files import (
        HeadCard,
        load_head,
        save_head,
    )
    from keyscore_plugin.samplers.importance import head_scores
    from keyscore_plugin.samplers.keyscore import KeyScoreSampler
    from keyscore_plugin.types import (
        Candidates,
        Caption,
        ClipAnswer,
        Clips,
        Embeddings,
        FrameCaptions,
        Frames,
        FrameScores,
        GridInfo,
        Importance,
        PredictedClip,
        ScoredFrame,
        Selection,
        TextEmbedding,
        VideoFacts,
    )
    from keyscore_plugin.video.samples import sample_video
    from keyscore_plugin.video.source import VideoInput, VideoSource, open_video

__all__ = [
    "CacheError",
    "Candidates",
    "Caption",
    "Captioner",
    "ClipAnswer",
    "ClipQuestion",
    "Clips",
    "ClipsConfig",
    "Embeddings",
    "EncodeConfig",
    "Encoder",
    "FrameCaptioner",
    "FrameCaptions",
    "FrameScores",
    "Frames",
    "GridConfig",
    "GridInfo",
    "HeadCard",
    "HeadShape",
    "Importance",
    "ImportanceHead",
    "IndexConfig",
    "InputError",
    "Judge",
    "JudgeConfig",
    "KeyScoreError",
    "KeyScoreSampler",
    "LlmvsConfig",
    "MemoryEndedError",
    "MissingDependencyError",
    "ModelError",
    "PredictedClip",
    "ProposalConfig",
    "Sampler",
    "SamplerConfig",
    "ScoreConfig",
    "ScoredFrame",
    "SelectConfig",
    "Selection",
    "TextEmbedding",
    "VideoError",
    "VideoFacts",
    "VideoInput",
    "VideoSource",
    "VlmCaptioner",
    "WindowReader",
    "__version__",
    "any_k",
    "clip_prompt",
    "format_clips",
    "get_sampler",
    "head_scores",
    "list_samplers",
    "load_captioner",
    "load_encoder",
    "load_head",
    "number_of",
    "open_video",
    "parse_clips",
    "propose",
    "sample_video",
    "save_head",
    "score",
    "score_by_importance",
    "select",
    "write_comparison",
    "write_report",
]

# Imported when they are first used (PEP 562), because most of them need torch.
_PLACES = {
    "CacheError": "keyscore_plugin.errors:CacheError",
    "Candidates": "keyscore_plugin.types:Candidates",
    "Caption": "keyscore_plugin.types:Caption",
    "Captioner": "keyscore_plugin.captioners.base:Captioner",
    "ClipAnswer": "keyscore_plugin.types:ClipAnswer",
    "ClipQuestion": "keyscore_plugin.captioners.judge:ClipQuestion",
    "Clips": "keyscore_plugin.types:Clips",
    "ClipsConfig": "keyscore_plugin.config:ClipsConfig",
    "Embeddings": "keyscore_plugin.types:Embeddings",
    "EncodeConfig": "keyscore_plugin.config:EncodeConfig",
    "Encoder": "keyscore_plugin.encoders.base:Encoder",
    "FrameCaptioner": "keyscore_plugin.captioners.base:FrameCaptioner",
    "FrameCaptions": "keyscore_plugin.types:FrameCaptions",
    "FrameScores": "keyscore_plugin.types:FrameScores",
    "Frames": "keyscore_plugin.types:Frames",
    "GridConfig": "keyscore_plugin.config:GridConfig",
    "GridInfo": "keyscore_plugin.types:GridInfo",
    "HeadCard": "keyscore_plugin.samplers.head_files:HeadCard",
    "HeadShape": "keyscore_plugin.algorithm.importance_head:HeadShape",
    "Importance": "keyscore_plugin.types:Importance",
    "ImportanceHead": "keyscore_plugin.algorithm.importance_head:ImportanceHead",
    "IndexConfig": "keyscore_plugin.config:IndexConfig",
    "InputError": "keyscore_plugin.errors:InputError",
    "Judge": "keyscore_plugin.captioners.judge:Judge",
    "JudgeConfig": "keyscore_plugin.config:JudgeConfig",
    "KeyScoreError": "keyscore_plugin.errors:KeyScoreError",
    "KeyScoreSampler": "keyscore_plugin.samplers.keyscore:KeyScoreSampler",
    "LlmvsConfig": "keyscore_plugin.config:LlmvsConfig",
    "MemoryEndedError": "keyscore_plugin.errors:MemoryEndedError",
    "MissingDependencyError": "keyscore_plugin.errors:MissingDependencyError",
    "ModelError": "keyscore_plugin.errors:ModelError",
    "PredictedClip": "keyscore_plugin.types:PredictedClip",
    "ProposalConfig": "keyscore_plugin.config:ProposalConfig",
    "Sampler": "keyscore_plugin.samplers.base:Sampler",
    "SamplerConfig": "keyscore_plugin.config:SamplerConfig",
    "ScoreConfig": "keyscore_plugin.config:ScoreConfig",
    "ScoredFrame": "keyscore_plugin.types:ScoredFrame",
    "SelectConfig": "keyscore_plugin.config:SelectConfig",
    "Selection": "keyscore_plugin.types:Selection",
    "TextEmbedding": "keyscore_plugin.types:TextEmbedding",
    "VideoError": "keyscore_plugin.errors:VideoError",
    "VideoFacts": "keyscore_plugin.types:VideoFacts",
    "VideoInput": "keyscore_plugin.video.source:VideoInput",
    "VideoSource": "keyscore_plugin.video.source:VideoSource",
    "VlmCaptioner": "keyscore_plugin.captioners.vlm:VlmCaptioner",
    "WindowReader": "keyscore_plugin.captioners.windows:WindowReader",
    "any_k": "keyscore_plugin.algorithm.any_k:any_k",
    "clip_prompt": "keyscore_plugin.captioners.judge:clip_prompt",
    "format_clips": "keyscore_plugin.captioners.clip_text:format_clips",
    "get_sampler": "keyscore_plugin.samplers.base:get_sampler",
    "head_scores": "keyscore_plugin.samplers.importance:head_scores",
    "list_samplers": "keyscore_plugin.samplers.base:list_samplers",
    "load_captioner": "keyscore_plugin.captioners.registry:load_captioner",
    "load_encoder": "keyscore_plugin.encoders.registry:load_encoder",
    "load_head": "keyscore_plugin.samplers.head_files:load_head",
    "number_of": "keyscore_plugin.captioners.windows:number_of",
    "open_video": "keyscore_plugin.video.source:open_video",
    "parse_clips": "keyscore_plugin.captioners.clip_text:parse_clips",
    "propose": "keyscore_plugin.algorithm.stacfp:propose",
    "sample_video": "keyscore_plugin.video.samples:sample_video",
    "save_head": "keyscore_plugin.samplers.head_files:save_head",
    "score": "keyscore_plugin.algorithm.scoring:score",
    "score_by_importance": "keyscore_plugin.algorithm.scoring:score_by_importance",
    "select": "keyscore_plugin.algorithm.selection:select",
    "write_comparison": "keyscore_plugin.report.write:write_comparison",
    "write_report": "keyscore_plugin.report.write:write_report",
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value = resolve_name(_PLACES[name])
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
