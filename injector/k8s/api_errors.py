"""Turns what goes wrong with a request into the typed errors of `injector.errors`."""

import json
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import NamedTuple

from kubernetes.config import ConfigException
from urllib3.exceptions import HTTPError

from injector.errors import (
    ApiError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidResponseError,
    NotFoundError,
    ObjectError,
    UnavailableError,
    UnreachableError,
)
from injector.k8s.objects import read_mapping, read_name

FORBIDDEN, GONE, TOO_MANY_REQUESTS, SERVER_ERRORS = 403, 410, 429, range(500, 600)
ERRORS: dict[tuple[int, str], type[ApiError]] = {
    (404, "NotFound"): NotFoundError,
    (409, "Conflict"): ConflictError,
    (409, "AlreadyExists"): ConflictError,
    (GONE, "Expired"): GoneError,
    (GONE, "Gone"): GoneError,
}
"""By code and reason: https://github.com/kubernetes/apimachinery/blob/master/pkg/apis/meta/v1/types.go."""

MAX_SHOWN = 100

CONNECTION = re.compile(r"^\w+\(host='([^']*)', port=(\d+)\): ")
"""How urllib3 begins its messages. https://github.com/urllib3/urllib3/blob/main/src/urllib3/exceptions.py"""

NOT_YET_VALID, EXPIRED = 9, 10
"""Of OpenSSL: https://docs.openssl.org/master/man3/X509_STORE_CTX_get_error/"""


class Status(NamedTuple):
    """The object with which the API server reports a failure.

    https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/
    """

    code: int
    reason: str
    message: str
    group: str = ""
    resource: str = ""
    name: str = ""
    """Group, resource and name of the object that it is about; empty where it names none."""


def parse_status(body: bytes, code: int) -> Status | None:
    """Parse the JSON of a failure with this HTTP status code. None: something else than the API server sent it."""
    try:
        document = json.loads(body)
        if not isinstance(document, dict) or (document.get("kind"), document.get("apiVersion")) != ("Status", "v1"):
            return None
        details = read_mapping(document, "details")
    except (ValueError, RecursionError, ObjectError):
        return None
    if document.get("code") != code:
        return None
    group, resource, name = (read_name(details, key) for key in ("group", "kind", "name"))
    return Status(code, read_name(document, "reason"), read_name(document, "message"), group, resource, name)


def build_api_error(action: str, status: Status) -> ApiError:
    """The error for a Status; `action` is what failed, such as `get ServiceAccount team-a/web`."""
    code = status.code
    if code == TOO_MANY_REQUESTS or code in SERVER_ERRORS:
        error: type[ApiError] = UnavailableError
    elif code == FORBIDDEN:  # an admission webhook can set any reason
        error = ForbiddenError
    else:
        error = ERRORS.get((code, status.reason), ApiError)
    message = status.message or status.reason
    return error(f"cannot {action}: {message} ({code})", code, message)


def build_unknown_failure(action: str, code: int, phrase: str, content_type: str | None) -> ApiError:
    """The error for a failure without a Status, such as that of a load balancer; `phrase` is HTTP's reason."""
    error = GoneError if code == GONE else UnavailableError  # a proxy can have replaced the Status: a new list is safe
    phrase = phrase[:MAX_SHOWN]
    what = (content_type or "without a type")[:MAX_SHOWN]
    return error(
        f"cannot {action}: {phrase} ({code}): the answer ({what}) is not a Status of the API server", code, phrase
    )


@contextmanager
def translate_network_errors(action: str) -> Iterator[None]:
    """Raise UnreachableError where the request or its answer does not get through."""
    try:
        yield
    except (HTTPError, OSError, ConfigException, UnicodeError) as error:
        # OSError and ConfigException also: the token cannot be read; UnicodeError: the host is no name, as in `a..b`
        reason = _find_wrong_time(error) or CONNECTION.sub(r"\1:\2: ", str(error))
        raise UnreachableError(f"cannot {action}: {reason}") from error


def _find_wrong_time(error: Exception) -> str:
    """The sentence for a certificate that is expired or not valid yet; empty for other errors.

    With the date only: a sentence that changes is logged again.
    """
    for cause in (error, *error.args):
        if isinstance(cause, ssl.SSLCertVerificationError) and cause.verify_code in {NOT_YET_VALID, EXPIRED}:
            return (
                f"the API server's {cause.verify_message} by the clock of this machine, which says"
                f" {datetime.now(UTC):%Y-%m-%d}: check this clock, and then the certificate"
            )
    return ""


@contextmanager
def translate_object_errors(action: str) -> Iterator[None]:
    """Raise InvalidResponseError where a parser finds that what the API server sent is not valid."""
    try:
        yield
    except ObjectError as error:
        raise InvalidResponseError(f"cannot {action}: the API server's answer is not valid: {error}") from error
