"""Which files are videos, by their content if lmms-eval is misled by the name."""

import os
from pathlib import PurePath

import av
from PIL import Image

from keyscore_plugin.errors import VideoError
from keyscore_plugin.hosts import is_remote, local_path

# lmms-eval goes by these suffixes and takes every other file for a video.
_STILLS = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tiff", ".webp")
_SOUNDS = (".wav", ".mp3", ".m4a", ".aac", ".flac", ".ogg", ".opus", ".webm")

# What Pillow raises over files that are damaged or claim too much.
_NO_IMAGE = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)
_MAY_MOVE = (".gif", ".png", ".webp")
# What FFmpeg calls the formats of these sounds; they may hold a video as well.
_MAY_SHOW = {".m4a": "mov", ".ogg": "ogg", ".webm": "matroska"}


def is_video(path: str) -> bool:
    """Whether a file is a video.

    lmms-eval takes every ``.webm`` for a sound, which most models cannot use, and every ``.gif``
    for a still image. A sound file that cannot be opened counts as a video, so that its error is
    reported. Files on a server are not opened: there ``.webm`` is a video, and lmms-eval decides
    the other suffixes.
    """
    suffix = PurePath(path).suffix.lower()
    if suffix not in _STILLS + _SOUNDS:
        return True
    if suffix not in _MAY_MOVE + tuple(_MAY_SHOW):
        return False
    if is_remote(path):
        return suffix == ".webm"
    try:
        file = local_path(path)
    except VideoError:
        return True
    return _moves(file) if suffix in _MAY_MOVE else _shows(file, _MAY_SHOW[suffix])


def _moves(file: str | os.PathLike[str]) -> bool:
    """Whether an image file holds an animation."""
    try:
        with Image.open(file) as image:
            return bool(getattr(image, "is_animated", False))
    except _NO_IMAGE:
        return False


def _shows(file: str, container_format: str) -> bool:
    """Whether a file of sound has pictures other than a cover."""
    cover = av.stream.Disposition.attached_pic
    try:
        # With the format named, FFmpeg opens no playlist, which may lead to other files.
        container = av.open(f"file:{file}", format=container_format, metadata_errors="replace")
    except av.FFmpegError:
        return True
    with container:
        pictures = [s for s in container.streams.video if not s.disposition & cover]
    return bool(pictures)
