"""Contract: a video gives the same frames in whatever form it comes."""

import base64
import gzip
import io
import mmap
import os
import resource
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageFile
import pytest
import torch

from keyscore_plugin import Selection, get_sampler, open_video
from keyscore_plugin.cli.main import main
from keyscore_plugin.errors import MOST_CHARACTERS, InputError, VideoError
from keyscore_plugin.registries import DECODERS
from keyscore_plugin.report import write_report
from keyscore_plugin.video.images import natural_order
from keyscore_plugin.video.source import VideoSource
from tests.support.clips import CLIPS, Clip
from tests.support.requires import require_decoder

FPS = 25


class Pipe(io.RawIOBase):
    """Bytes that come once, as from a pipe or a socket."""

    def __init__(self, content: bytes) -> None:
        self._stream = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._stream.readinto(buffer)


def data_url(content: bytes) -> str:
    return f"data:video/mp4;base64,{base64.b64encode(content).decode()}"


def after_rubbish(content: bytes) -> io.BytesIO:
    stream = io.BytesIO(b"rubbish" + content)
    stream.seek(7)
    return stream


def mapped(content: bytes) -> mmap.mmap:
    memory = mmap.mmap(-1, len(content))
    memory.write(content)
    memory.seek(0)
    return memory


BYTES: dict[str, Callable[[bytes], Any]] = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "strided memoryview": lambda content: memoryview(content[::-1])[::-1],
    "BytesIO": io.BytesIO,
    "file object in its middle": after_rubbish,
    "pipe": Pipe,
    "mmap": mapped,
    "data: URL": data_url,
    "data: URL in lines": lambda content: (
        "DATA:video/mp4;base64," + base64.encodebytes(content).decode()
    ),
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return CLIPS[0].write(tmp_path_factory.mktemp("inputs"))


@pytest.fixture(autouse=True)
def temporary(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies go, to see that they are gone."""
    folder = tmp_path_factory.mktemp("temporary")
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]  # torch makes a folder


@pytest.mark.parametrize("decoder", sorted(DECODERS))
def test_bytes_are_the_video_of_their_file(clip: Path, decoder: str, temporary: Path) -> None:
    require_decoder(decoder)
    with open_video(clip, decoder) as file, open_video(clip.read_bytes(), decoder) as video:
        assert isinstance(video, VideoSource)
        for name in ("decoder", "duration_seconds", "average_fps", "n_frames", "width", "notes"):
            assert getattr(video, name) == getattr(file, name)
        assert torch.equal(video.pts_seconds(), file.pts_seconds())
        assert torch.equal(video.keyframes(), file.keyframes())
        assert torch.equal(video.read([3, 1]).pixels, file.read([3, 1]).pixels)
        small = [next(v.thumbnails([0, 9], short_side=32)).pixels for v in (video, file)]
        assert torch.equal(*small)
        assert files_in(temporary) == []  # so that nothing is left of a killed process


@pytest.mark.parametrize("form", BYTES)
def test_a_sampler_chooses_alike_from_whatever_holds_the_file(
    form: str, clip: Path, temporary: Path
) -> None:
    choose = get_sampler("stacfp")
    expected = choose(clip, num_frames=4)
    selection = choose(BYTES[form](clip.read_bytes()), num_frames=4)
    assert selection.indices == expected.indices
    assert selection.pts_seconds == expected.pts_seconds
    assert selection.video.startswith("<")
    assert len(selection.video) < 100
    assert files_in(temporary) == []


def test_a_file_object_goes_by_its_name(clip: Path) -> None:
    with clip.open("rb") as file, open_video(file) as video:
        assert video.path == f"<file object of {clip}>"


def test_an_open_video_is_taken_as_it_is_and_stays_open(clip: Path) -> None:
    with open_video(clip) as video:
        assert open_video(video) is video
        get_sampler("uniform")(video, num_frames=2)
        assert len(video.read([0])) == 1


def refused(video: Any, **options: Any) -> str:
    with pytest.raises((InputError, VideoError)) as error:
        open_video(video, **options)
    assert len(str(error.value)) <= MOST_CHARACTERS
    return str(error.value)


def at_its_end(clip: Path) -> io.BytesIO:
    stream = io.BytesIO(clip.read_bytes())
    stream.read()
    return stream


def closed() -> io.BytesIO:
    stream = io.BytesIO(b"video")
    stream.close()
    return stream


def cut_off() -> gzip.GzipFile:
    """A file object whose library raises other errors than OSError."""
    return gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(bytes(5000))[:20]))


def test_what_holds_no_video_is_one_line(clip: Path, tmp_path: Path, temporary: Path) -> None:
    for nothing in (b"", bytearray(), at_its_end(clip), io.BytesIO(), "data:video/mp4;base64,"):
        assert "holds no bytes" in refused(nothing)
    with clip.open(encoding="latin-1") as text:
        assert "open(path, 'rb')" in refused(text)
    assert "open(path, 'rb')" in refused(io.StringIO("video"))
    assert "read() fails" in refused(closed())
    assert "read() fails: Compressed file ended" in refused(cut_off())
    with (tmp_path / "new").open("wb") as write_only:
        assert "open for reading" in refused(write_only)
    assert "<bytes of 5,000>: it begins with zeros" in refused(bytes(5000))
    assert "base64 is damaged" in refused("data:video/mp4;base64,!!!!")
    assert "base64 is damaged" in refused("data:video/mp4;base64,\udcff")
    assert "no comma" in refused("data:video/mp4")
    assert "is not a video" in refused(7)
    assert "is not a video" in refused(None)
    assert "is not a video" in refused(iter([1]))
    assert files_in(temporary) == []


def test_bytes_for_which_there_is_no_room_are_one_line(temporary: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        said = refused(bytes(200))  # fewer than are written at once
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"it cannot be copied to {temporary} (File too large)" in said
    assert files_in(temporary) == []


def test_bytes_open_no_other_file(temporary: Path) -> None:
    """What is refused of files (`test_broken_files`) is refused of their bytes."""
    other = temporary / "other.ts"
    other.write_bytes(Clip("other.ts").write(temporary).read_bytes())
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{other}\n#EXT-X-ENDLIST\n"
    assert "it is a playlist" in refused(playlist.encode())
    assert "it is a playlist" in refused(f"ffconcat version 1.0\nfile '{other}'\n".encode())


def test_an_error_while_reading_names_what_was_given(clip: Path) -> None:
    with open_video(io.BytesIO(clip.read_bytes())) as video:
        for call in (video.read, video.pts_seconds):
            with pytest.raises(InputError, match=r"frame 999 is not in <BytesIO>"):
                call([999])
    with pytest.raises(VideoError, match="cannot read <BytesIO>: it was closed"):
        video.read([0])


@pytest.fixture(scope="module")
def pixels(clip: Path) -> Any:
    with open_video(clip) as video:
        return video.read(range(video.n_frames)).pixels.numpy()


@pytest.fixture(scope="module")
def folder(pixels: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frames")
    for number, picture in enumerate(pixels):
        PIL.Image.fromarray(picture).save(folder / f"frame{number}.png")
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"), key=natural_order)


PICTURES: dict[str, Callable[[Any, Path], Any]] = {
    "array": lambda pixels, _: pixels,
    "array, colours first": lambda pixels, _: pixels.transpose(0, 3, 1, 2),
    "tensor": lambda pixels, _: torch.from_numpy(pixels),
    "tensor, colours first": lambda pixels, _: torch.from_numpy(pixels).permute(0, 3, 1, 2),
    "mirrored twice": lambda pixels, _: pixels[..., ::-1].copy()[..., ::-1],
    "read-only": lambda pixels, _: np.broadcast_to(pixels, pixels.shape),
    "list of arrays": lambda pixels, _: list(pixels),
    "list of tensors, colours first": lambda pixels, _: list(
        torch.from_numpy(pixels).permute(0, 3, 1, 2)
    ),
    "images": lambda pixels, _: tuple(PIL.Image.fromarray(picture) for picture in pixels),
    "folder": lambda _, folder: folder,
    "name of a folder": lambda _, folder: str(folder),
    "paths": lambda _, folder: files(folder),
    "names": lambda _, folder: [str(file) for file in files(folder)],
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("form", PICTURES)
def test_pictures_are_the_video_that_they_were_taken_from(
    form: str, pixels: Any, folder: Path
) -> None:
    with open_video(PICTURES[form](pixels, folder), fps=FPS) as video:
        assert isinstance(video, VideoSource)
        assert video.n_frames == len(pixels)
        assert video.average_fps == FPS
        assert (video.width, video.height) == (pixels.shape[2], pixels.shape[1])
        assert video.duration_seconds == pytest.approx(len(pixels) / FPS)
        assert video.pts_seconds([5]).tolist() == [5 / FPS]
        assert np.array_equal(video.read([11, 2, 2]).pixels, pixels[[11, 2, 2]])
        assert video.notes == ()
        small = torch.cat([part.pixels for part in video.thumbnails(range(40), short_side=16)])
        assert small.shape[:2] == (40, 16)
        alone = video.read([33], size=(small.shape[1], small.shape[2]))
        assert torch.equal(small[33:34], alone.pixels)


def test_a_sampler_takes_pictures_and_their_rate(clip: Path, pixels: Any, folder: Path) -> None:
    choose = get_sampler("stacfp")
    expected = choose(clip, num_frames=4).indices
    assert choose(pixels, num_frames=4, fps=FPS).indices == expected
    selection = choose(folder, num_frames=4, fps=FPS)
    assert (selection.indices, selection.decoder) == (expected, "images")


def test_the_command_line_takes_a_folder_and_finds_it_again(
    folder: Path, pixels: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["select", str(folder), "--fps", str(FPS), "--sampler", "uniform", "--start", "1"]
    outputs = ["--json", "--save-frames", str(tmp_path), "--report", str(tmp_path / "why.html")]
    assert main([*command, "--num-frames", "2", *outputs]) == 0
    selection = Selection.from_json(capsys.readouterr().out)
    assert min(selection.indices) >= FPS
    for index, saved in zip(selection.indices, sorted(tmp_path.glob("*.png")), strict=True):
        assert np.array_equal(np.asarray(PIL.Image.open(saved)), pixels[index])
    assert (tmp_path / "why.html").exists()


def test_samplers_are_compared_on_a_folder(folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "strips.svg"
    command = ["compare", str(folder), "--fps", str(FPS), "--sampler", "uniform,random"]
    assert main([*command, "--num-frames", "2", "--picture", str(picture)]) == 0
    assert picture.read_text().count("<image") == 4


def test_a_video_in_memory_is_not_found_again(clip: Path, tmp_path: Path) -> None:
    for video, fps in ((clip.read_bytes(), None), (CLIP, 1.0)):
        selection = get_sampler("uniform")(video, num_frames=1, fps=fps)
        with pytest.raises(VideoError, match="was given in memory and has no file; read frames"):
            write_report(selection, tmp_path / "why.html")


def test_files_of_a_folder_are_in_natural_order_and_the_others_are_noted(tmp_path: Path) -> None:
    for level, name in enumerate(["a2.png", "a10.png", "B1.png", "b03.png"]):
        PIL.Image.new("RGB", (8, 4), (level, 0, 0)).save(tmp_path / name)
    (tmp_path / "labels.txt").touch()
    (tmp_path / ".hidden.png").touch()
    (tmp_path / "more.png").mkdir()
    with open_video(tmp_path, fps=1) as video:
        assert video.read(range(4)).pixels[:, 0, 0, 0].tolist() == [0, 1, 2, 3]
        assert video.notes == ("2 entries of the folder are not image files and are left out",)


def test_an_image_is_upright_as_its_exif_data_say(tmp_path: Path) -> None:
    image = PIL.Image.new("RGB", (8, 4), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6  # on its side: to be turned by 90 degrees, clockwise
    image.save(tmp_path / "side.png", exif=exif)
    with open_video([tmp_path / "side.png"], fps=1) as video:
        assert (video.width, video.height) == (4, 8)
        assert video.read([0]).pixels[0, 0, 3, 0] == 255


CLIP = torch.zeros((2, 8, 6, 3), dtype=torch.uint8)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (CLIP.float(), "convert it to uint8"),
        (CLIP.numpy().astype(np.int64), "convert it to uint8"),
        (CLIP[0], "that is one picture"),
        (CLIP[None], "several videos"),
        (CLIP[:0], "it is empty"),
        (CLIP[..., 0], "three equal channels"),
        (CLIP[..., :1], "three equal channels"),
        (torch.zeros((2, 8, 6, 4), dtype=torch.uint8), "alpha channel"),
        (torch.zeros((2, 3, 8, 3), dtype=torch.uint8), "colours may be axis 1 or axis 3"),
        (np.zeros(99, dtype=np.uint8), r"array\.tobytes\(\)"),
        (np.zeros((), dtype=np.uint8), "give RGB"),
    ],
)
def test_an_array_that_is_no_video_says_what_to_do(array: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        open_video(array, fps=1)


def test_pictures_that_are_no_video_are_one_line(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Packages that other tests import let Pillow fill up what is cut off, in the whole process.
    monkeypatch.setattr(PIL.ImageFile, "LOAD_TRUNCATED_IMAGES", False)
    picture = PIL.Image.new("RGB", (8, 4))
    (tmp_path / "text.png").write_text("no image")
    whole = files(folder)[0].read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert "must have one size: picture 0 has 8 x 4 pixels, picture 1 4 x 4" in refused(
        [picture, PIL.Image.new("RGB", (4, 4))], fps=1
    )
    assert "holds no picture" in refused([], fps=1)
    assert "hold no pixel" in refused([PIL.Image.new("RGB", (0, 5))], fps=1)
    assert "picture 1 of <list of 2 pictures> is None" in refused([picture, None], fps=1)
    assert "no such file" in refused([tmp_path / "nowhere.png"], fps=1)
    assert "it is not an image (BMP, " in refused([tmp_path / "text.png"], fps=1)
    (tmp_path / "postscript.png").write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 4\n")
    assert "it is not an image (BMP, " in refused([tmp_path / "postscript.png"], fps=1)
    os.mkfifo(tmp_path / "pipe.png")
    assert "no such file" in refused([tmp_path / "pipe.png"], fps=1)
    assert "holds no image file" in refused(tmp_path.parent, fps=1)
    assert "more than 8 bits" in deferred([PIL.Image.new("I;16", (8, 4))])
    assert "whole image" in deferred([tmp_path / "cut.png"])
    with PIL.Image.open(files(folder)[0]) as image:
        pass
    assert "whole image" in deferred([image])


def deferred(images: list[Any]) -> str:
    """What is only seen when the pixels are read."""
    with open_video(images, fps=1) as video, pytest.raises((InputError, VideoError)) as error:
        video.read([0])
    return str(error.value)


@pytest.mark.parametrize("fps", [0, -1.0, 5e-324, float("nan"), float("inf"), "fast", 10**400])
def test_what_is_no_rate_is_refused(fps: Any) -> None:
    assert "fps must be a positive number" in refused(CLIP, fps=fps)


def test_a_rate_is_given_where_there_are_no_times_and_only_there(clip: Path, folder: Path) -> None:
    assert "are unknown; give fps=" in refused(CLIP)
    assert "are unknown; give fps=" in refused([PIL.Image.new("RGB", (8, 4))])
    assert "fps (--fps) for a folder of pictures" in refused(folder)
    assert "has its own times" in refused(clip, fps=25)
    assert "has its own times" in refused(clip.read_bytes(), fps=25)
    assert "no such file" in refused("nowhere.mp4", fps=25)
    with open_video(clip) as video:
        assert "has its own times" in refused(video, fps=25)
        assert len(video.read([0])) == 1


def test_closed_pictures_and_wrong_indices_are_refused() -> None:
    with open_video(CLIP, fps=1) as video:
        wrong: Any
        for wrong in ([2], [-1], [0.5], [[0]]):
            with pytest.raises(InputError):
                video.read(wrong)
        for wrong in ([1, 0], [1, 1]):
            with pytest.raises(InputError, match="rising"):
                video.thumbnails(wrong, short_side=4)
        assert video.read([]).pixels.shape == (0, 8, 6, 3)
    with pytest.raises(VideoError, match="it was closed"):
        video.read([0])


def test_thumbnails_of_pictures_ask_for_what_those_of_files_do(clip: Path) -> None:
    wrong: Any
    for video in (open_video(CLIP, fps=1), open_video(clip)):
        for wrong in (0, -1, float("nan"), "a", None, True):
            with pytest.raises(InputError, match="short_side must be at least 1 pixel"):
                video.thumbnails([0], short_side=wrong)
        with pytest.raises(InputError, match="the grid must be rising"):
            video.thumbnails([1, 0], short_side=4)
        video.close()
