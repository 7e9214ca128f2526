"""What is left of the orientation where PyAV cannot list what comes with a frame."""

from dataclasses import dataclass
from typing import cast

import pytest
from av.video.frame import VideoFrame

from keyscore_plugin.video.decoders.decoding import side_data
from keyscore_plugin.video.decoders.picture import Orientation, orientation_of


@dataclass
class Unlisted:
    """A frame with an entry that PyAV does not know: it lists none, but tells the angle."""

    rotation: int

    @property
    def side_data(self) -> dict[str, bytes]:
        raise ValueError("29 is not a valid Type")


@pytest.mark.parametrize(("angle", "clockwise"), [(0, 0), (-90, 90), (90, 270), (180, 180)])
def test_a_frame_whose_side_data_cannot_be_listed_is_turned(angle: int, clockwise: int) -> None:
    frame = cast(VideoFrame, Unlisted(angle))
    assert side_data(frame, "DISPLAYMATRIX") is None
    assert orientation_of(frame) == Orientation(rotation=clockwise)
