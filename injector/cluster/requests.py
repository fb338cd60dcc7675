"""One way to ask the API server for plain JSON, and to say what went wrong. Nothing about any kind of object."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kubernetes import client
from urllib3.exceptions import HTTPError

from injector.errors import ClusterError, ConflictError

TIMEOUT_SECONDS = (2, 5)
"""To connect, and to wait for more of the answer. Nobody waits for these requests but a thread of its own."""

NOT_FOUND, CONFLICT = 404, 409


@dataclass
class Found:
    """What the API server answered."""

    response: Any = None
    """Undecoded, as the client gives it with `_preload_content=False`: its models drop fields they do not know."""

    document: dict[str, Any] | None = None
    """None where the object does not exist."""


@contextmanager
def translate_errors(what: str, done: str) -> Iterator[Found]:
    """Around one request: parse its answer; raise ConflictError or ClusterError, naming the object and the attempt."""
    found = Found()
    try:
        yield found
        found.document = json.loads(found.response.data)
    except client.ApiException as error:
        if error.status == CONFLICT:
            raise ConflictError(f"{what} was written by somebody else") from error
        if error.status != NOT_FOUND:
            raise ClusterError(f"{what} cannot be {done}: {error.status} {_read_message(error)}") from error
    except (HTTPError, OSError, ValueError) as error:
        raise ClusterError(f"{what} cannot be {done}: {error}") from error


def _read_message(error: client.ApiException) -> str:
    """The API server's own sentence: for a forbidden request it names the account, the verb and the object."""
    try:
        return str(json.loads(error.body or "")["message"])
    except (ValueError, TypeError, LookupError):
        return str(error.reason)
