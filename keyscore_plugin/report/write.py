"""From a selection to a file: read the frames, draw, save in the format of the file's suffix."""

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
    """Refuse a report in a format we do not write, before there is anything to report.

    Raises:
        InputError: The suffix is not one of `SUFFIXES`.
    """
    _require_suffix(path, SUFFIXES, kind="report")


def write_report(selection: Selection, path: str | Path) -> None:
    """Draw why these frames were chosen (the paper's Figure 4).

    Args:
        selection: Selection as a sampler returned it. Without its curves (read back from JSON) the
            candidates alone are drawn. Its video is opened again for the frames.
        path: Output file: ``.png``, ``.svg``, or ``.html``, which needs no other file.

    Raises:
        InputError: The suffix is another, or the file cannot be written.
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
    """Refuse a picture in a format we do not write, before there is anything to draw.

    Raises:
        InputError: The suffix is not one of `PICTURE_SUFFIXES`.
    """
    _require_suffix(path, PICTURE_SUFFIXES, kind="picture")


def write_comparison(
    selections: Sequence[Selection], path: str | Path, *, sought: Needle | None = None
) -> None:
    """Draw what several samplers chose from one video, a strip of frames each.

    Args:
        selections: Selections of one video, at least one.
        path: Output file, ``.png`` or ``.svg``.
        sought: The stretches that the text describes, where they are known; they are marked.

    Raises:
        InputError: The suffix is another, or the file cannot be written.
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
    """The selection with times from the first frame."""
    # Samplers of others, and our older versions, do not say when the video starts.
    return from_first_frame(replace(selection, start_pts_seconds=source.start_pts_seconds))


def _write(path: Path, content: bytes) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error


def report_picture(selection: Selection) -> Image.Image:
    """The picture of `write_report`, not written anywhere.

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
