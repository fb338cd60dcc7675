"""Turns what goes wrong with a request into the typed errors of `injector.errors`."""

from collections.abc import Iterator
from contextlib import contextmanager

from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError, ProtocolError

from injector.errors import (
    ApiError,
    ConflictError,
    ConnectionClosedError,
    ForbiddenError,
    GoneError,
    InvalidResponseError,
    NotFoundError,
    ObjectError,
    UnavailableError,
    UnreachableError,
)

TOO_MANY_REQUESTS, SERVER_ERRORS = 429, range(500, 600)
ERRORS: dict[int, type[ApiError]] = {403: ForbiddenError, 404: NotFoundError, 409: ConflictError, 410: GoneError}


def build_api_error(action: str, status: int | None, message: str) -> ApiError:
    """The error for an HTTP status; `action` is what failed, such as `get ServiceAccount team-a/web`."""
    is_unavailable = status == TOO_MANY_REQUESTS or status in SERVER_ERRORS
    error = UnavailableError if is_unavailable else ERRORS.get(status or 0, ApiError)
    return error(f"cannot {action}: {message} ({status})", status, message)


@contextmanager
def translate_network_errors(action: str) -> Iterator[None]:
    """Raise UnreachableError or ConnectionClosedError where the request or its answer does not get through."""
    try:
        yield
    except ProtocolError as error:
        is_closed = isinstance(error.args[-1], ConnectionError)
        raise (ConnectionClosedError if is_closed else UnreachableError)(f"cannot {action}: {error}") from error
    except (HTTPError, OSError, ConfigException) as error:  # the latter two also: the token cannot be read
        raise UnreachableError(f"cannot {action}: {error}") from error


@contextmanager
def translate_object_errors(action: str) -> Iterator[None]:
    """Raise InvalidResponseError where a parser finds that what the API server sent is not valid."""
    try:
        yield
    except ObjectError as error:
        raise InvalidResponseError(f"cannot {action}: the API server's answer is not valid: {error}") from error
