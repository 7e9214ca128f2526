"""Frames that were chosen before: named in the address of a video, ``clip.mp4#frames=3,40,101``.

Hosts that train give a data set's rows to their readers as plain paths. A path with such an end
carries the selection of ``keyscore batch`` through them, and an epoch costs no selection. A reader
that is not ours finds no file of that name, so it cannot show other frames without an error.
"""

import re
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.types import STAGES, Join, Selection, SubtitleInput, TextInput
from keyscore_plugin.video.source import VideoInput, VideoSource, open_video
from keyscore_plugin.video.trim import TrimmedVideo

_FRAMES = re.compile(r"(?P<video>.+)#frames=(?P<frames>[^#]*)", re.DOTALL)


@dataclass(slots=True)
class GivenFrames:
    """A sampler that returns the frames it was made with; every budget is ignored.

    Attributes:
        indices: Frame indices of the whole video, rising.
        name: Name that `Selection.sampler` records.
        needs_text: Always False.
    """

    indices: tuple[int, ...]
    name: str = "given"
    needs_text: bool = False

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
        """Return the frames as a selection.

        Raises:
            InputError: The video, or the part of it, does not have these frames.
        """
        with ExitStack() as stack:
            source = open_video(video, fps=fps)
            if source is not video:
                stack.enter_context(source)
            first = source.first if isinstance(source, TrimmedVideo) else 0
            indices = [index - first for index in self.indices]
            if indices[0] < 0 or indices[-1] >= source.n_frames:
                raise InputError(
                    f"the frames {self.indices[0]} to {self.indices[-1]} were named, but "
                    f"{source.path} has {source.n_frames}{f' from {first} on' if first else ''}; "
                    "choose frames of this file again"
                )
            return selection_of_frames(source, indices, name=self.name)


def split_frames(address: str) -> tuple[str, GivenFrames | None]:
    """Split the address of a video from the frames that its end names.

    Args:
        address: Path or URL, with or without ``#frames=`` and rising frame indices.

    Returns:
        The address of the video; and a sampler, or None if the address names no frames.

    Raises:
        InputError: What follows ``#frames=`` is not a list of rising frame indices.

    Example:
        >>> split_frames("clip.mp4#frames=3,40,101")
        ('clip.mp4', GivenFrames(indices=(3, 40, 101), name='given', needs_text=False))
        >>> split_frames("take#2.mp4")
        ('take#2.mp4', None)
    """
    match = _FRAMES.fullmatch(address)
    if match is None:
        return address, None
    words = match["frames"].split(",")
    indices = [int(word) if word.isascii() and word.isdigit() else -1 for word in words]
    if indices[0] < 0 or any(b <= a for a, b in pairwise(indices)):
        raise InputError(
            f"{shown(address)} must end in rising frame indices, such as #frames=3,40,101; take "
            "them from the 'indices' of keyscore batch"
        )
    return match["video"], GivenFrames(tuple(indices))


def selection_of_frames(
    source: VideoSource, indices: Sequence[int], *, name: str, notes: tuple[str, ...] = ()
) -> Selection:
    """A selection of frames that were not chosen here: it has no scores and cost no time.

    Args:
        source: Open video.
        indices: Its frames, rising.
        name: Name that `Selection.sampler` records.
        notes: Notes in addition to those of the video.
    """
    return Selection(
        video=source.path,
        sampler=name,
        config={},
        num_frames=None,
        indices=list(indices),
        pts_seconds=source.pts_seconds(list(indices)).tolist(),
        scores=None,
        decoder=source.decoder,
        start_pts_seconds=source.start_pts_seconds,
        duration_seconds=source.duration_seconds,
        average_fps=float(source.average_fps),
        n_frames=source.n_frames,
        n_frames_counted=source.n_frames_counted,
        n_grid=0,
        seconds=dict.fromkeys((*STAGES, "total"), 0.0),
        notes=source.notes + notes,
    )
