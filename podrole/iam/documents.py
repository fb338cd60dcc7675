"""Parses policies in every form in which AWS prints and accepts them.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import json
from typing import Any
from urllib.parse import unquote

from injector.errors import InjectorError

Policy = dict[str, Any]

DEFAULT_QUOTA, MAXIMUM_QUOTA = 2048, 4096
"""Characters of a trust policy without white space: the default, and the most that AWS grants on request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

MAX_BYTES = 1024 * 1024
"""Of a file with one policy, or with an OIDC provider."""


class PolicyError(InjectorError):
    """A trust policy, an issuer or a subject is not valid."""


def read_statements(policy: Policy) -> list[Policy]:
    """Read the statements; a single one need not be in a list. Raises PolicyError."""
    statements = policy.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not all(isinstance(statement, dict) for statement in statements):
        raise PolicyError("Statement of the policy must be a list of objects")
    return [*statements]


def read_values(value: Any) -> list[str]:
    """Read a list of strings, or a single string, which IAM accepts in place of a list."""
    return [str(one) for one in value] if isinstance(value, list) else [] if value is None else [str(value)]


def parse_policy(text: str) -> tuple[Policy, str | None]:
    """Parse a trust policy, also URL-encoded, or the output of `aws iam get-role`, which has the role's ARN too."""
    return parse_role(parse_json(text))


def parse_role(document: Any) -> tuple[Policy, str | None]:
    """As parse_policy, from a parsed document. Raises PolicyError."""
    role = document.get("Role", document) if isinstance(document, dict) else document
    if isinstance(role, dict) and "AssumeRolePolicyDocument" in role:
        policy, arn = role["AssumeRolePolicyDocument"], role.get("Arn")
        return _check(parse_json(policy) if isinstance(policy, str) else policy), None if arn is None else str(arn)
    return _check(document), None


def parse_oidc_provider(text: str) -> dict[str, Any] | None:
    """Parse the output of `aws iam get-open-id-connect-provider`; None for other JSON. Raises PolicyError."""
    document = parse_json(text)
    return document if isinstance(document, dict) and "ClientIDList" in document else None


def count_characters(policy: Policy) -> int:
    """Count the characters that count against the quota: all but white space."""
    return len(json.dumps(policy, separators=(",", ":"), ensure_ascii=False))


def parse_json(text: str) -> Any:
    """Parse JSON, also URL-encoded. Raises PolicyError."""
    text = text.removeprefix("\ufeff").strip()
    if not text:
        raise PolicyError("not valid JSON: it is empty, so the command that wrote it failed")
    try:
        return json.loads(unquote(text) if text.startswith("%7B") else text)
    except ValueError as error:
        raise PolicyError(f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise PolicyError("not valid JSON: it is nested too deeply") from error


def _check(policy: Any) -> Policy:
    if not isinstance(policy, dict) or "Statement" not in policy:
        hint = "use a trust policy, or the output of `aws iam get-role --role-name NAME`"
        raise PolicyError(f"not a valid trust policy, because it has no Statement: {hint}")
    return policy
