"""Downloaded videos that are kept, for hosts that are asked about the same URLs again."""

import hashlib
import threading
from collections import OrderedDict
from pathlib import Path

from keyscore_plugin.hosts.addresses import refuse_user
from keyscore_plugin.hosts.download import DownloadLimits, FileVersion, fetch
from keyscore_plugin.video.copies import UnnamedFile

_CHUNK = 1 << 20


class DownloadedVideo:
    """A video that was downloaded; its file is deleted with the last reference to this object.

    Args:
        file: File of the video.
        version: Version of the file, as its server names it.

    Attributes:
        path: Path of the file.
        n_bytes: Size of the file.
        digest: SHA-256 of its content, as hexadecimal digits.
        version: Version of the file, as its server names it.
    """

    def __init__(self, file: UnnamedFile, version: FileVersion) -> None:
        self._file = file
        self.path = file.path
        self.version = version
        digest = hashlib.sha256()
        self.n_bytes = 0
        with Path(file.path).open("rb") as content:
            while chunk := content.read(_CHUNK):
                digest.update(chunk)
                self.n_bytes += len(chunk)
        self.digest = digest.hexdigest()


class DownloadCache:
    """Downloaded videos by URL, in unnamed files of this process, within a bound of bytes.

    A video that is kept is asked for again by its entity tag or its date, and its server sends it
    only if it has changed. One whose server gives neither, or forbids it (``no-store``), is
    downloaded each time. The videos that were not asked for longest go first. Threads may share one
    cache.

    Args:
        limits: Limits of each download.
        max_bytes: Largest size of all videos together.
        allowed_by: Text that the user writes in this host to allow more, for the errors.
    """

    def __init__(self, limits: DownloadLimits, *, max_bytes: int, allowed_by: str) -> None:
        self._limits = limits
        self._max_bytes = max_bytes
        self._allowed_by = allowed_by
        self._kept: OrderedDict[str, DownloadedVideo] = OrderedDict()
        self._lock = threading.Lock()

    def kept(self, url: str) -> DownloadedVideo | None:
        """The video at a URL as it was downloaded before; None if it is not kept."""
        with self._lock:
            return self._kept.get(url)

    def get(self, url: str) -> DownloadedVideo:
        """The video at a URL, as its server has it now. Hold the value while the file is read.

        Raises:
            InputError: The URL holds a user's name.
            VideoError: The video cannot be fetched within the limits.
        """
        refuse_user(url)
        kept = self.kept(url)
        file, known = UnnamedFile(), None if kept is None else kept.version
        version = fetch(url, file, self._limits, allowed_by=self._allowed_by, unless=known)
        if version is not None:
            kept = DownloadedVideo(file, version)
        assert kept is not None  # a server that was given no conditions sends a version
        self._keep(url, kept)
        return kept

    def _keep(self, url: str, video: DownloadedVideo) -> None:
        """Put the video last in the order of removal, and keep within the bound."""
        with self._lock:
            self._kept.pop(url, None)
            version = video.version
            if version.may_be_kept and version.conditions and video.n_bytes <= self._max_bytes:
                self._kept[url] = video
            while sum(kept.n_bytes for kept in self._kept.values()) > self._max_bytes:
                self._kept.popitem(last=False)
