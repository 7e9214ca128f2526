"""Errors of ours as those that a host answers with a status and one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from keyscore_plugin.errors import InputError, KeyScoreError, VideoError, one_line
from keyscore_serving.jobs import BusyError, LateError
from keyscore_serving.middleware import BodyTooLargeError

# The first row that fits counts.
_STATUSES: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (InputError, HTTPStatus.BAD_REQUEST),
    (VideoError, HTTPStatus.BAD_REQUEST),
    (KeyScoreError, HTTPStatus.SERVICE_UNAVAILABLE),  # a model, the memory or a package
    (BodyTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
    (BusyError, HTTPStatus.TOO_MANY_REQUESTS),
    (LateError, HTTPStatus.GATEWAY_TIMEOUT),
)


def status_of(error: Exception) -> HTTPStatus | None:
    """The status of a server's answer for an error of ours; None for every other error."""
    return next((status for kind, status in _STATUSES if isinstance(error, kind)), None)


@contextmanager
def refusals(made: Callable[[str, HTTPStatus], Exception]) -> Iterator[None]:
    """Turn errors of ours into errors of a host.

    Args:
        made: Function that makes the host's error of one line and a status.
    """
    try:
        yield
    except Exception as error:
        status = status_of(error)
        if status is None:
            raise
        raise made(one_line(f"keyscore: {error}"), status) from error
