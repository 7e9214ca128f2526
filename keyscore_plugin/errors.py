"""The one exception family. Every message says what was given, what was expected, what to do."""


class KeyScoreError(Exception):
    """Base of every error that KeyScore raises on purpose."""


class InputError(KeyScoreError, ValueError):
    """A value the caller gave cannot be used: an argument, a text, a config, a name."""


class VideoError(KeyScoreError, OSError):
    """A video cannot be read.

    Args:
        path: The video, as the caller named it.
        cause: Why it cannot be read, in one clause.
        remedy: What the caller can do about it, in one clause.
    """

    def __init__(self, path: str, cause: str, remedy: str) -> None:
        super().__init__(f"cannot read {path}: {cause}; {remedy}")
        self.path = path
        self.cause = cause
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["VideoError"], tuple[str, str, str]]:
        """Pickle by the three parts, so that a worker process can hand the error back."""
        return type(self), (self.path, self.cause, self.remedy)


class MissingDependencyError(KeyScoreError, ImportError):
    """An optional package is needed and is not installed, or does not load."""


class MemoryEndedError(KeyScoreError):
    """The memory of a device does not hold what choosing frames of one video needs."""


class ModelError(KeyScoreError):
    """An encoder or a captioner cannot be loaded, or cannot do what is asked of it."""


class CacheError(KeyScoreError):
    """The folder of a cache cannot be used; that is no fact about what was to be kept in it."""
