"""The container credentials endpoints of ECS and EKS Pod Identity: the response for each state of the credentials.

https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""

import json
from functools import lru_cache

import contract
from server.messages import Response
from sidecar.credentials.credentials import Credentials
from sidecar.credentials.schedule import Failure
from sidecar.endpoints.responses import JSON, build_response

EKS_PATH = contract.EKS_CREDENTIALS_PATH
"""The same in every pod, so it needs an Authorization header: with SSRF an attacker can seldom choose one."""

NOT_READY = Failure(
    "CredentialsUninitialized", "No credentials yet: the sidecar is waiting for STS.", is_permanent=False
)


def build_credentials(servable: Credentials | Failure | None, last_failure: Failure | None) -> Response:
    """Return the credentials, or an error: 403 if it is permanent, as SDKs do not retry that, else 503."""
    match servable:
        case Credentials():
            return _build_document(servable)
        case Failure():
            return _build_error(403, servable)
        case None:
            return _build_error(503, last_failure or NOT_READY)


@lru_cache(maxsize=1)
def _build_document(credentials: Credentials) -> Response:
    return build_response(credentials.to_container_document(), headers=JSON)


def _build_error(status: int, failure: Failure) -> Response:
    """Write each key twice: Go and Java read the lower-case keys, JavaScript the capitalized ones."""
    keys = {"code": failure.code, "message": failure.message, "Code": failure.code, "Message": failure.message}
    return build_response(json.dumps(keys), status, JSON)


AUTHORIZATION_REQUIRED = _build_error(
    403,
    Failure(
        "AuthorizationRequired",
        f"{EKS_PATH} needs the header Authorization with a token and no scheme, as AWS SDKs send it if "
        "AWS_CONTAINER_AUTHORIZATION_TOKEN or AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE is set.",
        is_permanent=True,
    ),
)
"""Not 401, which needs a WWW-Authenticate header: some clients answer that with the user name of the URL."""
