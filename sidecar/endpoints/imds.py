"""EC2's instance metadata service (IMDS), as far as a pod may use it: the response for each state of the credentials.

Unknown values are 404, never invented. `iam/info` is 404 too: it names an instance profile, and a pod has none. EC2
returns the same 404 on an instance without one.
https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
"""

from functools import lru_cache

from server.messages import Response
from sidecar.config import Config
from sidecar.credentials.credentials import Credentials, build_metadata_document
from sidecar.credentials.schedule import Failure
from sidecar.endpoints.responses import NOT_FOUND, UNAUTHORIZED, UNAVAILABLE, build_response

EC2 = "/latest"
TOKEN = f"{EC2}/api/token"
IDENTITY = f"{EC2}/dynamic/instance-identity/document"
ROLES = f"{EC2}/meta-data/iam/security-credentials"
REGION = f"{EC2}/meta-data/placement/region"
ZONE = f"{EC2}/meta-data/placement/availability-zone"
INSTANCE_ID = f"{EC2}/meta-data/instance-id"


def list_role_paths(config: Config) -> tuple[str, ...]:
    """Return the paths of the role's document: by its name, or as kube2iam lists it, by its path or its ARN."""
    path_and_name = config.role_arn.partition(":role/")[2]
    return tuple(f"{ROLES}/{name}" for name in dict.fromkeys((config.role_name, path_and_name, config.role_arn)))


def build_role_list(config: Config, servable: Credentials | Failure | None) -> Response:
    """Return the role's name without a newline: awscrt, Rust and PHP append every byte to the next request's path.

    Without credentials the body is empty: awscrt uses it as a role name whatever the status is.
    """
    return build_response(config.role_name) if isinstance(servable, Credentials) else UNAVAILABLE


def build_role_document(servable: Credentials | Failure | None) -> Response:
    """Return the credentials of the pod's role.

    Without credentials it is 401 and empty: awscrt aborts its process at any other status, SDKs request a new token.
    """
    return _build_document(servable) if isinstance(servable, Credentials) else UNAUTHORIZED


@lru_cache(maxsize=1)
def _build_document(credentials: Credentials) -> Response:
    return build_response(credentials.to_metadata_document())


def build_text(value: str | None) -> Response:
    """Return a value of the configuration, such as the region; 404 if it is not set."""
    return build_response(value) if value else NOT_FOUND


def build_identity_document(config: Config) -> Response:
    """Return the fields that SDKs read, such as region and account; fields that only the node knows are omitted.

    The account is the role's, in which the credentials are valid.
    """
    fields = {
        "accountId": config.account_id,
        "availabilityZone": config.zone,
        "instanceId": config.instance_id,
        "region": config.region,
        "version": "2017-09-30",
    }
    return build_response(build_metadata_document({key: value for key, value in fields.items() if value}))
