"""What FFmpeg attaches to a frame besides its pixels."""

from av.sidedata.sidedata import SideData
from av.video.frame import VideoFrame


def side_data(frame: VideoFrame, kind: str) -> bytes | None:
    """The bytes of one entry; None if there is none.

    Args:
        frame: A decoded frame.
        kind: FFmpeg's name of the entry, without ``AV_FRAME_DATA_``.
    """
    try:
        found = frame.side_data.get(kind)
    except ValueError:  # PyAV tells none where one is of a kind that is new to it, as in MV-HEVC
        return None
    return bytes(found) if isinstance(found, SideData) else None
