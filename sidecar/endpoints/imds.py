"""EC2's instance metadata service, as far as a pod may know it: what is answered to which state. No request, no clock.

What is not known is not found, and never made up. So there is no `iam/info`: it names an instance profile, and a pod
has none; EC2 answers the same 404 on an instance without one.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from functools import cache, lru_cache

from flask import Response

from sidecar.config import Config
from sidecar.credentials.credentials import Credentials, build_metadata_document
from sidecar.credentials.schedule import Failure
from sidecar.endpoints.responses import NOT_FOUND, UNAUTHORIZED, UNAVAILABLE, build_response


def build_role_list(config: Config, found: Credentials | Failure | None) -> Response:
    """Name the one role, without a newline: awscrt, Rust and PHP make the next request's path of every byte.

    With nothing to serve the body is empty: awscrt takes it for a role's name whatever the status is.
    """
    return build_text(config.role_name) if isinstance(found, Credentials) else UNAVAILABLE


def build_role_document(config: Config, role_name: str, found: Credentials | Failure | None) -> Response:
    """Give the credentials of our role, and of no other.

    With nothing to serve it is 401 and empty: awscrt ends its process at any other code, SDKs ask for a token again.
    """
    if role_name != config.role_name:
        return NOT_FOUND
    return _build_document(found) if isinstance(found, Credentials) else UNAUTHORIZED


@lru_cache(maxsize=1)
def _build_document(credentials: Credentials) -> Response:
    return build_response(credentials.to_metadata_document())


@cache
def build_text(configured: str | None) -> Response:
    """Give a value of the configuration, such as the region, if it is known. Nothing that a client sent comes here."""
    return build_response(configured) if configured else NOT_FOUND


def build_identity_document(config: Config) -> Response:
    """Give what SDKs read the region and the account from; what only the node could tell is left out.

    The account is the role's, which is the one that the credentials work in.
    """
    fields = {
        "accountId": config.account_id,
        "availabilityZone": config.zone,
        "instanceId": config.instance_id,
        "region": config.region,
        "version": "2017-09-30",
    }
    return build_response(build_metadata_document({key: value for key, value in fields.items() if value}))
