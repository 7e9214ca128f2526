"""Table: a file that is not a video is named by its kind, and the error says what to do."""

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from keyscore_plugin.errors import MOST_CHARACTERS, VideoError
from keyscore_plugin.video.source import open_video
from tests.support.clips import CLIPS, Clip


def picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.linear_gradient("L").save(stream, kind)
    return stream.getvalue()


def packed(kind: str) -> bytes:
    stream = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(stream, "w") as zipped:
            zipped.writestr("video.mp4", b"")
    else:
        with tarfile.open(fileobj=stream, mode="w") as tarred:
            tarred.addfile(tarfile.TarInfo("video.mp4"))
    return stream.getvalue()


def array_file() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.zeros(9))
    return stream.getvalue()


KINDS: dict[str, tuple[bytes, str, str]] = {
    "page.mp4": (b"\n<!DOCTYPE html>\n<title>404</title>", "web page", "download the video itself"),
    "lfs.mp4": (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer", "git lfs pull"),
    "list.mp4": (b"#EXTM3U\na.ts\n", "playlist", "one of the videos that it names"),
    "error.mp4": (b'{"error": "denied"}', "a text", "give a video file"),
    "russian.mp4": ("это не видео\n".encode() * 500, "a text", "give a video file"),
    "zip.mp4": (packed("zip"), "zip archive", "unpack it"),
    "tar.mp4": (packed("tar"), "tar archive", "unpack it"),
    "gzip.mp4": (gzip.compress(b"video"), "gzip archive", "unpack it"),
    "paper.mp4": (b"%PDF-1.7\n\xff", "PDF", "give a video file"),
    "frames.npy": (array_file(), "NumPy array", "numpy.load"),
    "photo.jpg": (picture("jpeg"), "picture", "list of pictures"),
    "photo.mp4": (picture("jpeg"), "picture", "list of pictures"),
    "photo.png": (picture("png"), "picture", "list of pictures"),
    "photo.webp": (picture("webp"), "picture", "list of pictures"),
    "zeros.mp4": (bytes(5000), "zeros", "download it again"),
    "noise.mp4": (
        np.random.default_rng(0).bytes(5000),
        "not a video, or is damaged",
        "give a video",
    ),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_video_is_called_what_it_is(name: str, tmp_path: Path) -> None:
    content, cause, remedy = KINDS[name]
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(VideoError) as error:
        open_video(file)
    assert cause in error.value.cause
    assert remedy in error.value.remedy
    assert len(str(error.value)) <= MOST_CHARACTERS


@pytest.mark.parametrize(
    ("name", "cause"),
    [
        ("cut.mp4", r"unfinished MP4 file: its index \(moov\) is missing, and [0-9,]+ bytes"),
        ("cut.webm", "WebM or Matroska file that is cut off"),
        ("cut.avi", "AVI file that is cut off"),
    ],
)
def test_a_file_that_ends_early_is_called_so(
    name: str, cause: str, clip_path: Callable[[Clip], Path], tmp_path: Path
) -> None:
    suffix = Path(name).suffix
    whole = clip_path(next(clip for clip in CLIPS if clip.name.endswith(suffix))).read_bytes()
    file = tmp_path / name
    file.write_bytes(whole[: len(whole) // 2 if suffix == ".mp4" else 200])
    with pytest.raises(VideoError, match=cause) as error:
        open_video(file)
    assert "copy" in error.value.remedy


def test_an_mp4_whose_index_was_never_written_is_unfinished(
    clip_path: Callable[[Clip], Path], tmp_path: Path
) -> None:
    whole = clip_path(CLIPS[0]).read_bytes()
    file = tmp_path / "growing.mp4"
    file.write_bytes(whole[: whole.index(b"moov") - 4])
    with pytest.raises(VideoError, match=r"unfinished MP4 file: its index \(moov\)") as error:
        open_video(file)
    assert "untrunc" in error.value.remedy


def test_a_part_of_a_stream_asks_for_its_header(tmp_path: Path) -> None:
    fragmented = Clip("parts.mp4", muxer={"movflags": "frag_keyframe+empty_moov"}).write(tmp_path)
    whole = fragmented.read_bytes()
    fragmented.write_bytes(whole[whole.index(b"moof") - 4 :])
    with pytest.raises(VideoError, match="without the header") as error:
        open_video(fragmented)
    assert "init segment" in error.value.remedy


def test_pictures_in_a_row_are_a_video(tmp_path: Path) -> None:
    file = tmp_path / "row.bin"
    file.write_bytes(picture("png") * 3)
    with open_video(file) as video:
        assert video.n_frames == 3
