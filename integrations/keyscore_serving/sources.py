"""Which videos the clients of a server may name."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from keyscore_plugin.errors import InputError, shown
from keyscore_plugin.hosts import (
    DownloadLimits,
    is_data_url,
    is_remote,
    local_path,
    subtitles_key,
)

_PICTURES = ("data:video/jpeg", "data:video/png", "data:image/")


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSources:
    """The videos that clients may name; nothing else is opened or contacted.

    Attributes:
        folders: Folders of the server whose files clients may name by path or ``file:`` URL.
        limits: Limits of the download of a URL; None refuses URLs.
    """

    folders: Sequence[Path] = ()
    limits: DownloadLimits | None = None

    def require(self, video: str) -> str:
        """The path or URL to open for what a client names.

        Raises:
            InputError: Clients of this server may not name it.
        """
        if is_data_url(video):
            if is_pictures(video):
                raise InputError(
                    "a list of pictures as a data: URL has no other frames to choose from; give "
                    "a video file, or leave 'sampler' out"
                )
            return video
        if is_remote(video):
            if self.limits is None:
                raise InputError(
                    f"{shown(video)} is a URL, which this server does not fetch; give the video "
                    "as a data: URL"
                )
            return video
        return self._file(video)

    def _file(self, video: str) -> str:
        """The real path of a file in one of the folders, without links."""
        try:
            path = Path(local_path(video)).resolve()
            is_allowed = any(path.is_relative_to(folder.resolve()) for folder in self.folders)
        # A null character, a name that is too long; a loop of links, which is a RuntimeError before
        # Python 3.13.
        except (ValueError, OSError, RuntimeError):
            is_allowed = False
        if not is_allowed:
            raise InputError(
                f"{shown(video)} is not a file that clients of this server may read; give the "
                "video as an https: or data: URL, or ask the operator to allow its folder"
            )
        return str(path)

    def identity(self, video: str) -> str | None:
        """A text that is equal for two videos only if they are the same; None if that is unknown.

        The subtitles in the folder of a file count, because they score.

        Args:
            video: Address that `require` returned.
        """
        if is_data_url(video):
            return hashlib.sha256(video.encode("utf-8", "surrogatepass")).hexdigest()
        if is_remote(video):
            return None
        try:
            facts = Path(video).stat()
        except OSError:
            return None
        return f"{video}:{facts.st_size}:{facts.st_mtime_ns}:{subtitles_key(video, None)}"


def is_pictures(video: str) -> bool:
    """Whether an address is a ``data:`` URL of pictures, in place of a video file."""
    return video[:15].lower().startswith(_PICTURES)


def identity_of_fetched(video: bytes | str | Path) -> str | None:
    """As `VideoSources.identity`, of a video that the server has fetched: its content or path."""
    if isinstance(video, bytes):
        return hashlib.sha256(video).hexdigest()
    return VideoSources().identity(str(video))
