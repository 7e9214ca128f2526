"""Contract: a file that is no video is one clear error; a damaged one shows what is left."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from keyscore_plugin.errors import VideoError
from keyscore_plugin.types import Frames
from keyscore_plugin.video import DECODERS, VideoSource, open_video
from tests.broken import BROKEN, Broken
from tests.clips import number_of
from tests.requires import require_decoder, require_or_skip

pytestmark = pytest.mark.timeout(30)


@pytest.fixture(params=sorted(DECODERS))
def decoder(request: pytest.FixtureRequest) -> str:
    name = str(request.param)
    require_decoder(name)
    return name


def answer(video: VideoSource, indices: Sequence[int]) -> Frames | VideoError:
    try:
        return video.read(indices)
    except VideoError as error:
        return error


def answer_of(path: Path, decoder: str) -> Frames | VideoError:
    try:
        with open_video(path, decoder) as video:
            return answer(video, range(video.n_frames))
    except VideoError as error:
        return error


@pytest.mark.parametrize("broken", [b for b in BROKEN if b.words], ids=lambda b: b.name)
def test_what_is_no_video_is_one_line_that_names_file_cause_and_remedy(
    broken: Broken, decoder: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / broken.name
    broken.write(path)
    with pytest.raises(VideoError, match=broken.words) as error:
        open_video(path, decoder)
    assert error.value.path == str(path)
    assert "\n" not in str(error.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("https://example.com/video.mp4", "it is a URL"),
        ("rtsp://example.com/live", "it is a URL"),
        ("nowhere/video.mp4", "no such file"),
        ("", "it is no path"),
        ("video\0.mp4", "it is no path"),
        ("/dev/null", "not a regular file"),
        ("x" * 5000, "too long"),
    ],
)
def test_what_is_no_local_file_is_said_so(path: str, words: str, decoder: str) -> None:
    with pytest.raises(VideoError, match=words):
        open_video(path, decoder)


@pytest.mark.parametrize("broken", [b for b in BROKEN if not b.words], ids=lambda b: b.name)
def test_a_damaged_video_shows_what_is_left_and_never_a_wrong_frame(
    broken: Broken, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / broken.name
    broken.write(path)
    with open_video(path) as video:
        seen = list(video.thumbnails(range(video.n_frames), short_side=64))
        n_seen = sum(len(frames) for frames in seen)
        assert 10 < n_seen <= video.n_frames
        assert n_seen == video.n_frames or any("no frame that decodes" in n for n in video.notes)
        answers = [answer(video, [index]) for index in range(video.n_frames)]
        for index, frame in enumerate(answers):
            if isinstance(frame, VideoError):
                assert f"frame {index} does not decode" in frame.cause
            elif broken.name != "noise.mp4":  # noise may change pixels without a word of the codec
                assert number_of(frame.pixels[0].numpy()) == index
        assert sum(isinstance(frame, Frames) for frame in answers) == n_seen
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("broken", [b for b in BROKEN if not b.words], ids=lambda b: b.name)
@pytest.mark.parametrize("decoder", ["decord", "torchcodec"])
def test_other_decoders_read_a_damaged_video_or_name_pyav(
    broken: Broken, decoder: str, tmp_path: Path
) -> None:
    require_or_skip(decoder)
    path = tmp_path / broken.name
    broken.write(path)
    frames = answer_of(path, decoder)
    if isinstance(frames, VideoError):
        assert "decoder='pyav'" in frames.remedy
    else:
        assert [number_of(image.numpy()) for image in frames.pixels] == list(range(len(frames)))


def test_nothing_of_a_decoder_reaches_standard_error(tmp_path: Path) -> None:
    broken = next(b for b in BROKEN if b.name == "noise.mp4")
    path = tmp_path / broken.name
    broken.write(path)
    code = (
        "import sys; from keyscore_plugin.video import open_video; "
        "v = open_video(sys.argv[1]); print(sum(len(f) for f in v.thumbnails(range(99), "
        "short_side=32)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""
