"""A video that stands for another one: what every such video has in common."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

from torch import Tensor
from typing_extensions import Self

from keyscore_plugin.types import Frames

if TYPE_CHECKING:
    from keyscore_plugin.video.source import VideoSource


class ForwardedVideo:
    """A `VideoSource` that asks another one; a subclass says what differs.

    Args:
        source: The other; closing this closes it.

    Attributes: see `keyscore_plugin.video.source.VideoSource`.
    """

    def __init__(self, source: "VideoSource") -> None:
        self._source = source
        self.path: str = source.path
        self.decoder: str = source.decoder
        self.start_pts_seconds: float = source.start_pts_seconds
        self.duration_seconds: float = source.duration_seconds
        self.average_fps: Fraction = source.average_fps
        self.n_frames: int = source.n_frames
        self.n_frames_counted: bool = source.n_frames_counted
        self.width: int = source.width
        self.height: int = source.height
        self.rotation: int = source.rotation
        self.mirrored: bool = source.mirrored
        self.stream: int = source.stream

    @property
    def notes(self) -> tuple[str, ...]:
        """Those of the video."""
        return self._source.notes

    def pts_seconds(self, indices: Sequence[int] | Tensor | None = None) -> Tensor:
        """See `keyscore_plugin.video.source.VideoSource`."""
        return self._source.pts_seconds(indices)

    def keyframes(self) -> Tensor:
        """See `keyscore_plugin.video.source.VideoSource`."""
        return self._source.keyframes()

    def read(
        self, indices: Sequence[int] | Tensor, *, size: tuple[int, int] | None = None
    ) -> Frames:
        """See `keyscore_plugin.video.source.VideoSource`."""
        return self._source.read(indices, size=size)

    def thumbnails(self, grid: Sequence[int] | Tensor, *, short_side: int) -> Iterator[Frames]:
        """See `keyscore_plugin.video.source.VideoSource`."""
        return self._source.thumbnails(grid, short_side=short_side)

    def close(self) -> None:
        """Free the decoder."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
