"""What the value of a setting or an annotation must be. Each type is declared once, for both processes."""

import re
from collections.abc import Callable
from enum import StrEnum
from typing import Any, NamedTuple

from contract.outside_aws import ROLE_PREFIX, is_outside_aws


class ValueType(NamedTuple):
    """How to check and parse one kind of text."""

    metavar: str
    """The placeholder in `--help`."""

    pattern: str
    """A regular expression that the text must match in full."""

    expected: str
    """Completes the sentence "it must be ..."."""

    parse: Callable[[str], Any] = str
    numbers: range | None = None
    """If set, the text is a decimal number in this range."""

    within_aws: "ValueType | None" = None
    """If set, the stricter type where STS is AWS's: see `contract.outside_aws`."""

    without_endpoint: "ValueType | None" = None
    """If set, the type where PODROLE_STS_ENDPOINT is not set, stricter still."""

    is_possible: Callable[[str], bool] | None = None
    """If set, what a text that matches must fulfil besides."""

    suggest: Callable[[str], str | None] | None = None
    """If set, returns the value that somebody meant with a wrong one."""

    def choose(self, sts_endpoint: str | None) -> "ValueType":
        """The type that values have with this PODROLE_STS_ENDPOINT."""
        if is_outside_aws(sts_endpoint):
            return self
        within = self.within_aws or self
        return within if sts_endpoint else within.without_endpoint or within

    def accepts(self, text: str) -> bool:
        """Whether the text is a valid value."""
        is_match = re.fullmatch(self.pattern, text, re.ASCII) is not None
        is_number = is_match and (self.numbers is None or int(text) in self.numbers)
        return is_number and (self.is_possible is None or self.is_possible(text))


def choice(values: type[StrEnum]) -> ValueType:
    """One of the values of an enumeration."""
    *others, last = values
    return ValueType("|".join(values), "|".join(values), f"{', '.join(others)} or {last}", parse=values)


def seconds(minimum: int, maximum: int) -> ValueType:
    """A duration within two limits of up to five digits."""
    expected = f"a number of seconds from {minimum} to {maximum}"
    return ValueType("SECONDS", r"[1-9]\d{0,4}", expected, parse=int, numbers=range(minimum, maximum + 1))


def _parse_boolean(text: str) -> bool:
    return text == "true"


HOST = r"(?:\w[\w.-]*|\[[0-9A-Fa-f:]+\])"
PORT_NUMBER = r"(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])"
"""From 1 to 65535."""

URL_PATH = r"/[\w.~!*+,;=:@%/-]*"
"""Without `$`: the kubelet expands `$(NAME)` in a container's variables."""

BOOLEAN = ValueType("true|false", r"true|false", "true or false", parse=_parse_boolean)
PORT = ValueType("PORT", r"\d{1,4}|[1-9]\d{4}", "a port from 0 to 65535", parse=int, numbers=range(65536))
ABSOLUTE_PATH = ValueType("PATH", r"/[^\0]+", "an absolute path")
AWS_REGION = ValueType("REGION", r"[a-z]{2,}(-[a-z]+)+-\d+", "an AWS region, such as eu-west-1")
REGION = ValueType(
    "REGION",
    r"(?!\d+$)[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?",
    f"{AWS_REGION.expected}; if STS is outside AWS, any name of letters, digits and -, such as garage",
    within_aws=AWS_REGION,
)
ENDPOINT = ValueType(
    "URL",
    rf"https?://{HOST}(?::{PORT_NUMBER})?(?:{URL_PATH})?",
    "a URL without user, query and fragment, such as https://sts.example.com/path",
)
PROXY = ValueType(
    "URL", rf"https?://{HOST}:{PORT_NUMBER}/?", "a URL with a port, such as http://proxy.example.com:3128"
)
"""A value with a password does not match, and errors do not repeat it: see `contract.settings.find_problem`."""

ROLE_PATH_AND_NAME = r"(?:[!-~]*/)?[\w+=,.@-]{1,64}"
AWS_ROLE_ARN = ValueType(
    "ARN",
    rf"arn:aws[a-z-]*:iam::\d{{12}}:role/{ROLE_PATH_AND_NAME}",
    "the ARN of an IAM role, such as arn:aws:iam::111122223333:role/reader",
)
ROLE_ARN = ValueType(
    "ARN",
    rf"{ROLE_PREFIX}{ROLE_PATH_AND_NAME}",
    f"{AWS_ROLE_ARN.expected}; if STS is outside AWS, also such as arn:aws:iam:::role/reader",
    within_aws=AWS_ROLE_ARN,
)
"""https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html"""

SESSION_NAME_LENGTH = 64
SESSION_NAME = ValueType(
    "NAME", rf"[\w+=,.@-]{{2,{SESSION_NAME_LENGTH}}}", "2 to 64 of the characters A-Z a-z 0-9 _ + = , . @ -"
)
SESSION_DURATION = seconds(900, 43200)
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html"""

EXTERNAL_ID = ValueType("ID", r"[\w+=,.@:/-]{2,1224}", "2 to 1224 of the characters A-Z a-z 0-9 _ + = , . @ : / -")
"""https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html"""


def _parse_list(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.split(",")))


_SEGMENT = r"(?!\.{1,2}(?:[/,]|$))[\w.:@+=!-]{1,128}"
_METADATA_PATH = (
    rf"(?:meta-data/(?!(?i:iam|identity-credentials)(?:[/,]|$)){_SEGMENT}(?:/(?:{_SEGMENT}|\*)){{0,9}}"
    r"|dynamic/instance-identity/document|dynamic/fws/instance-monitoring)"
)
MAX_METADATA_PATHS = 100
METADATA_PATHS = ValueType(
    "PATHS",
    rf"(?=.{{1,4096}}\Z){_METADATA_PATH}(?:,{_METADATA_PATH}){{0,{MAX_METADATA_PATHS - 1}}}",
    f"up to {MAX_METADATA_PATHS} paths such as meta-data/spot/instance-action and meta-data/tags/instance/*, "
    "separated by commas, without the node's credentials, user data and signatures (docs/sources.md)",
    parse=_parse_list,
)
"""Paths of the node's metadata. `*` stands for one segment, which is never the first below meta-data.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-instance-metadata.html
"""


class ImdsTokens(StrEnum):
    """Whether requests to the instance metadata service need an IMDSv2 token, as EC2's HttpTokens."""

    OPTIONAL = "optional"
    REQUIRED = "required"


IMDS_TOKENS = choice(ImdsTokens)
