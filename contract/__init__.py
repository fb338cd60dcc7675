"""What the injector and the sidecar share. Both images contain this package, and it imports none of the others.

This module has only constants, which the injector writes into a pod and the sidecar reads there. It imports nothing,
because the postStart hook imports it. Modules: `settings` and `value_types` (declarations), `service_links`, `modes`,
`termination`, `text`.
"""

VERSION = "0.1.0"

SIDECAR_PORT = 16925
"""The sidecar's port on loopback. The redirect leads from the metadata addresses to it."""

METRICS_PORT = 16926
"""The port of the sidecar's metrics on every address of the pod, if the operator enables them."""

SIDECAR_UID = 16925
REDIRECT_UID = 16926
"""User and group ids. A pod with another container that runs as SIDECAR_UID is denied: it could read its memory."""

REDIRECT_CONTAINER = "podrole-redirect"
SIDECAR_CONTAINER = "podrole-sidecar"
TOKEN_VOLUME = "podrole-token"  # noqa: S105 - the name of a volume
RUN_VOLUME = "podrole-run"
RESERVED_PREFIX = "podrole-"
"""Reserved for podrole's containers and volumes: an injection removes those of users with such a name."""

TOKEN_AUDIENCE = "sts.amazonaws.com"  # noqa: S105 - the audience of a token
TOKEN_DIRECTORY = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a path
"""Where the API server would mount its token. podrole's token is there instead, so its containers get no API token."""

TOKEN_FILE = f"{TOKEN_DIRECTORY}/token"

REDIRECT_RULES = "/etc/podrole/redirect.nft"
NODE_RULES = "/etc/podrole/redirect-node.nft"
BLOCK_RULES = "/etc/podrole/block.nft"
"""nftables files in the sidecar's image; the first two have the variable `listen`, the sidecar's port.

The second one lets SIDECAR_UID pass to EC2_METADATA_ADDRESSES, and takes it as `sidecar_uid`.
"""

EC2_METADATA_ADDRESSES = ("169.254.169.254", "fd00:ec2::254")
METADATA_ADDRESSES = ("169.254.169.254", "169.254.170.2", "169.254.170.23", "fd00:ec2::254", "fd00:ec2::23")
"""EC2's metadata service, ECS's and EKS's credential endpoints, and the two that have an IPv6 address.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-retrieval.html
https://docs.aws.amazon.com/AmazonECS/latest/developerguide/task-iam-roles.html
https://docs.aws.amazon.com/eks/latest/userguide/pod-id-how-it-works.html
"""

CREDENTIALS_PATH = "/v2/credentials"
"""The path of ECS's container credentials. The pod's uid follows: a path that is the same in every pod is guessable."""

EKS_CREDENTIALS_PATH = "/v1/credentials"
"""The path of EKS Pod Identity's credentials. It needs a token in the Authorization header, as AWS SDKs send it."""

BOOT_PATH = "/podrole/boot"
"""Returns the id of this start of the sidecar, see `sidecar.redirect.self_check`. Not a secret."""

STATUS_PATH = "/podrole/status"
"""Returns what `sidecar.status` prints, without secrets."""

POST_START_SCRIPT = "/app/sidecar/post_start.py"
"""The postStart hook, run by path: `python3 -I -S` has no site-packages and starts in 15 ms instead of 100."""

SHARED_MEMORY = "/dev/shm"  # noqa: S108 - a tmpfs of the pod's own, writable under a read-only root
STARTED_FILE = "started"
"""In the run directory: `<pid> <start time in clock ticks>` of the sidecar that is ready, see `sidecar.post_start`."""

ENV_ROLE_ARN = "PODROLE_ROLE_ARN"
ENV_REGION = "PODROLE_REGION"
ENV_CREDENTIAL_SOURCE = "PODROLE_CREDENTIAL_SOURCE"
ENV_INTERMEDIATE_ROLE = "PODROLE_INTERMEDIATE_ROLE"
ENV_EXTERNAL_ID = "PODROLE_EXTERNAL_ID"
ENV_SESSION_TAGS = "PODROLE_SESSION_TAGS"
ENV_STS_ENDPOINT = "PODROLE_STS_ENDPOINT"
ENV_STS_CA_PEM = "PODROLE_STS_CA_PEM"
ENV_STS_PROXY = "PODROLE_STS_PROXY"
ENV_USE_FIPS = "PODROLE_USE_FIPS"
ENV_USE_DUALSTACK = "PODROLE_USE_DUALSTACK"
ENV_METADATA_PASSTHROUGH = "PODROLE_METADATA_PASSTHROUGH"
ENV_METADATA_PASSTHROUGH_PATHS = "PODROLE_METADATA_PASSTHROUGH_PATHS"
ENV_NODE_METADATA_ENDPOINT = "PODROLE_NODE_METADATA_ENDPOINT"
ENV_SESSION_NAME = "PODROLE_SESSION_NAME"
ENV_SESSION_DURATION = "PODROLE_SESSION_DURATION"
ENV_IMDS_TOKENS = "PODROLE_IMDS_TOKENS"
ENV_MODE = "PODROLE_MODE"
ENV_POD_NAMESPACE = "PODROLE_POD_NAMESPACE"
ENV_POD_NAME = "PODROLE_POD_NAME"
ENV_POD_UID = "PODROLE_POD_UID"
ENV_SERVE_LOOPBACK = "PODROLE_SERVE_LOOPBACK"
ENV_RUN_DIRECTORY = "PODROLE_RUN_DIRECTORY"
ENV_PORT = "PODROLE_PORT"
ENV_ZONE = "PODROLE_ZONE"
ENV_INSTANCE_ID = "PODROLE_INSTANCE_ID"
ENV_METRICS = "PODROLE_METRICS"
ENV_METRICS_PORT = "PODROLE_METRICS_PORT"
ENV_REQUIRE_CLOSED_METADATA = "PODROLE_REQUIRE_CLOSED_METADATA"
ENV_TOKEN_FILE = "PODROLE_TOKEN_FILE"  # noqa: S105 - the name of a variable
"""The sidecar's settings, which `sidecar.config` declares."""

MAX_CHAINED_SECONDS = 3600
"""The maximum duration of a session that another role's session starts.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles.html#iam-term-role-chaining
"""
