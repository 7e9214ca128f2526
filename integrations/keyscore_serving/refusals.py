"""Errors of ours as those that a host answers with a status and one line."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus

from keyscore_plugin.errors import InputError, KeyScoreError, VideoError
from keyscore_serving.jobs import BusyError, LateError

# The first row that fits counts.
_STATUSES: tuple[tuple[type[Exception], HTTPStatus], ...] = (
    (InputError, HTTPStatus.BAD_REQUEST),
    (VideoError, HTTPStatus.BAD_REQUEST),
    (KeyScoreError, HTTPStatus.SERVICE_UNAVAILABLE),  # a model, the memory or a package
    (BusyError, HTTPStatus.TOO_MANY_REQUESTS),
    (LateError, HTTPStatus.GATEWAY_TIMEOUT),
)


@contextmanager
def refusals(made: Callable[[str, HTTPStatus], Exception]) -> Iterator[None]:
    """Turn errors of ours into errors of a host.

    Args:
        made: Makes the host's error of one line and a status.
    """
    try:
        yield
    except (KeyScoreError, BusyError, LateError) as error:
        status = next(status for kind, status in _STATUSES if isinstance(error, kind))
        raise made(f"keyscore: {error}", status) from error
