"""A sampler that returns what it was made with: for tests of everything around samplers."""

from contextlib import ExitStack
from dataclasses import dataclass, field

from keyscore_plugin.types import (
    STAGES,
    Caption,
    Join,
    Selection,
    SubtitleInput,
    TextInput,
    one_text,
    texts_of,
)
from keyscore_plugin.video.source import VideoInput, open_video


@dataclass
class FixedSampler:
    """Chooses the frames it was made with, or the first of them where the budget is smaller.

    Attributes:
        indices: The frames.
        needs_text: Whether it wants a text; it reads none.
        calls: Arguments of each call: num_frames, threshold, caption, question.
    """

    indices: list[int]
    needs_text: bool = False
    name: str = "fixed"
    calls: list[dict[str, object]] = field(default_factory=list)

    def __call__(
        self,
        video: VideoInput,
        *,
        num_frames: int | None = None,
        threshold: float | None = None,
        caption: TextInput | None = None,
        question: TextInput | None = None,
        join: Join = "all",
        subtitles: SubtitleInput = None,
        fps: float | None = None,
    ) -> Selection:
        """Note the arguments, and return the frames as a selection."""
        self.calls.append(
            {
                "num_frames": num_frames,
                "threshold": threshold,
                "caption": caption,
                "question": question,
            }
        )
        indices = self.indices[:num_frames]
        with ExitStack() as stack:
            source = open_video(video, fps=fps)
            if source is not video:
                stack.enter_context(source)
            return Selection(
                video=source.path,
                sampler=self.name,
                config={},
                num_frames=num_frames,
                indices=indices,
                pts_seconds=source.pts_seconds(indices).tolist(),
                scores=None,
                caption=None if caption is None else Caption(str(caption), origin="given"),
                question=one_text(texts_of(question, "question")),
                decoder=source.decoder,
                duration_seconds=source.duration_seconds,
                average_fps=float(source.average_fps),
                n_frames=source.n_frames,
                n_frames_counted=source.n_frames_counted,
                n_grid=0,
                seconds=dict.fromkeys((*STAGES, "total"), 0.0),
            )
