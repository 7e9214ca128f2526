"""Contract: a file that is not a video is one clear error; a damaged one shows what is left."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from keyscore_plugin.errors import VideoError
from keyscore_plugin.registries import DECODERS
from keyscore_plugin.types import Frames
from keyscore_plugin.video.decoders import decoding
from keyscore_plugin.video.source import VideoSource, open_video
from tests.support.broken_files import BROKEN, Broken
from tests.support.clips import CLIPS, VP9_FAST, Clip, number_of
from tests.support.requires import require_decoder, require_or_skip

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
        ("", "it is not a path"),
        ("video\0.mp4", "it is not a path"),
        ("\ud800.mp4", "it is not a path"),
        ("/dev/null", "not a regular file"),
        ("x" * 5000, "too long"),
    ],
)
def test_what_is_no_local_file_is_said_so(path: str, words: str, decoder: str) -> None:
    with pytest.raises(VideoError, match=words):
        open_video(path, decoder)


NAMES_OTHERS = [
    ("list.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n"),
    ("list.ffconcat", "ffconcat version 1.0\nfile '{other}'\n"),
    ("list.ffconcat", "ffconcat version 1.0\nfile {other.name}\n"),
    ("other.idx", "# VobSub index file, v7\nid: en, index: 0\n"),
    ("other%d.png", "\x89PNG"),
]


@pytest.mark.slow
@pytest.mark.timeout(150)
def test_a_file_that_names_others_opens_none_of_them(tmp_path: Path) -> None:
    """The others are pipes without a writer: who opens one waits for ever."""
    paths = [tmp_path / str(row) / name for row, (name, _) in enumerate(NAMES_OTHERS)]
    for path, (_, text) in zip(paths, NAMES_OTHERS, strict=True):
        path.parent.mkdir()
        for other in ("other.ts", "other.sub", "other1.png"):
            os.mkfifo(path.parent / other)
        path.write_text(text.format(other=path.parent / "other.ts"), encoding="latin-1")
    code = (
        "import sys; from keyscore_plugin.video.source import open_video\n"
        "for path in sys.argv[1:]:\n"
        "    try: open_video(path)\n"
        "    except OSError as error: print(error, flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    said = done.stdout.splitlines()
    assert len(said) == len(paths)
    assert all(re.search("it is a (playlist|text|picture)", line) for line in said)


@pytest.mark.parametrize(
    "name",
    ["-i.mp4", "a\nb.mp4", os.fsdecode(b"caf\xe9.mp4"), "http:a.mp4", "concat:a|b.mp4", "%d"],
)
def test_a_video_is_read_or_refused_in_one_line_whatever_its_name(
    name: str,
    decoder: str,
    tmp_path: Path,
    clip_path: Callable[[Clip], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sound = clip_path(CLIPS[0])
    shutil.copy(sound, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / name, Path(name)):
        frames = answer_of(path, decoder)
        if isinstance(frames, VideoError):
            assert decoder != "pyav"
            assert frames.remedy == "use decoder='pyav'"
        else:
            assert [number_of(image.numpy()) for image in frames.pixels] == list(range(len(frames)))


@pytest.mark.parametrize("broken", [b for b in BROKEN if not b.words], ids=lambda b: b.name)
@pytest.mark.parametrize("n_threads", [0, 1, 5])
def test_a_damaged_video_shows_what_is_left_and_never_a_wrong_frame(
    broken: Broken,
    n_threads: int,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decoding, "_n_threads", n_threads)
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
                # By its time: frames before it may be missing from the file.
                assert number_of(frame.pixels[0].numpy()) == round(frame.pts_seconds.item() * 25)
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
        # By their times: frames before the last may be missing from a file that was cut.
        wanted = (frames.pts_seconds * 25).round().int().tolist()
        assert [number_of(image.numpy()) for image in frames.pixels] == wanted


@pytest.mark.slow
def test_nothing_of_a_decoder_reaches_standard_error(tmp_path: Path) -> None:
    broken = next(b for b in BROKEN if b.name == "noise.mp4")
    path = tmp_path / broken.name
    broken.write(path)
    code = (
        "import sys; from keyscore_plugin.video.source import open_video; "
        "v = open_video(sys.argv[1]); print(sum(len(f) for f in v.thumbnails(range(99), "
        "short_side=32)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


@pytest.mark.slow
def test_streams_that_come_to_light_while_a_file_is_read_crash_nothing(tmp_path: Path) -> None:
    """The header of FLV names no streams. In a separate process: PyAV's array is too short."""
    clips = [Clip(f"late.{kind}") for kind in ("flv", "mpg", "ts", "nut")]
    paths = [str(clip.write(tmp_path)) for clip in clips]
    code = (
        "import sys; from keyscore_plugin.video.source import open_video\n"
        "for path in sys.argv[1:]:\n"
        "    for _ in range(20):\n"
        "        with open_video(path) as video: print(video.n_frames)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *paths], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["48"] * 80


def answers_of_changing(path: Path, decoder: str, change: bytes) -> list[Frames | VideoError]:
    """What each frame gives when the file becomes another one while it is open."""
    try:
        with open_video(path, decoder) as video:
            path.write_bytes(change)
            return [answer(video, [index]) for index in range(video.n_frames)]
    except VideoError as error:
        return [error]


@pytest.mark.parametrize("name", ["grows.mkv", "grows.ts", "grows.webm"])
@pytest.mark.parametrize(("first", "then"), [(0.5, 1.0), (1.0, 0.4), (1.0, 0.0)])
def test_a_file_that_changes_its_length_while_it_is_open_shows_no_wrong_frame(
    name: str, first: float, then: float, decoder: str, tmp_path: Path
) -> None:
    codec = "libvpx-vp9" if name.endswith("webm") else "libx264"
    path = Clip(name, codec=codec, encoder=VP9_FAST if codec != "libx264" else {}).write(tmp_path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * first)])
    answers = answers_of_changing(path, decoder, whole[: int(len(whole) * then)])
    for index, frame in enumerate(answers):
        if isinstance(frame, Frames):
            assert number_of(frame.pixels[0].numpy()) == index
    if decoder == "pyav" and first <= then:
        assert len(answers) > 10
        assert all(isinstance(frame, Frames) for frame in answers)
