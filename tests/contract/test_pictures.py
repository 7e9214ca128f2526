"""Parity: a picture is shown as the command ``ffmpeg`` shows it, or it is refused, or noted."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from keyscore_plugin import get_sampler
from keyscore_plugin.cli.outputs import save_frames
from keyscore_plugin.errors import InputError, VideoError
from keyscore_plugin.types import Selection
from keyscore_plugin.video.samples import sample_video
from keyscore_plugin.video.source import VideoSource, open_video
from tests.support.clips import Clip, Image, number_of, patch_matrix, patch_orientation
from tests.support.ffmpeg import make, require_ffmpeg, shown
from tests.support.requires import require_decoder

pytestmark = pytest.mark.slow

ClipPath = Callable[[Clip], Path]
OTHERS = ("decord", "torchcodec", "torchcodec-cuda")
# The usual recipe, which FFmpeg's filters zscale and tonemap carry out.
TO_SDR = (
    "zscale=t=linear:npl=100,format=gbrpf32le,zscale=p=bt709,tonemap=hable:desat=0,"
    "zscale=t=bt709:m=bt709:r=tv"
)
MASTERED = "hdr10=1:max-cll=4000,400:master-display=" + (
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(40000000,50)"
)
DIM = MASTERED.replace("max-cll=4000,400", "max-cll=0,0").replace("L(40000000,", "L(6000000,")


@pytest.fixture(autouse=True)
def ffmpeg() -> None:
    require_ffmpeg()


def everything(video: VideoSource) -> Image:
    return video.read(range(video.n_frames)).pixels.numpy()


def small(video: VideoSource, short_side: int) -> Image:
    batches = video.thumbnails(range(video.n_frames), short_side=short_side)
    return np.concatenate([batch.pixels.numpy() for batch in batches])


def mean_off(ours: Image, theirs: Image) -> float:
    assert ours.shape == theirs.shape
    return float(np.abs(ours.astype(np.int64) - theirs).mean())


def pattern(path: Path, *arguments: str, size: str = "96x64", seconds: float = 0.24) -> Path:
    """A clip of FFmpeg's own test pattern."""
    source = f"testsrc2=s={size}:r=25:d={seconds}"
    return make(path, "-f", "lavfi", "-i", source, *arguments)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("size", [(96, 64), (175, 143)])
def test_all_eight_display_matrices_are_shown_as_ffmpeg_shows_them(
    rotation: int, mirrored: bool, size: tuple[int, int], clip_path: ClipPath
) -> None:
    pix_fmt = "yuv420p" if size == (96, 64) else "yuv444p"
    name = f"matrix_{rotation}_{mirrored}_{size[0]}.mp4"
    clip = Clip(name, rotation=rotation, mirrored=mirrored, size=size, pix_fmt=pix_fmt, n_frames=6)
    with open_video(clip_path(clip)) as video:
        assert (video.width, video.height) == size
        assert (video.rotation, video.mirrored) == (rotation, mirrored)
        assert np.array_equal(everything(video), shown(clip_path(clip), size[::-1]))
        assert [number_of(image) for image in small(video, 40)] == clip.numbers


@pytest.mark.parametrize("decoder", OTHERS)
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_a_decoder_that_cannot_mirror_says_so(
    decoder: str, rotation: int, clip_path: ClipPath
) -> None:
    require_decoder(decoder)
    clip = Clip(f"mirror_{rotation}.mp4", rotation=rotation, mirrored=True, n_frames=6)
    with pytest.raises(VideoError, match=f"quarter turn, .* {decoder} shows; use decoder='pyav'"):
        open_video(clip_path(clip), decoder)


@pytest.mark.parametrize("matrix", [(0.7, 0.7, -0.7, 0.7), (1, 0.5, 0, 1), (0, 0, 0, 0)])
def test_any_other_display_matrix_is_noted(
    matrix: tuple[float, float, float, float], clip_path: ClipPath
) -> None:
    def patch(data: bytes) -> bytes:
        return patch_matrix(data, matrix)

    path = clip_path(Clip(f"odd_{'_'.join(map(str, matrix))}.mp4", n_frames=6, patch=patch))
    with open_video(path) as video:
        assert any("matrix is neither a mirror nor a quarter turn" in note for note in video.notes)
        assert [number_of(image) for image in everything(video)] == list(range(6))
    require_decoder("torchcodec")
    with pytest.raises(VideoError, match="its display matrix"):
        open_video(path, "torchcodec")


@pytest.fixture(scope="module")
def high_range(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """Makes three frames of a real clip, taken for light of a given transfer."""
    folder = tmp_path_factory.mktemp("hdr")

    def write(transfer: str, metadata: str) -> Path:
        path = folder / f"{transfer}_{len(metadata)}.mp4"
        tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc:{metadata}"
        toned = "scale=480:270:out_color_matrix=bt2020,eq=saturation=0.5,format=yuv420p10le"
        real, coder = sample_video("bigbuckbunny"), ("-c:v", "libx265", "-crf", "10")
        named = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
        quiet = ("-x265-params", f"log-level=none:{tags}")
        return make(path, "-i", real, "-vf", toned, "-frames:v", "3", *coder, *quiet, *named)

    return write


HIGH_RANGE = [
    ("smpte2084", "", "PQ", 1000),
    ("smpte2084", MASTERED, "PQ", 4000),
    ("smpte2084", DIM, "PQ", 600),
    ("arib-std-b67", "", "HLG", 1000),
]


@pytest.mark.parametrize(("transfer", "metadata", "curve", "nits"), HIGH_RANGE)
def test_high_dynamic_range_is_tone_mapped_as_ffmpeg_does_it(
    transfer: str,
    metadata: str,
    curve: str,
    nits: int,
    high_range: Callable[[str, str], Path],
) -> None:
    path = high_range(transfer, metadata)
    with open_video(path) as video:
        (note,) = video.notes
        assert note == f"HDR ({curve}) tone-mapped to SDR by Hable's curve, from {nits} cd/m2"
        assert mean_off(everything(video), shown(path, (270, 480), filters=TO_SDR)) < 2
        scaled = f"{TO_SDR},format=rgb24,scale=228:128:flags=bilinear"
        assert mean_off(small(video, 128), shown(path, (128, 228), filters=scaled)) < 2


@pytest.mark.parametrize("decoder", OTHERS)
def test_a_decoder_that_does_not_tone_map_says_so(
    decoder: str, high_range: Callable[[str, str], Path]
) -> None:
    require_decoder(decoder)
    with pytest.raises(VideoError, match=f"HDR .HLG., which {decoder} .*use decoder='pyav'"):
        open_video(high_range("arib-std-b67", ""), decoder)


@pytest.mark.parametrize(
    ("pix_fmt", "options"),
    [
        ("yuv420p", ()),
        ("yuv420p", ("-colorspace", "bt709")),
        ("yuv420p", ("-colorspace", "bt2020c")),
        ("yuv420p", ("-color_range", "pc")),
        ("yuv420p10le", ()),
        ("yuv420p10le", ("-colorspace", "bt709")),
        ("yuv422p", ()),
        ("yuv422p10le", ()),
        ("yuv444p", ()),
        ("yuv410p", ()),
        ("yuv411p", ()),
        ("yuva420p", ()),
        ("gray", ()),
        ("gbrp", ()),
        ("bgra", ()),
    ],
)
@pytest.mark.parametrize("size", [(96, 64), (97, 63)])
def test_a_frame_of_full_size_has_the_bits_of_ffmpeg(
    pix_fmt: str, options: tuple[str, ...], size: tuple[int, int], tmp_path: Path
) -> None:
    width, height = size
    cut = ("-vf", f"crop={width}:{height}:exact=1", "-pix_fmt", pix_fmt)
    path = pattern(tmp_path / "a.mkv", *cut, "-c:v", "ffv1", *options, size="98x64")
    with open_video(path) as video:
        assert np.array_equal(everything(video), shown(path, (height, width)))


@pytest.mark.parametrize(("rotation", "ratio"), [(0, "4:3"), (90, "3:4"), (180, "4:3")])
def test_pixels_that_are_not_square_are_shown_as_they_are_with_a_note(
    rotation: int, ratio: str, tmp_path: Path
) -> None:
    path = pattern(tmp_path / "a.mp4", "-vf", "setsar=4/3", "-pix_fmt", "yuv420p")
    path.write_bytes(patch_orientation(path.read_bytes(), rotation))
    with open_video(path) as video:
        assert video.notes == (f"its pixels are {ratio}, not square: they are shown unstretched",)
        assert np.array_equal(everything(video), shown(path, (video.height, video.width)))


def test_an_interlaced_video_is_shown_as_it_is_with_a_note(tmp_path: Path) -> None:
    fields = ("-flags", "+ildct+ilme", "-vf", "setfield=tff", "-pix_fmt", "yuv444p")
    path = pattern(tmp_path / "a.mkv", *fields, "-c:v", "libx264")
    with open_video(path) as video:
        (note,) = video.notes
        assert note == "it is interlaced: both fields of a frame are shown as one picture"
        assert np.array_equal(everything(video), shown(path, (64, 96)))


@pytest.fixture(params=[((96, 64), (144, 96)), ((144, 96), (96, 64)), ((96, 64), (64, 96))])
def two_sizes(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, tuple[int, int]]:
    """A film whose size changes midway, and (height, width) of its first frame."""
    parts = [
        Clip(f"{part}.ts", size=size, n_frames=12).write(tmp_path)
        for part, size in enumerate(request.param)
    ]
    listed = tmp_path / "parts.txt"
    listed.write_text("".join(f"file {part}\n" for part in parts))
    path = make(tmp_path / "film.mp4", "-f", "concat", "-safe", "0", "-i", listed, "-c", "copy")
    return path, request.param[0][::-1]


def test_frames_of_another_size_are_scaled_to_the_first_with_a_note(
    two_sizes: tuple[Path, tuple[int, int]],
) -> None:
    path, size = two_sizes
    with open_video(path) as video:
        assert (video.height, video.width) == size
        assert mean_off(everything(video), shown(path, size)) < 0.01
        assert video.notes == ("the size of its frames changes: all are scaled to the first's",)
        assert [number_of(image) for image in small(video, 32)] == [*range(12)] * 2


def test_decord_scales_frames_of_another_size_too(
    two_sizes: tuple[Path, tuple[int, int]],
) -> None:
    require_decoder("decord")
    path, size = two_sizes
    with open_video(path, "decord") as video:
        assert mean_off(everything(video), shown(path, size)) < 2


@pytest.mark.parametrize("decoder", ["torchcodec", "torchcodec-cuda"])
def test_torchcodec_refuses_frames_of_another_size(
    decoder: str, two_sizes: tuple[Path, tuple[int, int]]
) -> None:
    require_decoder(decoder)
    path, _ = two_sizes
    with open_video(path, decoder) as video, pytest.raises(VideoError, match="decoder='pyav'"):
        everything(video)


def joined(path: Path, first: Path, second: Path, *options: str) -> Path:
    """Both videos as streams of one file."""
    both = ("-i", first, "-i", second, "-map", "0", "-map", "1", "-c", "copy")
    return make(path, *both, *options)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    require_ffmpeg()
    folder = tmp_path_factory.mktemp("parts")
    coded = ("-c:v", "libx264", "-bf", "0", "-pix_fmt", "yuv420p")
    one = ("-frames:v", "1", "-c:v")
    return {
        "little": pattern(folder / "little.mp4", *coded, seconds=1),
        "big": pattern(folder / "big.mp4", *coded, size="144x96", seconds=1),
        "jpeg": pattern(folder / "cover.mjpeg", *one, "mjpeg", size="320x240"),
        "png": pattern(folder / "cover.png", *one, "png", size="320x240"),
    }


FIRST_DEFAULT = ("-disposition:v:0", "default", "-disposition:v:1", "0")
SECOND_DEFAULT = ("-disposition:v:0", "0", "-disposition:v:1", "default")


@pytest.mark.parametrize("container", ["mp4", "mkv", "avi", "ts", "nut"])
@pytest.mark.parametrize(
    ("first", "second", "options"),
    [
        ("little", "big", ()),
        ("big", "little", ()),
        ("little", "big", FIRST_DEFAULT),
        ("big", "little", SECOND_DEFAULT),
    ],
)
def test_the_stream_that_is_read_is_the_one_that_ffmpeg_takes(
    first: str,
    second: str,
    options: tuple[str, ...],
    container: str,
    parts: dict[str, Path],
    tmp_path: Path,
) -> None:
    path = joined(tmp_path / f"two.{container}", parts[first], parts[second], *options)
    with open_video(path) as video:
        assert np.array_equal(everything(video), shown(path, (video.height, video.width)))


@pytest.mark.parametrize("cover", ["jpeg", "png"])
@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "avi", "nut"])
def test_a_cover_that_is_a_plain_first_stream_is_not_the_video(
    cover: str, container: str, parts: dict[str, Path], tmp_path: Path
) -> None:
    path = joined(tmp_path / f"two.{container}", parts[cover], parts["little"])
    with open_video(path) as video:
        assert (video.width, video.n_frames, video.stream) == (96, 25, 1)
        assert "it holds 2 video streams: stream=1 was read" in video.notes
    with open_video(path, stream=0) as video:
        assert (video.width, video.n_frames, video.stream) == (320, 1, 0)


@pytest.mark.parametrize("decoder", ["pyav", *OTHERS])
@pytest.mark.parametrize("number", [0, 1])
def test_the_stream_that_is_named_is_read_or_refused(
    decoder: str, number: int, parts: dict[str, Path], tmp_path: Path
) -> None:
    require_decoder(decoder)
    path = joined(tmp_path / "two.mkv", parts["little"], parts["big"])
    if decoder == "decord":
        with pytest.raises(VideoError, match=r"several video streams.*decoder='pyav'"):
            open_video(path, decoder, stream=number)
        return
    with open_video(path, decoder, stream=number) as video:
        expected = open_video(parts["big" if number else "little"])
        assert video.stream == number
        assert video.width == expected.width
        assert mean_off(everything(video), everything(expected)) < 1.5
        assert f"it holds 2 video streams: stream={number} was read" in video.notes


@pytest.mark.parametrize("stream", ["1", 1.0, True, [0]])
def test_the_number_of_a_stream_is_a_whole_number(stream: Any, clip_path: ClipPath) -> None:
    with pytest.raises(InputError, match="stream must be a whole number"):
        open_video(clip_path(Clip("h264.mp4")), stream=stream)


def test_pictures_and_open_videos_have_no_streams_to_choose_from(clip_path: ClipPath) -> None:
    pictures = [np.zeros((8, 8, 3), dtype=np.uint8)] * 2
    with pytest.raises(InputError, match="stream=1 applies to video files only"):
        open_video(pictures, fps=1, stream=1)
    with (
        open_video(clip_path(Clip("h264.mp4"))) as video,
        pytest.raises(InputError, match="stream=0 applies to video files only"),
    ):
        open_video(video, stream=0)


def test_bytes_have_streams_as_their_file_has(parts: dict[str, Path], tmp_path: Path) -> None:
    path = joined(tmp_path / "two.mp4", parts["little"], parts["big"])
    with open_video(path.read_bytes(), stream=0) as video:
        assert (video.width, video.stream, video.mirrored) == (96, 0, False)


@pytest.mark.parametrize("number", [-1, 2])
def test_a_stream_that_is_not_there_is_an_error(
    number: int, parts: dict[str, Path], tmp_path: Path
) -> None:
    path = joined(tmp_path / "two.mp4", parts["little"], parts["big"])
    with pytest.raises(VideoError, match=f"no stream={number}, but 2 video streams"):
        open_video(path, stream=number)


def test_a_selection_says_which_stream_it_chose_from(
    parts: dict[str, Path], tmp_path: Path
) -> None:
    path = joined(tmp_path / "two.mp4", parts["little"], parts["big"])
    with open_video(path, stream=0) as video:
        selection = get_sampler("uniform")(video, num_frames=2)
    assert selection.stream == 0
    for image in save_frames(Selection.from_json(selection.to_json()), tmp_path):
        with Pillow.open(image) as seen:
            assert seen.size == (96, 64)
    older: dict[str, Any] = selection.to_dict()
    del older["stream"]
    assert Selection.from_dict(older).stream is None
