"""What went wrong with a request for one object, said in one way. Nothing about any kind of object."""

from collections.abc import Callable
from typing import TypeVar

from kubernetes import config
from urllib3 import Timeout
from urllib3.exceptions import HTTPError

from injector.errors import ClusterError, ConflictError
from injector.k8s.client import StatusError

CONNECT_SECONDS, READ_SECONDS = 2, 5
TIMEOUT = Timeout(connect=CONNECT_SECONDS, read=READ_SECONDS)
"""Nobody waits for these requests but a thread of its own."""

FIELD_MANAGER = {"fieldManager": "podrole-injector"}
"""Whose the written fields are: https://kubernetes.io/docs/reference/using-api/server-side-apply/#managers."""

NOT_FOUND, CONFLICT = 404, 409

T = TypeVar("T")


def ask(what: str, done: str, request: Callable[[], T]) -> T | None:
    """What a request gives, or None where the object does not exist.

    Raises ConflictError or ClusterError, which name the object and what could not be done with it.
    """
    try:
        return request()
    except StatusError as error:
        if error.status == NOT_FOUND:
            return None
        if error.status == CONFLICT:
            raise ConflictError(f"{what} was written by somebody else") from error
        raise ClusterError(f"{what} cannot be {done}: {error}") from error
    except (HTTPError, OSError, config.ConfigException, ValueError) as error:  # the second and third: the token's file
        raise ClusterError(f"{what} cannot be {done}: {error}") from error
