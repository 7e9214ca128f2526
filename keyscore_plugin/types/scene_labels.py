"""Labels of the scenes of a video by models: training data for a selector of clips."""

from dataclasses import dataclass

from keyscore_plugin.errors import InputError
from keyscore_plugin.types.clips import Clips

_PER_SCENE = ("marks", "similarities", "relevance", "priorities")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueryLabels:
    """The relevance of each scene of a video to one query. All tuples have a value for each scene.

    Attributes:
        query: Question, or sentence that describes what is looked for.
        marks: Marks of a language model that read the caption of the scene, in [1, 5].
        similarities: Similarity of the scene's frames to the query, on the scale of the encoder.
        relevance: Both joined, in [1, 5], relative to the video: 5 is its best scene, 1 its usual
            one. All are 1 if no scene of the video stands out.
        priorities: Priority of the scene, 1 or 2; None for a scene that the query does not need.

    Raises:
        InputError: The fields differ in length.
    """

    query: str
    marks: tuple[float, ...]
    similarities: tuple[float, ...]
    relevance: tuple[float, ...]
    priorities: tuple[int | None, ...]

    def __post_init__(self) -> None:
        lengths = {name: len(getattr(self, name)) for name in _PER_SCENE}
        if len(set(lengths.values())) != 1:
            raise InputError(f"QueryLabels needs one value per scene in every field, got {lengths}")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoLabels:
    """The scenes and chapters of a video with their captions, and what each query needs of them.

    Attributes:
        duration_seconds: Duration of the video.
        caption: Sentence about the whole video.
        chapters: Chapters, which together are the video; their reasons are their captions.
        scenes: Scenes, which together are the video; their reasons are their captions.
        queries: Labels of each query.
        notes: Facts that a reader of the labels must know, such as words of a query that the
            encoder cannot read.

    Raises:
        InputError: The labels of a query are not one for each scene.
    """

    duration_seconds: float
    caption: str
    chapters: Clips
    scenes: Clips
    queries: tuple[QueryLabels, ...]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for labels in self.queries:
            if len(labels.relevance) != len(self.scenes):
                raise InputError(
                    f"VideoLabels has {len(self.scenes)} scenes, and {len(labels.relevance)} "
                    "values for a query; give one value for each scene"
                )
