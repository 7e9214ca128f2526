"""The values that flow between the stages: frozen, validated when made, rows in time order.

Pixels are ``(n, h, w, 3)`` uint8 RGB. Times are seconds from the container, never index / fps.
"""

from keyscore_plugin.types.clip_answer import ClipAnswer, PredictedClip
from keyscore_plugin.types.clips import ClipOrigin, Clips
from keyscore_plugin.types.frames import (
    Candidates,
    Embeddings,
    FrameCaptions,
    Frames,
    FrameScores,
    Importance,
    Reading,
    TextEmbedding,
)
from keyscore_plugin.types.scene_labels import QueryLabels, VideoLabels
from keyscore_plugin.types.scored_frames import GridInfo, ScoredFrame
from keyscore_plugin.types.selection import STAGES, Selection
from keyscore_plugin.types.texts import (
    Caption,
    Join,
    Origin,
    QueryText,
    SubtitleInput,
    SubtitlesFrom,
    TextInput,
    TextRole,
    check_join,
    check_subtitles,
    one_text,
    texts_of,
)
from keyscore_plugin.types.timed_texts import LineOrigin, SubtitleFile, TimedText
from keyscore_plugin.types.video import VideoFacts

__all__ = [
    "STAGES",
    "Candidates",
    "Caption",
    "ClipAnswer",
    "ClipOrigin",
    "Clips",
    "Embeddings",
    "FrameCaptions",
    "FrameScores",
    "Frames",
    "GridInfo",
    "Importance",
    "Join",
    "LineOrigin",
    "Origin",
    "PredictedClip",
    "QueryLabels",
    "QueryText",
    "Reading",
    "ScoredFrame",
    "Selection",
    "SubtitleFile",
    "SubtitleInput",
    "SubtitlesFrom",
    "TextEmbedding",
    "TextInput",
    "TextRole",
    "TimedText",
    "VideoFacts",
    "VideoLabels",
    "check_join",
    "check_subtitles",
    "one_text",
    "texts_of",
]
