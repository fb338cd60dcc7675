"""Makes HTTP answers. One that does not change is made once and sent many times, so nobody may alter one."""

from collections.abc import Mapping

from flask import Response

NO_STORE_HEADERS = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
PLAIN = {"Content-Type": "text/plain", **NO_STORE_HEADERS}
JSON = {"Content-Type": "application/json", **NO_STORE_HEADERS}
"""EC2 sends its documents as plain text, the JSON ones too; ECS sends JSON. Nobody may keep either."""


def build_response(body: str = "", status: int = 200, headers: Mapping[str, str] = PLAIN) -> Response:
    """Build an answer; Content-Length follows from the body."""
    return Response(body.encode(), status, headers)


UNAUTHORIZED = build_response(status=401)
NOT_FOUND = build_response(status=404)
UNAVAILABLE = build_response(status=503)
"""Empty bodies: awscrt takes any body of a role list for a role's name."""
