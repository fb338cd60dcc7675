"""The sidecar's configuration: every setting, declared once."""

import re
from collections.abc import Mapping
from typing import NamedTuple, Self

import contract
from contract.modes import CredentialSource, Mode
from contract.outside_aws import account_of
from contract.service_links import is_service_link
from contract.settings import configuration, find_problems, format_problems, list_settings, parse_environ, setting
from contract.value_types import (
    ABSOLUTE_PATH,
    BOOLEAN,
    ENDPOINT,
    EXTERNAL_ID,
    IMDS_TOKENS,
    METADATA_PATHS,
    PORT,
    PROXY,
    REGION,
    ROLE_ARN,
    SESSION_DURATION,
    SESSION_NAME,
    SESSION_NAME_LENGTH,
    ImdsTokens,
    choice,
)
from sidecar.contradictions import find_contradictions
from sidecar.errors import ConfigError
from sidecar.value_types import ANY, INSTANCE_ID, MODE, NODE_ENDPOINT, PEM, SESSION_TAGS, UID, ZONE

MAX_NAMESPACE_LENGTH = 31
"""Characters of the namespace in a session name: at least half of it is for the pod's name."""

ZONE_SUFFIX = r"(?:[a-z]|-[a-z0-9-]*[a-z0-9])"
"""The name of a zone is the name of its region with this: `a`, or `-lax-1a` for a local zone."""


@configuration
class Config(NamedTuple):
    """What the sidecar serves, and how it gets it."""

    role_arn: str = setting(contract.ENV_ROLE_ARN, ROLE_ARN, "The role to assume", is_required=True)
    region: str = setting(contract.ENV_REGION, REGION, "The AWS region", is_required=True)
    run_directory: str = setting(
        contract.ENV_RUN_DIRECTORY,
        ABSOLUTE_PATH,
        "A directory in memory, for the started file and the state file; the sidecar creates it",
        is_required=True,
    )
    pod_uid: str = setting(
        contract.ENV_POD_UID,
        UID,
        "The pod's uid: the end of the credential path; the state file of another pod is not used",
        is_required=True,
    )
    session_name: str | None = setting(
        contract.ENV_SESSION_NAME, SESSION_NAME, "The name of the session", unset="`<namespace>.<pod>`"
    )
    pod_namespace: str = setting(contract.ENV_POD_NAMESPACE, ANY, "The pod's namespace", default="")
    pod_name: str = setting(
        contract.ENV_POD_NAME, ANY, "The pod's name; required without PODROLE_SESSION_NAME", default=""
    )
    session_duration_seconds: int = setting(
        contract.ENV_SESSION_DURATION,
        SESSION_DURATION,
        "The duration of a session; the role must allow it",
        default="3600",
    )
    mode: Mode = setting(
        contract.ENV_MODE,
        MODE,
        "In redirect mode the sidecar checks the redirect before it is ready; env mode has no redirect",
        default=Mode.REDIRECT,
    )
    serve_loopback: bool = setting(
        contract.ENV_SERVE_LOOPBACK,
        BOOLEAN,
        "In redirect mode, also serve the credential path to connections that the redirect did not lead here; "
        "env mode serves all of them",
        default="false",
    )
    imds_tokens: ImdsTokens = setting(
        contract.ENV_IMDS_TOKENS,
        IMDS_TOKENS,
        "Whether metadata requests need an IMDSv2 token; optional: IMDSv1 works as well",
        default=ImdsTokens.OPTIONAL,
    )
    credential_source: CredentialSource = setting(
        contract.ENV_CREDENTIAL_SOURCE,
        choice(CredentialSource),
        "The identity that assumes the role: the pod's token, or the node's role (unsafe)",
        default=CredentialSource.WEB_IDENTITY,
    )
    intermediate_role: str | None = setting(
        contract.ENV_INTERMEDIATE_ROLE,
        ROLE_ARN,
        "A role that is assumed first, and from which the role is assumed (role chaining)",
    )
    external_id: str | None = setting(
        contract.ENV_EXTERNAL_ID,
        EXTERNAL_ID,
        "The external id for the role; only with an intermediate role or the source node",
    )
    session_tags: tuple[tuple[str, str], ...] = setting(
        contract.ENV_SESSION_TAGS,
        SESSION_TAGS,
        "Session tags for the role; only with an intermediate role or the source node",
        default="",
    )
    sts_endpoint: str | None = setting(
        contract.ENV_STS_ENDPOINT,
        ENDPOINT,
        "An STS endpoint outside AWS or a VPC endpoint",
        unset="the regional endpoint",
    )
    sts_ca_pem: str | None = setting(
        contract.ENV_STS_CA_PEM, PEM, "The only CAs that are trusted for STS", unset="the CAs of the AWS SDK"
    )
    sts_proxy: str | None = setting(contract.ENV_STS_PROXY, PROXY, "A proxy for requests to STS only")
    use_fips: bool = setting(contract.ENV_USE_FIPS, BOOLEAN, "Use the region's FIPS endpoint of STS", default="false")
    use_dualstack: bool = setting(
        contract.ENV_USE_DUALSTACK,
        BOOLEAN,
        "Use the region's dual-stack endpoint of STS, which pods without IPv4 can reach",
        default="false",
    )
    metadata_passthrough: bool = setting(
        contract.ENV_METADATA_PASSTHROUGH, BOOLEAN, "Serve some of the node's metadata", default="false"
    )
    metadata_passthrough_paths: tuple[str, ...] | None = setting(
        contract.ENV_METADATA_PASSTHROUGH_PATHS,
        METADATA_PATHS,
        "What pass-through serves of the node's metadata",
        unset="the default list in docs/sources.md",
    )
    node_metadata_endpoint: str = setting(
        contract.ENV_NODE_METADATA_ENDPOINT,
        NODE_ENDPOINT,
        "The node's metadata service, for the source node and for pass-through",
        default="http://169.254.169.254",
    )
    require_closed_metadata: bool = setting(
        contract.ENV_REQUIRE_CLOSED_METADATA,
        BOOLEAN,
        "In env mode, do not start while the node's metadata service answers this pod",
        default="false",
    )
    token_file: str = setting(
        contract.ENV_TOKEN_FILE,
        ABSOLUTE_PATH,
        "The ServiceAccount token; read again for each refresh, as the kubelet replaces it",
        default=contract.TOKEN_FILE,
    )
    port: int = setting(contract.ENV_PORT, PORT, "The port on 127.0.0.1 and ::1", default=str(contract.SIDECAR_PORT))
    zone_label: str | None = setting(
        contract.ENV_ZONE,
        ZONE,
        "The availability zone for placement/availability-zone; ignored if it is not in the region",
        unset="none: 404",
    )
    instance_id: str | None = setting(
        contract.ENV_INSTANCE_ID, INSTANCE_ID, "The instance id for instance-id", unset="none: 404"
    )
    metrics: bool = setting(
        contract.ENV_METRICS, BOOLEAN, "Serve metrics and health checks on every address of the pod", default="false"
    )
    metrics_port: int = setting(
        contract.ENV_METRICS_PORT, PORT, "The port of metrics and health checks", default=str(contract.METRICS_PORT)
    )

    @property
    def role_name(self) -> str:
        """The name without its path, as the metadata service lists it."""
        return self.role_arn.rpartition("/")[2]

    @property
    def credentials_path(self) -> str:
        """The path of the container credentials, which nobody outside the pod can guess."""
        return f"{contract.CREDENTIALS_PATH}/{self.pod_uid}"

    @property
    def account_id(self) -> str:
        """The account that the role belongs to; outside AWS it can be empty."""
        return account_of(self.role_arn)

    @property
    def role_session_name(self) -> str:
        """The session's name in CloudTrail."""
        return self.session_name or build_session_name(self.pod_namespace, self.pod_name)

    @property
    def chain(self) -> tuple[str, ...]:
        """The roles to assume, each from the one before it; the last one is the pod's."""
        return (self.intermediate_role, self.role_arn) if self.intermediate_role else (self.role_arn,)

    @property
    def requires_imds_token(self) -> bool:
        """Whether metadata requests without a token fail, as with EC2's HttpTokens=required."""
        return self.imds_tokens is ImdsTokens.REQUIRED

    @property
    def zone(self) -> str | None:
        """The availability zone. A label that is not a zone of the region is ignored, such as "rack-7" outside AWS."""
        label = self.zone_label or ""
        return label if re.fullmatch(re.escape(self.region) + ZONE_SUFFIX, label) else None

    @property
    def redirected_addresses(self) -> tuple[str, ...]:
        """The metadata addresses that lead to this process; the sidecar itself may reach the node's service."""
        passes = contract.EC2_METADATA_ADDRESSES if self._asks_node else ()
        return tuple(address for address in contract.METADATA_ADDRESSES if address not in passes)

    @property
    def _asks_node(self) -> bool:
        return self.metadata_passthrough or self.credential_source is CredentialSource.NODE

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the PODROLE_* variables; raise ConfigError with all problems."""
        if problems := [*find_problems(cls, environ), *find_contradictions(environ)]:
            raise ConfigError(format_problems("invalid environment:", problems))
        return cls(**parse_environ(cls, environ))


VARIABLES = tuple(one.variable for one in list_settings(Config).values())

MAX_IGNORED = 10


def list_ignored(environ: Mapping[str, str]) -> str:
    """The first MAX_IGNORED names of variables that this version does not know, for the log.

    They end no start, unlike the injector's: another version of the injector can have written them into the pod, and a
    pod must start with the next and the previous one. The injector refuses an edited template with a misspelt one.
    """
    names = sorted(
        name
        for name, value in environ.items()
        if name.startswith("PODROLE_") and name not in VARIABLES and not is_service_link(name, value)
    )
    return ", ".join(names[:MAX_IGNORED])


def build_session_name(namespace: str, pod: str) -> str:
    """`<namespace>.<pod>`, truncated; the end of a pod's name is kept, as it is unique."""
    namespace = namespace[:MAX_NAMESPACE_LENGTH]
    room = SESSION_NAME_LENGTH - len(namespace) - 1
    return f"{namespace}.{pod[-room:]}"
