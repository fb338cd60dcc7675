"""The sidecar's configuration: one frozen value from an environment. Nothing is read from anywhere else."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import contract
from sidecar.errors import ConfigError

SESSION_NAME_LENGTH = 64
SHOWN_LENGTH = 100
"""What an error shows of a value."""

NAMESPACE_LENGTH = 31
"""What a session name keeps of the namespace at most, so that half of it is left for the pod's name."""

ROLE_ARN = r"arn:aws[a-z-]*:iam::\d{12}:role/(?:[!-~]*/)?[\w+=,.@-]{1,64}"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""

SESSION_NAME = rf"[\w+=,.@-]{{2,{SESSION_NAME_LENGTH}}}"
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, RoleSessionName"""

SESSION_DURATION = r"9\d\d|[1-9]\d{3}|[1-3]\d{4}|4[0-2]\d{3}|43[01]\d\d|43200"
"""900 to 43200, as in the same place."""

ABSOLUTE_PATH = r"/[^\0]+"
PORT = r"\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]"
BOOLEAN = (r"true|false", "true or false")
PEM = r"(?s)\s*-----BEGIN CERTIFICATE-----\n.+\n-----END CERTIFICATE-----\s*"
HOST = r"(?:[\w.-]+|\[[0-9A-Fa-f:]+\])"

ZONE = r"(?:[a-z]|-[a-z0-9-]*[a-z0-9])"
"""What follows the region in the name of one of its zones: `a`, or `-lax-1a` for a local one."""

REQUIRED = {
    contract.ENV_ROLE_ARN: (ROLE_ARN, "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/reader"),
    contract.ENV_REGION: (r"[a-z]{2,}(-[a-z]+)+-\d+", "an AWS region, such as eu-west-1"),
    contract.ENV_RUN_DIRECTORY: (ABSOLUTE_PATH, "an absolute path in a memory file system of the pod"),
}
OPTIONAL = {
    contract.ENV_SESSION_NAME: (SESSION_NAME, "2 to 64 of the characters A-Z a-z 0-9 _ + = , . @ -"),
    contract.ENV_SESSION_DURATION: (SESSION_DURATION, "a whole number of seconds, 900 to 43200"),
    contract.ENV_MODE: (f"{contract.MODE_REDIRECT}|{contract.MODE_ENV}", "redirect or env"),
    contract.ENV_IMDS_V1: BOOLEAN,
    contract.ENV_POD_UID: (r"[\w-]+", "the pod's uid"),
    contract.ENV_SOURCE: (f"{contract.SOURCE_WEB_IDENTITY}|{contract.SOURCE_NODE}", "web-identity or node"),
    contract.ENV_ASSUME_THROUGH: (ROLE_ARN, "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/hub"),
    contract.ENV_EXTERNAL_ID: (r"[\w+=,.@:/-]{2,1224}", "2 to 1224 of the characters A-Z a-z 0-9 _ + = , . @ : / -"),
    contract.ENV_SESSION_TAGS: (r"[^=,]+=[^,]*(?:,[^=,]+=[^,]*)*", "key=value, with a comma between two of them"),
    contract.ENV_STS_ENDPOINT: (r"https?://[^\s/]+/?", "http:// or https://, a host, and nothing behind it"),
    contract.ENV_STS_CA_PEM: (PEM, "certificates, PEM"),
    contract.ENV_STS_PROXY: (rf"https?://{HOST}:\d{{1,5}}/?", "http:// or https://, a host, and a port"),
    contract.ENV_USE_FIPS: BOOLEAN,
    contract.ENV_METADATA_PASSTHROUGH: BOOLEAN,
    contract.ENV_NODE_METADATA_ENDPOINT: (rf"http://{HOST}(?::\d{{1,5}})?", "http://, a host, and perhaps a port"),
    contract.ENV_TOKEN_FILE: (ABSOLUTE_PATH, "an absolute path"),
    contract.ENV_PORT: (PORT, "a port number"),
    contract.ENV_ZONE: (r"[\w.-]+", "the name of an availability zone, such as eu-west-1a"),
    contract.ENV_INSTANCE_ID: (r"i-[0-9a-f]{8,17}", "an EC2 instance's id, such as i-0123456789abcdef0"),
    contract.ENV_METRICS: BOOLEAN,
    contract.ENV_METRICS_PORT: (PORT, "a port number"),
}
"""Variable: what its value must match in full, and how that is said to a person."""

VARIABLES = (*REQUIRED, *OPTIONAL, contract.ENV_POD_NAMESPACE, contract.ENV_POD_NAME)
"""All that is ever read."""


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

    source: str = contract.SOURCE_WEB_IDENTITY
    """Who asks STS: the pod's token, or, unsafe, the role of the node."""

    assume_through: str | None = None
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
    """Whether some of the node's metadata is answered, see `sidecar.passthrough`."""

    node_metadata_endpoint: str = "http://169.254.169.254"
    imds_v1: bool = True
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
        return (self.assume_through, self.role_arn) if self.assume_through else (self.role_arn,)

    @property
    def redirected_addresses(self) -> tuple[str, ...]:
        """Where this process reaches itself: the rules may let it pass to the node's own service."""
        passes = contract.EC2_METADATA_ADDRESSES if self._asks_node else ()
        return tuple(address for address in contract.METADATA_ADDRESSES if address not in passes)

    @property
    def _asks_node(self) -> bool:
        return self.metadata_passthrough or self.source == contract.SOURCE_NODE

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """Read the PODROLE_* variables; raise ConfigError with everything that is wrong, not with the first thing."""
        if problems := list(_find_problems(environ)):
            raise ConfigError("\n".join(["the environment is wrong:", *(f"  {problem}" for problem in problems)]))
        return cls(
            role_arn=environ[contract.ENV_ROLE_ARN],
            region=environ[contract.ENV_REGION],
            session_name=environ.get(contract.ENV_SESSION_NAME) or build_session_name(environ),
            run_directory=environ[contract.ENV_RUN_DIRECTORY],
            mode=environ.get(contract.ENV_MODE) or cls.mode,
            session_duration_seconds=int(environ.get(contract.ENV_SESSION_DURATION) or cls.session_duration_seconds),
            token_file=environ.get(contract.ENV_TOKEN_FILE) or cls.token_file,
            source=environ.get(contract.ENV_SOURCE) or cls.source,
            assume_through=environ.get(contract.ENV_ASSUME_THROUGH) or cls.assume_through,
            external_id=environ.get(contract.ENV_EXTERNAL_ID) or cls.external_id,
            session_tags=_parse_session_tags(environ.get(contract.ENV_SESSION_TAGS, "")),
            sts_endpoint=environ.get(contract.ENV_STS_ENDPOINT) or cls.sts_endpoint,
            sts_ca_pem=environ.get(contract.ENV_STS_CA_PEM) or cls.sts_ca_pem,
            sts_proxy=environ.get(contract.ENV_STS_PROXY) or cls.sts_proxy,
            use_fips=environ.get(contract.ENV_USE_FIPS) == "true",
            metadata_passthrough=environ.get(contract.ENV_METADATA_PASSTHROUGH) == "true",
            node_metadata_endpoint=environ.get(contract.ENV_NODE_METADATA_ENDPOINT) or cls.node_metadata_endpoint,
            pod_uid=environ.get(contract.ENV_POD_UID) or cls.pod_uid,
            imds_v1=(environ.get(contract.ENV_IMDS_V1) or "true") == "true",
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


def _quote(value: str) -> str:
    """Short and in ASCII: what is wrong with all of them must fit into the 2048 bytes that the kubelet shows."""
    quoted = ascii(value)
    return quoted if len(quoted) <= SHOWN_LENGTH else f"{quoted[:SHOWN_LENGTH]}..."


def _find_problems(environ: Mapping[str, str]) -> Iterator[str]:
    for key, (pattern, meaning) in (REQUIRED | OPTIONAL).items():
        value = environ.get(key, "")
        if not value and key in REQUIRED:
            yield f"{key} is not set: it must be {meaning}"
        elif value and not re.fullmatch(pattern, value, re.ASCII):
            yield f"{key} is {_quote(value)}: it must be {meaning}"
    if not environ.get(contract.ENV_SESSION_NAME) and not environ.get(contract.ENV_POD_NAME):
        yield f"{contract.ENV_SESSION_NAME} and {contract.ENV_POD_NAME} are not set: one of them must name the session"
    yield from _find_contradictions(environ)


def _find_contradictions(environ: Mapping[str, str]) -> Iterator[str]:
    is_of_node = environ.get(contract.ENV_SOURCE) == contract.SOURCE_NODE
    if is_of_node or environ.get(contract.ENV_ASSUME_THROUGH):
        duration = environ.get(contract.ENV_SESSION_DURATION, "")
        if re.fullmatch(SESSION_DURATION, duration) and int(duration) > contract.CHAINED_LONGEST_SECONDS:
            reason = f"a role that another role assumes has {contract.CHAINED_LONGEST_SECONDS} at most"
            yield f"{contract.ENV_SESSION_DURATION} is {duration}: {reason}"
    else:
        for key in (contract.ENV_EXTERNAL_ID, contract.ENV_SESSION_TAGS):
            if environ.get(key):
                yield f"{key} is set: a web identity has no such thing, it needs {contract.ENV_ASSUME_THROUGH}"
    if environ.get(contract.ENV_USE_FIPS) == "true" and environ.get(contract.ENV_STS_ENDPOINT):
        yield f"{contract.ENV_USE_FIPS} and {contract.ENV_STS_ENDPOINT} are both set: name the FIPS endpoint, or none"


def build_session_name(environ: Mapping[str, str]) -> str:
    """`<namespace>.<pod>`, cut where it is least telling: a pod's name is unique by its end."""
    namespace = environ.get(contract.ENV_POD_NAMESPACE, "")[:NAMESPACE_LENGTH]
    pod = environ.get(contract.ENV_POD_NAME, "")
    room = SESSION_NAME_LENGTH - len(namespace) - 1
    return f"{namespace}.{pod[-room:]}"
