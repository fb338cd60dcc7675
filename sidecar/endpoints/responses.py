"""Builds HTTP responses. One that does not change is built once and sent many times, so callers must not modify it."""

from collections.abc import Mapping

from flask import Response

NO_STORE_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
PLAIN = {"Content-Type": "text/plain", **NO_STORE_HEADERS}
JSON = {"Content-Type": "application/json", **NO_STORE_HEADERS}
"""EC2 sends all documents as plain text, including JSON; ECS sends application/json."""


def build_response(body: str = "", status: int = 200, headers: Mapping[str, str] = PLAIN) -> Response:
    """Build a response; Flask adds Content-Length."""
    return Response(body.encode(), status, headers)


UNAUTHORIZED = build_response(status=401)
NOT_FOUND = build_response(status=404)
UNAVAILABLE = build_response(status=503)
"""Empty bodies: awscrt uses any body of the role list as a role name."""
