"""Write the picture of a selection to a file, in the format of the file's suffix."""

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from keyscore_plugin._runtime.files import write_whole
from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.report.comparison import draw_comparison
from keyscore_plugin.report.figure import draw
from keyscore_plugin.report.page import html_page
from keyscore_plugin.report.sheet import glyphs_may_be_missing
from keyscore_plugin.report.stills import chosen_stills, load_stills
from keyscore_plugin.report.text import from_first_frame
from keyscore_plugin.types import Selection
from keyscore_plugin.video.samples.joined import Needle
from keyscore_plugin.video.source import VideoSource, reopened

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PICTURE_SUFFIXES = (".png", ".svg")
SUFFIXES = (".html", *PICTURE_SUFFIXES)
DOTS_PER_INCH = 200


def require_report_suffix(path: Path) -> None:
    """Refuse a format that reports are not written in, before frames are chosen.

    Raises:
        InputError: The suffix is not one of `SUFFIXES`.
    """
    _require_suffix(path, SUFFIXES, kind="report")


def write_report(selection: Selection, path: str | Path) -> None:
    """Write a picture that shows why these frames were chosen (the paper's Figure 4).

    It shows the scores over time, the clusters, the chosen frames, and frames evenly in time to
    compare with. Times are from the video's first frame.

    Args:
        selection: Selection as a sampler returned it. Without its curves (read back from JSON) only
            the candidates are drawn. Its video is opened again for the frames.
        path: Output file: ``.png``, ``.svg``, or ``.html``, which needs no other file.

    Raises:
        InputError: The suffix is not one of these, or the file cannot be written.
        VideoError: The video cannot be read any more, or has changed.
        MissingDependencyError: matplotlib is not installed.
    """
    path = Path(path)
    require_report_suffix(path)
    figure = _figure(selection)
    if path.suffix.lower() == ".html":
        content = html_page(selection, _render(figure, "svg")).encode("utf-8", "backslashreplace")
    else:
        content = _render(figure, path.suffix.lower().removeprefix("."))
    _write(path, content)


def require_picture_suffix(path: Path) -> None:
    """Refuse a format that pictures are not written in, before frames are chosen.

    Raises:
        InputError: The suffix is not one of `PICTURE_SUFFIXES`.
    """
    _require_suffix(path, PICTURE_SUFFIXES, kind="picture")


def write_comparison(
    selections: Sequence[Selection], path: str | Path, *, sought: Needle | None = None
) -> None:
    """Write a picture that shows what several samplers chose from one video.

    Each sampler gets a strip of frames, and a line of times from the video's first frame.

    Args:
        selections: Selections of one video, at least one.
        path: Output file, ``.png`` or ``.svg``.
        sought: Clip that the text describes, if it is known; it is marked.

    Raises:
        InputError: The suffix is not one of these, or the file cannot be written.
        VideoError: The video cannot be read any more, or has changed.
        MissingDependencyError: matplotlib is not installed.
    """
    path = Path(path)
    require_picture_suffix(path)
    with reopened(selections[0]) as source:
        rows = [
            (_as_shown(selection, source), chosen_stills(selection, source))
            for selection in selections
        ]
    figure = draw_comparison(rows, sought=sought)
    _write(path, _render(figure, path.suffix.lower().removeprefix(".")))


def _require_suffix(path: Path, suffixes: Sequence[str], *, kind: str) -> None:
    if path.suffix.lower() not in suffixes:
        raise InputError(
            f"cannot write a {kind} as {shown(path.name)}; name a file that ends in "
            + ", ".join(suffixes)
        )


def _as_shown(selection: Selection, source: VideoSource) -> Selection:
    """Return the selection with times from the first frame."""
    # Other packages' samplers, and older versions of ours, do not record when the video starts.
    return from_first_frame(replace(selection, start_pts_seconds=source.start_pts_seconds))


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; give another place, or free this"
        ) from error


def report_picture(selection: Selection) -> Image.Image:
    """Draw the picture of `write_report` in memory.

    Args:
        selection: Selection as a sampler returned it. Its video is opened again for the frames.

    Returns:
        The picture, in RGB.

    Raises:
        VideoError: The video cannot be read any more, or has changed.
        MissingDependencyError: matplotlib is not installed.
    """
    return Image.open(io.BytesIO(_render(_figure(selection), "png"))).convert("RGB")


def _figure(selection: Selection) -> "Figure":
    with reopened(selection) as source:
        chosen, uniform = load_stills(selection, source)
        return draw(_as_shown(selection, source), chosen, uniform)


def _render(figure: "Figure", kind: str) -> bytes:
    stream = io.BytesIO()
    with glyphs_may_be_missing():
        figure.savefig(stream, format=kind, dpi=DOTS_PER_INCH)
    return stream.getvalue()
