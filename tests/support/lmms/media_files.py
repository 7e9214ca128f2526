"""Videos and sounds in files whose names lmms-eval takes for those of the other."""

from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.video.stream import VideoStream
from PIL import Image

from tests.support.tiny.videos import numbered_frames

FPS = 10
_SOUND_CODECS = {".webm": "libopus", ".ogg": "libvorbis", ".m4a": "aac", ".wav": "pcm_s16le"}


def write_webm(path: Path, n: int = 40) -> Path:
    """Numbered frames as lossless VP9; returns the path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=FPS, options={"lossless": "1"})
        assert isinstance(stream, VideoStream)
        stream.width = stream.height = 112
        stream.pix_fmt = "yuv444p"
        for pixels in numbered_frames(n):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def write_animation(path: Path, n: int = 40) -> Path:
    """Numbered frames as an animated image; returns the path."""
    first, *others = (Image.fromarray(pixels) for pixels in numbered_frames(n))
    first.save(path, save_all=True, append_images=others, duration=1000 // FPS, lossless=True)
    return path


def write_sound(path: Path) -> Path:
    """A second of silence; returns the path."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(_SOUND_CODECS[path.suffix], rate=48000)
        assert isinstance(stream, AudioStream)
        silence = np.zeros((1, 2 * 48000), dtype=np.int16)
        frame = av.AudioFrame.from_ndarray(silence, format="s16", layout="stereo")
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
