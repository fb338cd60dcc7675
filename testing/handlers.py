"""Calls a handler without a server."""

from collections.abc import Mapping

from server.messages import Handler, Request, Response


def call(
    handler: Handler,
    target: str,
    headers: Mapping[str, str] | None = None,
    method: str = "GET",
    *,
    may_block: bool = True,
) -> Response:
    """Send one request; header names can have capital letters. Without headers it has a metadata address as Host."""
    named = {"Host": "169.254.169.254"} if headers is None else headers
    lower = {name.lower(): value for name, value in named.items()}
    return handler(Request(method, target, lower, may_block=may_block))
