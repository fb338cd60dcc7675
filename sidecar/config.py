"""The sidecar's configuration: one frozen value from an environment. Nothing is read from anywhere else."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Self

import contract
from sidecar.errors import ConfigError

SESSION_NAME_LENGTH = 64
NAMESPACE_LENGTH = 31
"""What a session name keeps of the namespace at most, so that half of it is left for the pod's name."""

ROLE_ARN = r"arn:aws[a-z-]*:iam::\d{12}:role/(?:[!-~]*/)?[\w+=,.@-]{1,64}"
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""

SESSION_NAME = rf"[\w+=,.@-]{{2,{SESSION_NAME_LENGTH}}}"
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html, RoleSessionName"""

SESSION_DURATION = r"9\d\d|[1-9]\d{3}|[1-3]\d{4}|4[0-2]\d{3}|43[01]\d\d|43200"
"""900 to 43200, as in the same place."""

ABSOLUTE_PATH = r"/[^\0]+"
PORT = r"\d{1,5}"

REQUIRED = {
    contract.ENV_ROLE_ARN: (ROLE_ARN, "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/reader"),
    contract.ENV_REGION: (r"[a-z]{2,}(-[a-z]+)+-\d+", "an AWS region, such as eu-west-1"),
    contract.ENV_RUN_DIRECTORY: (ABSOLUTE_PATH, "an absolute path in a memory file system of the pod"),
}
OPTIONAL = {
    contract.ENV_SESSION_NAME: (SESSION_NAME, "2 to 64 of the characters A-Z a-z 0-9 _ + = , . @ -"),
    contract.ENV_SESSION_DURATION: (SESSION_DURATION, "a whole number of seconds, 900 to 43200"),
    contract.ENV_MODE: (f"{contract.MODE_REDIRECT}|{contract.MODE_ENV}", "redirect or env"),
    contract.ENV_IMDS_V1: (r"true|false", "true or false"),
    contract.ENV_STS_ENDPOINT: (r"https?://[^\s/]+/?", "http:// or https://, a host, and nothing behind it"),
    contract.ENV_TOKEN_FILE: (ABSOLUTE_PATH, "an absolute path"),
    contract.ENV_PORT: (PORT, "a port number"),
}
"""Variable: what its value must match in full, and how that is said to a person."""


@dataclass(frozen=True)
class Config:
    """What this process serves, and how it gets it."""

    role_arn: str
    region: str
    session_name: str
    """Names the pod in CloudTrail."""

    run_directory: str
    """Where the started file lies."""

    mode: str = contract.MODE_REDIRECT
    """In redirect mode the sidecar proves the rules before it calls itself started; in env mode there are none."""

    session_duration_seconds: int = 3600
    token_file: str = contract.TOKEN_FILE
    """Read anew for each refresh: the kubelet replaces it when 80 % of the token's life are over."""

    sts_endpoint: str | None = None
    """None: the regional endpoint of AWS."""

    imds_v1: bool = True
    """Whether requests without a token are answered: half of the clients in use know nothing else."""

    port: int = contract.SIDECAR_PORT

    @property
    def role_name(self) -> str:
        """The name without its path, as the metadata service lists it."""
        return self.role_arn.rpartition("/")[2]

    @property
    def account_id(self) -> str:
        """The account that the role belongs to: twelve digits."""
        return account_of(self.role_arn)

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
            sts_endpoint=environ.get(contract.ENV_STS_ENDPOINT) or cls.sts_endpoint,
            imds_v1=environ.get(contract.ENV_IMDS_V1, "true") == "true",
            port=int(environ.get(contract.ENV_PORT) or cls.port),
        )


def account_of(role_arn: str) -> str:
    """The account in a role's ARN."""
    return role_arn.split(":")[4]


def _find_problems(environ: Mapping[str, str]) -> Iterator[str]:
    for key, (pattern, meaning) in (REQUIRED | OPTIONAL).items():
        value = environ.get(key, "")
        if not value and key in REQUIRED:
            yield f"{key} is not set: it must be {meaning}"
        elif value and not re.fullmatch(pattern, value, re.ASCII):
            yield f"{key} is {value!r}: it must be {meaning}"
    if not environ.get(contract.ENV_SESSION_NAME) and not environ.get(contract.ENV_POD_NAME):
        yield f"{contract.ENV_SESSION_NAME} and {contract.ENV_POD_NAME} are not set: one of them must name the session"


def build_session_name(environ: Mapping[str, str]) -> str:
    """`<namespace>.<pod>`, cut where it is least telling: a pod's name is unique by its end."""
    namespace = environ.get(contract.ENV_POD_NAMESPACE, "")[:NAMESPACE_LENGTH]
    pod = environ.get(contract.ENV_POD_NAME, "")
    room = SESSION_NAME_LENGTH - len(namespace) - 1
    return f"{namespace}.{pod[-room:]}"
