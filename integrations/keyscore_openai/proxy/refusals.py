"""The answers to requests that are not forwarded, in the form of OpenAI's API."""

import httpx
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from keyscore_plugin.errors import InputError, KeyScoreError, VideoError
from keyscore_serving.jobs import BusyError, LateError
from keyscore_serving.middleware import BodyTooLargeError, error_body

_CLOSED_REQUEST = 499  # nginx's status for a client that hung up; it is only logged
_CLOSE = {"connection": "close"}  # the rest of the body is not read
_HEADERS = {408: _CLOSE, 413: _CLOSE, 429: _CLOSE | {"retry-after": "5"}}
# The first row that fits counts. Where a row has no text, the answer holds the error's message.
_ROWS: tuple[tuple[type[Exception], int, str | None], ...] = (
    (InputError, 400, None),
    (VideoError, 400, None),
    (KeyScoreError, 503, None),  # a model, the memory or a package of this server
    (BodyTooLargeError, 413, None),
    (BusyError, 429, None),
    (LateError, 504, None),
    (httpx.TimeoutException, 504, "the upstream server does not answer in time; try again later"),
    (httpx.HTTPError, 502, "the upstream server cannot be asked; try again later"),
    (httpx.InvalidURL, 400, "the path of the request is no part of a URL; percent-encode it"),
    (ClientDisconnect, _CLOSED_REQUEST, "the client hung up"),
)


class RefusedError(Exception):
    """A request that is not forwarded.

    Args:
        status: Status of the answer.
        text: One line of what is wrong.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def refused_by(error: Exception) -> RefusedError:
    """The refusal for an error.

    Raises:
        Exception: The error is a fault of ours, and is raised again.
    """
    if isinstance(error, RefusedError):
        return error
    for kind, status, text in _ROWS:
        if isinstance(error, kind):
            return RefusedError(status, text or str(error))
    raise error


def refusal(error: Exception) -> Response:
    """The answer for an error.

    Raises:
        Exception: The error is a fault of ours, and is raised again.
    """
    refused = refused_by(error)
    content = error_body(str(refused), status=refused.status)
    headers = _HEADERS.get(refused.status)
    return Response(content, refused.status, headers, media_type="application/json")
