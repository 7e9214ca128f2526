"""The answers to requests that are not forwarded, in the form of OpenAI's API."""

import httpx
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from keyscore_serving.middleware import error_body
from keyscore_serving.refusals import status_of

_CLOSED_REQUEST = 499  # nginx's status for a client that hung up; it is only logged
_CLOSE = {"connection": "close"}  # the rest of the body is not read
_HEADERS = {408: _CLOSE, 413: _CLOSE, 429: _CLOSE | {"retry-after": "5"}}
# Errors of the connections to the upstream server and the client. The first row that fits counts.
_OF_CONNECTIONS: tuple[tuple[type[Exception], int, str], ...] = (
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
    ours = status_of(error)
    if ours is not None:
        return RefusedError(ours, str(error))
    for kind, status, text in _OF_CONNECTIONS:
        if isinstance(error, kind):
            return RefusedError(status, text)
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
