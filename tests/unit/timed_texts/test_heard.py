"""What is spoken in a video: the words, and their times on the clock of the first frame."""

from pathlib import Path

import numpy as np
import pytest
import torch

from keyscore_plugin.errors import InputError, ModelError
from keyscore_plugin.timed_texts.heard import hear, read_sound
from keyscore_plugin.types import TimedText
from keyscore_plugin.video.samples import sample_video
from tests.support.ffmpeg import make, require_ffmpeg
from tests.support.spoken import BAKERY, TRAIN, speech_model, spoken_video

CPU = torch.device("cpu")


def heard(video: Path, start: float = 0.0, end: float = 20.0) -> tuple[TimedText, ...]:
    model = speech_model()
    return hear(str(video), str(video), name="a", model=model, device=CPU, start=start, end=end)


def assert_at(line: TimedText, word: str, span: tuple[float, float], later: float = 0.0) -> None:
    """The word is in the line, and the line where it is spoken, within half a second."""
    assert word in line.text.lower()
    assert line.origin == "heard"
    assert (line.start, line.end) == pytest.approx((span[0] + later, span[1] + later), abs=0.5)


@pytest.mark.slow
def test_sentences_are_heard_at_their_times(tmp_path: Path) -> None:
    for later in (0.0, 2.0):
        bakery, train = heard(spoken_video(tmp_path / f"{later:.0f}.mkv", later=later))
        assert_at(bakery, "bakery", BAKERY, later)
        assert_at(train, "platform", TRAIN, later)
    only = heard(tmp_path / "0.mkv", start=5.0, end=10.0)
    assert len(only) == 1
    assert_at(only[0], "train", TRAIN)


@pytest.mark.slow
def test_silence_says_nothing(tmp_path: Path) -> None:
    require_ffmpeg()
    silence = make(tmp_path / "silence.ogg", "-f", "lavfi", "-i", "anullsrc=r=16000", "-t", "10")
    assert heard(spoken_video(tmp_path / "a.mkv", sound=silence)) == ()


def test_a_sound_that_begins_later_has_a_later_start(tmp_path: Path) -> None:
    """The loudest tenth of a second is in the sentences, not in the pause between them."""
    for later in (0.0, 2.0):
        samples, begin = read_sound(
            str(spoken_video(tmp_path / f"{later:.0f}.mkv", later=later)), "a"
        )
        assert begin == pytest.approx(later, abs=0.03)
        assert len(samples) / 16_000 == pytest.approx(10, abs=0.1)
        loudness = np.abs(samples)
        assert loudness[16_000 : 4 * 16_000].max() > 20 * loudness[5 * 16_000 : 6 * 16_000].max()


def test_a_pause_in_the_sound_is_silence_and_moves_nothing(tmp_path: Path) -> None:
    """The container has no sound from 3 s to 6 s; the sentences stay where they are."""
    whole = spoken_video(tmp_path / "a.mkv")
    cut = ("-af", "aselect='lt(t,3)+gte(t,6)'", "-c:v", "copy", "-c:a", "pcm_s16le")
    paused = make(tmp_path / "paused.mkv", "-i", whole, *cut)
    (samples, _), (gapped, _) = (read_sound(str(video), "a") for video in (whole, paused))
    assert len(gapped) == pytest.approx(len(samples), abs=1600)
    assert not gapped[4 * 16_000 : 5 * 16_000].any()
    for second in (1.5, 7.0, 8.5):  # the same wave, up to the delay of the resamplers
        part = slice(round(second * 16_000), round((second + 0.5) * 16_000))
        best = np.abs(np.correlate(gapped[part], samples[part], "same")).argmax()
        assert best == pytest.approx(4_000, abs=160)


def test_a_sound_may_change_its_format(tmp_path: Path) -> None:
    """A broadcast goes from one channel to two, and to another rate."""
    require_ffmpeg()
    parts = []
    for offset, channels, rate in ((0, 1, 48_000), (2, 2, 44_100)):
        tone = f"sine=frequency=440:sample_rate={rate}:duration=2"
        inputs = ("-f", "lavfi", "-i", "color=s=64x48:r=5:d=2", "-f", "lavfi", "-i", tone)
        codecs = ("-c:v", "mpeg2video", "-c:a", "mp2", "-ac", str(channels))
        clock = ("-output_ts_offset", str(offset))
        parts.append(make(tmp_path / f"{offset}.ts", *inputs, *codecs, *clock).read_bytes())
    broadcast = tmp_path / "a.ts"
    broadcast.write_bytes(b"".join(parts))
    samples, _ = read_sound(str(broadcast), "a")
    assert len(samples) / 16_000 == pytest.approx(4, abs=0.1)
    assert np.abs(samples[3 * 16_000 :]).max() > 0.05


def test_a_video_without_sound_is_one_clear_error() -> None:
    with pytest.raises(
        InputError, match=r"a\.mp4 has no sound, so nothing is heard in it; leave out hear"
    ):
        read_sound(str(sample_video("bikes")), "a.mp4")


def test_a_model_that_is_none_is_named() -> None:
    speech_model()
    with pytest.raises(ModelError, match="no speech model 'huge': Invalid model size"):
        hear("a.mp4", "", name="a", model="huge", device=CPU, start=0, end=1)
