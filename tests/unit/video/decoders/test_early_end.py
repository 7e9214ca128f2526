"""A file that was cut says so, where its container tells; a whole one says nothing."""

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from keyscore_plugin.video.source import open_video
from tests.support.clips import CLIPS, Clip

MATROSKA = [clip for clip in CLIPS if clip.name.endswith((".mkv", ".webm"))]


def notes(path: Path) -> tuple[str, ...]:
    with open_video(path) as video:
        return video.notes


def cut(path: Path, folder: Path, *, n_frames: int, n_more_bytes: int = 0) -> Path:
    """The start of a file: up to the end of a frame and some bytes of the next.

    A share of the bytes would not do: x264 now and then writes a frame with a few bytes more.
    """
    with av.open(str(path)) as container:
        frame = list(container.demux(video=0))[n_frames - 1]
    assert frame.pos is not None
    data = path.read_bytes()
    end = data.index(bytes(frame), frame.pos) + frame.size
    (folder / path.name).write_bytes(data[: end + n_more_bytes])
    return folder / path.name


@pytest.mark.parametrize("clip", [*MATROSKA, Clip("whole.flv")], ids=lambda clip: clip.name)
def test_a_whole_file_has_no_early_end(clip: Clip, clip_path: Callable[[Clip], Path]) -> None:
    assert notes(clip_path(clip)) == ()


@pytest.mark.parametrize("name", ["long_gop.mkv", "vp9.webm", "late_start.mkv", "whole.flv"])
@pytest.mark.parametrize("hide", [b"", b"DURATION"], ids=["tag", "no tag"])
def test_a_file_that_was_cut_says_when_it_ends_and_should(
    name: str, hide: bytes, tmp_path: Path, clip_path: Callable[[Clip], Path]
) -> None:
    clip = next((clip for clip in CLIPS if clip.name == name), Clip(name))
    path = cut(clip_path(clip), tmp_path, n_frames=clip.n_frames // 2)
    if hide:
        path.write_bytes(path.read_bytes().replace(hide, b"X" * len(hide)))
    with open_video(path) as video:
        promised = clip.seconds[-1] + clip.gaps_ms[0] / 1000
        end = float(video.pts_seconds()[-1]) + clip.gaps_ms[0] / 1000
        assert video.notes == (
            f"the header promises {promised:.1f} s of video, the last frame ends at {end:.1f} s",
        )


@pytest.mark.parametrize(
    ("clip", "missing"),
    [
        (Clip("whole.flv"), "the header promises 1.9 s of video, the last frame ends at 1.0 s"),
        (
            Clip("whole.mp4", muxer={"movflags": "faststart"}),
            "the header promises 48 frames, 24 can be shown",
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Clip) else "",
)
def test_a_file_that_was_cut_within_a_frame_says_also_how_much_is_missing(
    clip: Clip, missing: str, tmp_path: Path, clip_path: Callable[[Clip], Path]
) -> None:
    path = cut(clip_path(clip), tmp_path, n_frames=24, n_more_bytes=30)
    assert notes(path) == ("the file ends early or is damaged: its last frame is cut off", missing)


def test_a_last_picture_that_lasts_long_is_no_early_end(tmp_path: Path) -> None:
    path = Clip("slides.mkv", n_frames=4, gaps_ms=(3000,)).write(tmp_path)
    data = path.read_bytes()
    longer = data.replace(b"00:00:09.", b"00:00:14.")
    assert longer != data
    path.write_bytes(longer)
    assert notes(path) == ()
