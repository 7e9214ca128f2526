"""What a container says about the end of its video, held against the frames that are there."""

import re

import av
import numpy as np
from av.container import InputContainer
from av.video.stream import VideoStream

from keyscore_plugin.video.decoders.frame_index import FrameTable

# Those that write a duration when the recording ends and no count of frames. FFmpeg makes up one
# for others, from the last packet that it finds.
_FORMATS = {"matroska", "flv"}
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")  # Matroska's tag DURATION
_LEAST_SECONDS = 0.5  # ours: writers round, and differ over how long the last frame lasts
_GAPS = 2  # ours: of a slide show's last picture, nobody knows how long it lasts


def early_end(container: InputContainer, stream: VideoStream, table: FrameTable) -> str | None:
    """A note on a video whose frames end long before the header says, as in a file that was cut."""
    promised = _promised_seconds(container, stream)
    if promised is None or not _FORMATS & set(container.format.name.split(",")):
        return None
    end = float(table.end * table.time_base)
    longest_gap = float(np.diff(table.seconds).max(initial=0.0))
    if promised - end <= max(_LEAST_SECONDS, _GAPS * longest_gap):
        return None
    return f"the header promises {promised:.1f} s of video, the last frame ends at {end:.1f} s"


def promised_frames(container: InputContainer, stream: VideoStream) -> float:
    """How many frames the header counts, or its duration and rate make; 0 where it says nothing."""
    rate = max(stream.average_rate or 0, stream.guessed_rate or 0)
    return max(stream.frames, (container.duration or 0) / av.time_base * float(rate))


def _promised_seconds(container: InputContainer, stream: VideoStream) -> float | None:
    """Of the video alone; what the header says of all streams may be the sound's."""
    clock = _CLOCK.match(stream.metadata.get("DURATION", ""))
    if clock:
        hours, minutes, seconds = map(float, clock.groups())
        return hours * 3600 + minutes * 60 + seconds
    if len(container.streams) == 1 and container.duration is not None:
        return container.duration / av.time_base
    return None
