"""The environment variables that the sidecar reads, what each must match, and what is wrong with an environment."""

import re
from collections.abc import Iterator, Mapping

import contract
from contract.text import truncate

SHOWN_LENGTH = 100
"""What an error shows of a value."""

SESSION_NAME_LENGTH = 64

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

REQUIRED = {
    contract.ENV_ROLE_ARN: (ROLE_ARN, "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/reader"),
    contract.ENV_REGION: (r"[a-z]{2,}(-[a-z]+)+-\d+", "an AWS region, such as eu-west-1"),
    contract.ENV_RUN_DIRECTORY: (ABSOLUTE_PATH, "an absolute path in a memory file system of the pod"),
}
OPTIONAL = {
    contract.ENV_SESSION_NAME: (SESSION_NAME, "2 to 64 of the characters A-Z a-z 0-9 _ + = , . @ -"),
    contract.ENV_SESSION_DURATION: (SESSION_DURATION, "a whole number of seconds, 900 to 43200"),
    contract.ENV_MODE: (f"{contract.MODE_REDIRECT}|{contract.MODE_ENV}", "redirect or env"),
    contract.ENV_IMDS_TOKENS: (r"required|optional", "required or optional"),
    contract.ENV_POD_UID: (r"[\w-]+", "the pod's uid"),
    contract.ENV_CREDENTIAL_SOURCE: (f"{contract.SOURCE_WEB_IDENTITY}|{contract.SOURCE_NODE}", "web-identity or node"),
    contract.ENV_INTERMEDIATE_ROLE: (ROLE_ARN, "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/hub"),
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


def find_problems(environ: Mapping[str, str]) -> Iterator[str]:
    """All that is wrong, each a sentence that names the variable and what it must be."""
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
    is_of_node = environ.get(contract.ENV_CREDENTIAL_SOURCE) == contract.SOURCE_NODE
    if is_of_node or environ.get(contract.ENV_INTERMEDIATE_ROLE):
        duration = environ.get(contract.ENV_SESSION_DURATION, "")
        if re.fullmatch(SESSION_DURATION, duration) and int(duration) > contract.CHAINED_LONGEST_SECONDS:
            reason = f"a role that another role assumes has {contract.CHAINED_LONGEST_SECONDS} at most"
            yield f"{contract.ENV_SESSION_DURATION} is {duration}: {reason}"
    else:
        for key in (contract.ENV_EXTERNAL_ID, contract.ENV_SESSION_TAGS):
            if environ.get(key):
                yield f"{key} is set: a web identity has no such thing, it needs {contract.ENV_INTERMEDIATE_ROLE}"
    if environ.get(contract.ENV_USE_FIPS) == "true" and environ.get(contract.ENV_STS_ENDPOINT):
        yield f"{contract.ENV_USE_FIPS} and {contract.ENV_STS_ENDPOINT} are both set: name the FIPS endpoint, or none"


def _quote(value: str) -> str:
    """Short and in ASCII: what is wrong with all of them must fit into the 2048 bytes that the kubelet shows."""
    return truncate(ascii(value), SHOWN_LENGTH)
