"""EC2's instance metadata service, as far as a pod may know it: what is answered to which state. No HTTP, no clock.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from sidecar.answer import Answer
from sidecar.config import Config
from sidecar.credentials import Credentials, build_metadata_document
from sidecar.refresh import Failure

NOT_FOUND = Answer(status=404)


def build_role_list(config: Config, found: Credentials | Failure | None) -> Answer:
    """Name the one role, without a newline: awscrt, Rust and PHP make the next request's path of every byte.

    With nothing to serve the body is empty: awscrt takes it for a role's name whatever the status is.
    """
    return Answer(config.role_name) if isinstance(found, Credentials) else Answer(status=503)


def build_role_document(config: Config, role_name: str, found: Credentials | Failure | None) -> Answer:
    """Give the credentials of our role, and of no other.

    With nothing to serve it is 401 and empty: awscrt ends its process at any other code, SDKs ask for a token again.
    """
    if role_name != config.role_name:
        return NOT_FOUND
    return Answer(found.to_metadata_document()) if isinstance(found, Credentials) else Answer(status=401)


def build_region(config: Config) -> Answer:
    """Give the configured region."""
    return Answer(config.region)


def build_identity_document(config: Config) -> Answer:
    """Give what SDKs read the region and the account from; what only the node could tell is left out."""
    fields = {"accountId": config.account_id, "region": config.region, "version": "2017-09-30"}
    return Answer(build_metadata_document(fields))
