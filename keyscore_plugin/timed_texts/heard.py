"""What is spoken in a video, as a Whisper model of faster-whisper writes it down."""

import math
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch

from keyscore_plugin._runtime import progress
from keyscore_plugin._runtime.files import is_folder
from keyscore_plugin._runtime.hub import first_line, weights_identity
from keyscore_plugin._runtime.optional import require
from keyscore_plugin.errors import InputError, MissingDependencyError, ModelError, shown
from keyscore_plugin.types import TimedText
from keyscore_plugin.video.decoders.container import open_stream

_WEIGHTS = "model.bin"  # file of every model of CTranslate2
_RATE = 16_000  # samples a second, as Whisper hears them
_PAUSE_SECONDS = 0.1  # ours: containers round the times of frames by less


@lru_cache(maxsize=16)  # ours: the second question on a video hears nothing again
def hear(
    video: str,
    content: str,
    *,
    name: str,
    model: str,
    device: torch.device,
    start: float,
    end: float,
) -> tuple[TimedText, ...]:
    """Write down what is spoken in a video, or in a part of it.

    The words are those of the likeliest beam, without the random tries of Whisper, so that a video
    gives the same ones again. Stretches without speech are left out by Silero's detector first.

    Args:
        video: Path of the video.
        content: Digest of the video's content, by which the result is kept in memory.
        name: Name of the video, for errors.
        model: Folder of a Whisper model converted for CTranslate2, or a name that faster-whisper
            downloads, such as ``"small"``.
        device: Device of the model.
        start: Start of the part in seconds from the video's first frame.
        end: End of the part.

    Returns:
        Lines by their start, on the clock of the video's first frame.

    Raises:
        InputError: The video has no sound, or it does not decode.
        VideoError: The video cannot be opened.
        ModelError: The model cannot be loaded.
        MissingDependencyError: faster-whisper is not installed.
    """
    whisper = _load(model, device, torch.get_num_threads())
    sound, begin = read_sound(video, name, end=end)
    first = max(0, round((start - begin) * _RATE))
    part = sound[first : max(0, round((end - begin) * _RATE))]
    if not len(part):
        return ()
    segments, _ = whisper.transcribe(
        part,
        temperature=0.0,
        condition_on_previous_text=False,
        vad_filter=True,
        word_timestamps=True,  # without them a line lasts to the beginning of the next one
    )
    since = begin + first / _RATE
    spoken = ((one, " ".join(one.text.split())) for one in segments)
    return tuple(
        TimedText(float(since + one.start), float(since + one.end), words, "heard")
        for one, words in spoken
        if words
    )


class _Waveform:
    """The samples of a sound, each at the time that its frame has.

    Args:
        end: Time on the container's clock; frames that begin later are left out.

    Attributes:
        begin: Time of the first frame on the same clock; None before a frame comes.
    """

    def __init__(self, end: float) -> None:
        self.begin: float | None = None
        self._end = end
        self._parts: list[np.ndarray[Any, Any]] = []
        self._n_samples = 0
        self._form: tuple[str, str, int] | None = None
        self._resampler = av.AudioResampler()

    def append(self, frame: av.AudioFrame) -> None:
        """Add a frame, after silence if it begins later than the one before ends."""
        if self.begin is None:
            self.begin = frame.time or 0.0
        if frame.time is not None and frame.time >= self._end:
            return
        form = frame.format.name, frame.layout.name, frame.sample_rate
        if form != self._form or self._n_missing(frame) > _PAUSE_SECONDS * _RATE:
            self._take(None)
            self._add(np.zeros(max(0, self._n_missing(frame)), np.float32))
            self._form, self._resampler = form, av.AudioResampler("flt", "mono", _RATE)
        self._take(frame)

    def samples(self) -> np.ndarray[Any, Any]:
        """``(n,)`` float32 samples of all frames; the last call."""
        self._take(None)
        return np.concatenate([np.empty(0, np.float32), *self._parts])

    def _n_missing(self, frame: av.AudioFrame) -> int:
        if frame.time is None:
            return 0
        return round((frame.time - (self.begin or 0.0)) * _RATE) - self._n_samples

    def _take(self, frame: av.AudioFrame | None) -> None:
        """Resample a frame; None takes what the resampler still holds."""
        for one in self._resampler.resample(frame):
            self._add(one.to_ndarray()[0])

    def _add(self, samples: np.ndarray[Any, Any]) -> None:
        self._parts.append(samples)
        self._n_samples += len(samples)


def read_sound(
    video: str, name: str, *, end: float = math.inf
) -> tuple[np.ndarray[Any, Any], float]:
    """Decode the first sound of a video.

    Silence stands where the sound pauses, and in place of what does not decode.

    Args:
        video: Path of the video.
        name: Name of the video, for errors.
        end: Time in seconds from the video's first frame; what begins later is left out.

    Returns:
        ``(n,)`` float32 samples, 16,000 a second, of one channel; and the time of the first one in
        seconds from the video's first frame.

    Raises:
        InputError: The video has no sound, or it does not decode.
        VideoError: The video cannot be opened.
    """
    container, picture = open_stream(video)
    start = float((picture.start_time or 0) * (picture.time_base or 0))
    waveform = _Waveform(start + end)
    with closing(container), suppress(av.FFmpegError):  # what comes before the damage is heard
        if not container.streams.audio:
            raise InputError(f"{name} has no sound, so nothing is heard in it; leave out heard")
        sound = container.streams.audio[0]
        for packet in container.demux(sound):
            with suppress(av.FFmpegError):  # a damaged packet: the others are heard
                for frame in sound.decode(packet):
                    waveform.append(frame)
    if waveform.begin is None:
        raise InputError(
            f"the sound of {name} does not decode; repair the file, or leave out heard"
        )
    return waveform.samples(), waveform.begin - start


def speech_weights(model: str, device: torch.device | None = None) -> str | None:
    """Identify the weights of a speech model; the identity changes when they do.

    Args:
        model: Model as `hear` takes it.
        device: Device on which a model that is not on this machine yet is loaded first, to know
            which version the hub gives; None loads nothing.

    Returns:
        A hash or a commit; None if this machine does not have the model.

    Raises:
        ModelError: A device is given, and the model cannot be loaded.
        MissingDependencyError: A device is given, and faster-whisper is not installed.
    """
    if is_folder(model):
        return weights_identity(model)
    weights = _commit(model)
    if weights is None and device is not None:
        _load(model, device, torch.get_num_threads())
        weights = _commit(model)
    return weights


def _commit(model: str) -> str | None:
    """The commit of a model in the hub's local cache; None if it is not there."""
    try:
        folder = Path(require_speech().download_model(model, local_files_only=True))
    # The model is not in the cache; no model has the name; nothing can load it.
    except (OSError, ValueError, MissingDependencyError):
        return None
    return folder.name if (folder / _WEIGHTS).is_file() else None


def require_speech() -> Any:
    """faster-whisper, imported.

    Raises:
        MissingDependencyError: It is not installed.
    """
    return require("faster_whisper", extra="speech")


@lru_cache(maxsize=1)
def _load(model: str, device: torch.device, n_threads: int) -> Any:
    """The model, kept for the next video."""
    whisper = require_speech()
    on_gpu = device.type == "cuda"
    with progress.loading(f"speech model {model}"):
        try:
            return whisper.WhisperModel(
                model,
                device="cuda" if on_gpu else "cpu",
                device_index=device.index or 0,
                compute_type="default" if on_gpu else "int8",  # ours: half of float32's time
                cpu_threads=n_threads,
            )
        except Exception as error:  # ctranslate2 and the hub have errors of no class of their own
            raise ModelError(
                f"no speech model {shown(model)}: {first_line(error)}; give the folder of a "
                "Whisper model for CTranslate2, or a name of faster-whisper such as 'small'"
            ) from error
