"""Resolves a role as users write it to its canonical ARN."""

import re

from contract.outside_aws import ROLE_PREFIX
from injector.config import Config
from injector.decision.role_mistakes import describe_arn_mistake, find_mistakes
from injector.reasons import InvalidRoleError, Reason

NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
PATH = re.compile(r"(?:[!-~]+/)?", re.ASCII)
LONGEST_PATH = 511
"""A path has at most 512 characters, including the slash in front of it.

https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html
"""

ARN = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):role/(?P<role>.+)", re.ASCII)

ANY_ARN = re.compile(rf"{ROLE_PREFIX}(?P<role>.+)", re.ASCII)
"""Of a store outside AWS."""


def parse_role(text: str, where: str, config: Config) -> str:
    """Resolve a name, path/name or ARN to the canonical ARN; raise InvalidRoleError, whose text starts with `where`."""
    for problem in find_mistakes(text, config.partition):
        raise InvalidRoleError(Reason.INVALID_ROLE.explain(where=where, value=text, problem=problem))
    if not text.startswith("arn:"):
        role = text.removeprefix("/")
        _check_role(role, text, where)
        prefix = config.role_arn_prefix
        if prefix is None:
            raise InvalidRoleError(Reason.ACCOUNT_NOT_CONFIGURED.explain(where=where, value=text))
        return prefix + role
    arn = (ANY_ARN if config.is_outside_aws else ARN).fullmatch(text)
    if arn is None:
        problem = describe_arn_mistake(text)
        raise InvalidRoleError(Reason.INVALID_ROLE.explain(where=where, value=text, problem=problem))
    _check_role(arn["role"], text, where)
    if arn["partition"] != config.partition and not config.is_outside_aws:
        detail = {"partition": arn["partition"], "region": config.region, "expected": config.partition}
        raise InvalidRoleError(Reason.WRONG_PARTITION.explain(where=where, value=text, **detail))
    return text


def _check_role(role: str, text: str, where: str) -> None:
    path, name = role[: role.rfind("/") + 1], role[role.rfind("/") + 1 :]
    if not NAME.fullmatch(name):
        problem = "the name must have 1 to 64 of the characters A-Z a-z 0-9 _ + = , . @ -"
    elif path == "/":
        problem = "there is a slash too many in front of the name"
    elif not PATH.fullmatch(path) or len(path) > LONGEST_PATH:
        problem = "the path must be at most 512 printable ASCII characters without spaces"
    else:
        return
    raise InvalidRoleError(Reason.INVALID_ROLE.explain(where=where, value=text, problem=problem))
