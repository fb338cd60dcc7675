"""The sidecar's configuration: one frozen value from an environment. Nothing is read from anywhere else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import contract
from sidecar.env_vars import SESSION_NAME_LENGTH, find_problems
from sidecar.errors import ConfigError

NAMESPACE_LENGTH = 31
"""What a session name keeps of the namespace at most, so that half of it is left for the pod's name."""

ZONE = r"(?:[a-z]|-[a-z0-9-]*[a-z0-9])"
"""What follows the region in the name of one of its zones: `a`, or `-lax-1a` for a local one."""


@dataclass(frozen=True)
class Config:
    """What this process serves, and how it gets it."""

    role_arn: str
    region: str
    session_name: str
    """Names the pod in CloudTrail."""

    run_directory: str
    """Where the started file lies, and what outlives a restart."""

    mode: str = contract.MODE_REDIRECT
    """In redirect mode the sidecar proves the rules before it calls itself started; in env mode there are none."""

    session_duration_seconds: int = 3600
    token_file: str = contract.TOKEN_FILE
    """Read anew for each refresh: the kubelet replaces it when 80 % of the token's life are over."""

    credential_source: str = contract.SOURCE_WEB_IDENTITY
    """Who asks STS: the pod's token, or, unsafe, the role of the node."""

    intermediate_role: str | None = None
    """The ARN of the role that is assumed first, and from which the pod's role is assumed."""

    external_id: str | None = None
    session_tags: tuple[tuple[str, str], ...] = ()
    """Key and value of each. Both of these are for AssumeRole: a web identity has neither."""

    sts_endpoint: str | None = None
    """None: the regional endpoint of AWS."""

    sts_ca_pem: str | None = None
    """The only authorities that STS's certificate may come from. None: those of the SDK."""

    sts_proxy: str | None = None
    use_fips: bool = False
    metadata_passthrough: bool = False
    """Whether some of the node's metadata is answered, see `sidecar.endpoints.node_metadata`."""

    node_metadata_endpoint: str = "http://169.254.169.254"
    requires_imds_token: bool = False
    """Whether requests without a token are answered: half of the clients in use know nothing else."""

    pod_uid: str = ""
    """Empty: this sidecar runs in no pod."""

    port: int = contract.SIDECAR_PORT
    zone: str | None = None
    """The availability zone. None: not known, and none is made up: apps place their traffic by it."""

    instance_id: str | None = None
    """Of the node. None: not known."""

    metrics_port: int | None = None
    """None: no metrics, and no second listener."""

    @property
    def role_name(self) -> str:
        """The name without its path, as the metadata service lists it."""
        return self.role_arn.rpartition("/")[2]

    @property
    def account_id(self) -> str:
        """The account that the role belongs to: twelve digits."""
        return account_of(self.role_arn)

    @property
    def chain(self) -> tuple[str, ...]:
        """The roles to assume, each from the one before it; the last one is the pod's."""
        return (self.intermediate_role, self.role_arn) if self.intermediate_role else (self.role_arn,)

    @property
    def redirected_addresses(self) -> tuple[str, ...]:
        """Where this process reaches itself: the rules may let it pass to the node's own service."""
        passes = contract.EC2_METADATA_ADDRESSES if self._asks_node else ()
        return tuple(address for address in contract.METADATA_ADDRESSES if address not in passes)

    @property
    def _asks_node(self) -> bool:
        return self.metadata_passthrough or self.credential_source == contract.SOURCE_NODE

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the PODROLE_* variables; raise ConfigError with everything that is wrong, not with the first thing."""
        if problems := list(find_problems(environ)):
            raise ConfigError("\n".join(["the environment is wrong:", *(f"  {problem}" for problem in problems)]))
        return cls(
            role_arn=environ[contract.ENV_ROLE_ARN],
            region=environ[contract.ENV_REGION],
            session_name=environ.get(contract.ENV_SESSION_NAME) or build_session_name(environ),
            run_directory=environ[contract.ENV_RUN_DIRECTORY],
            mode=environ.get(contract.ENV_MODE) or cls.mode,
            session_duration_seconds=int(environ.get(contract.ENV_SESSION_DURATION) or cls.session_duration_seconds),
            token_file=environ.get(contract.ENV_TOKEN_FILE) or cls.token_file,
            credential_source=environ.get(contract.ENV_CREDENTIAL_SOURCE) or cls.credential_source,
            intermediate_role=environ.get(contract.ENV_INTERMEDIATE_ROLE) or cls.intermediate_role,
            external_id=environ.get(contract.ENV_EXTERNAL_ID) or cls.external_id,
            session_tags=_parse_session_tags(environ.get(contract.ENV_SESSION_TAGS, "")),
            sts_endpoint=environ.get(contract.ENV_STS_ENDPOINT) or cls.sts_endpoint,
            sts_ca_pem=environ.get(contract.ENV_STS_CA_PEM) or cls.sts_ca_pem,
            sts_proxy=environ.get(contract.ENV_STS_PROXY) or cls.sts_proxy,
            use_fips=environ.get(contract.ENV_USE_FIPS) == "true",
            metadata_passthrough=environ.get(contract.ENV_METADATA_PASSTHROUGH) == "true",
            node_metadata_endpoint=environ.get(contract.ENV_NODE_METADATA_ENDPOINT) or cls.node_metadata_endpoint,
            pod_uid=environ.get(contract.ENV_POD_UID) or cls.pod_uid,
            requires_imds_token=environ.get(contract.ENV_IMDS_TOKENS) == "required",
            port=int(environ.get(contract.ENV_PORT) or cls.port),
            zone=_find_zone(environ),
            instance_id=environ.get(contract.ENV_INSTANCE_ID) or None,
            metrics_port=_find_metrics_port(environ),
        )


def _parse_session_tags(text: str) -> tuple[tuple[str, str], ...]:
    pairs = (tag.partition("=") for tag in text.split(",") if tag)
    return tuple((key, value) for key, _, value in pairs)


def account_of(role_arn: str) -> str:
    """The account in a role's ARN."""
    return role_arn.split(":")[4]


def _find_zone(environ: Mapping[str, str]) -> str | None:
    """The zone, if it is one of the region: a node's label holds what its owner likes, as "rack-7" outside AWS."""
    zone = environ.get(contract.ENV_ZONE, "")
    return zone if re.fullmatch(re.escape(environ[contract.ENV_REGION]) + ZONE, zone) else None


def _find_metrics_port(environ: Mapping[str, str]) -> int | None:
    if environ.get(contract.ENV_METRICS) != "true":
        return None
    return int(environ.get(contract.ENV_METRICS_PORT) or contract.METRICS_PORT)


def build_session_name(environ: Mapping[str, str]) -> str:
    """`<namespace>.<pod>`, cut where it is least telling: a pod's name is unique by its end."""
    namespace = environ.get(contract.ENV_POD_NAMESPACE, "")[:NAMESPACE_LENGTH]
    pod = environ.get(contract.ENV_POD_NAME, "")
    room = SESSION_NAME_LENGTH - len(namespace) - 1
    return f"{namespace}.{pod[-room:]}"
