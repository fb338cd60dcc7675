"""ECS's container credentials: what is answered to which state. No request, no clock.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
"""

import json
from functools import lru_cache

from flask import Response

from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.endpoints.responses import JSON, build_response

NOT_READY = Failure(
    "CredentialsUninitialized", "No credentials yet: the sidecar is still asking STS.", is_permanent=False
)


def build_credentials(found: Credentials | Failure | None, last_failure: Failure | None) -> Response:
    """Give the credentials, or say why there are none: 403 for a refusal, which SDKs do not repeat, else 503."""
    match found:
        case Credentials():
            return _build_document(found)
        case Failure():
            return _build_error(403, found)
        case None:
            return _build_error(503, last_failure or NOT_READY)


@lru_cache(maxsize=1)
def _build_document(credentials: Credentials) -> Response:
    return build_response(credentials.to_container_document(), headers=JSON)


def _build_error(status: int, failure: Failure) -> Response:
    """Spell the keys both ways: Go and Java read the small ones, JavaScript the capital ones."""
    keys = {"code": failure.code, "message": failure.message, "Code": failure.code, "Message": failure.message}
    return build_response(json.dumps(keys), status, JSON)
