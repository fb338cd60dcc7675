"""Calls a handler without a server."""

from collections.abc import Mapping
from typing import Any

from server.messages import Handler, Request, Response

REDIRECTED = ("169.254.169.254", 80)
"""Where a client connected to, if the redirect led its connection to the sidecar."""


def call(
    handler: Handler, target: str, headers: Mapping[str, str] | None = None, method: str = "GET", **fields: Any
) -> Response:
    """Send one request on a redirected connection; `fields` are others of `Request`.

    Header names can have capital letters. Without headers it has a metadata address as Host.
    """
    named = {"Host": "169.254.169.254"} if headers is None else headers
    lower = {name.lower(): value for name, value in named.items()}
    return handler(Request(method, target, lower, **{"server": REDIRECTED, **fields}))
