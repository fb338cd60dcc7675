"""Policies as AWS prints and takes them: one shape or another, parsed into plain values. What they mean is not known.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

import json
from typing import Any
from urllib.parse import unquote

from injector.errors import InjectorError

Policy = dict[str, Any]

DEFAULT_QUOTA, HIGHEST_QUOTA = 2048, 4096
"""Characters of a trust policy, white space not counted, and what the quota can be raised to.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""


class PolicyError(InjectorError):
    """What was given is no trust policy, or no issuer, and cannot become one."""


def read_statements(policy: Policy) -> list[Policy]:
    """The statements; IAM takes a single one without a list. Raises PolicyError."""
    statements = policy.get("Statement", [])
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not all(isinstance(statement, dict) for statement in statements):
        raise PolicyError("Statement of the policy must be a list of objects")
    return [*statements]


def read_values(value: Any) -> list[str]:
    """IAM takes a single string wherever it takes a list of them."""
    return [str(one) for one in value] if isinstance(value, list) else [] if value is None else [str(value)]


def parse_policy(text: str) -> tuple[Policy, str | None]:
    """A trust policy and its role's ARN: the policy alone, URL-encoded too, or all that `aws iam get-role` prints."""
    document = _parse_json(text)
    role = document.get("Role", document) if isinstance(document, dict) else document
    if isinstance(role, dict) and "AssumeRolePolicyDocument" in role:
        policy = role["AssumeRolePolicyDocument"]
        return _check(_parse_json(policy) if isinstance(policy, str) else policy), role.get("Arn")
    return _check(document), None


def parse_oidc_provider(text: str) -> dict[str, Any] | None:
    """What `aws iam get-open-id-connect-provider` prints; None where it is something else. Raises PolicyError."""
    document = _parse_json(text)
    return document if isinstance(document, dict) and "ClientIDList" in document else None


def count_characters(policy: Policy) -> int:
    """What counts against the quota: white space does not."""
    return len(json.dumps(policy, separators=(",", ":"), ensure_ascii=False))


def _parse_json(text: str) -> Any:
    text = text.removeprefix("\ufeff").strip()
    try:
        return json.loads(unquote(text) if text.startswith("%7B") else text)
    except ValueError as error:
        raise PolicyError(f"it is no JSON: {error}") from error


def _check(policy: Any) -> Policy:
    if not isinstance(policy, dict) or "Statement" not in policy:
        hint = "give a trust policy, or what `aws iam get-role --role-name NAME` prints"
        raise PolicyError(f"it is no trust policy, as it has no Statement: {hint}")
    return policy
