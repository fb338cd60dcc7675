"""Builds HTTP responses. One that does not change is built once and sent many times."""

from server.messages import Response

NO_STORE_HEADERS = (("Cache-Control", "no-store"), ("X-Content-Type-Options", "nosniff"))
PLAIN = (("Content-Type", "text/plain"), *NO_STORE_HEADERS)
JSON = (("Content-Type", "application/json"), *NO_STORE_HEADERS)
"""EC2 sends all documents as plain text, including JSON; ECS sends application/json."""


def build_response(body: str = "", status: int = 200, headers: tuple[tuple[str, str], ...] = PLAIN) -> Response:
    """Build a response of text."""
    return Response(status, body.encode(), headers)


BAD_REQUEST = build_response(status=400)
UNAUTHORIZED = build_response(status=401)
NOT_FOUND = build_response(status=404)
UNAVAILABLE = build_response(status=503)
"""Empty bodies: awscrt uses any body of the role list as a role name."""
