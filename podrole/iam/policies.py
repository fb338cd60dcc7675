"""Trust policies: built for the pods of a role, and merged into the policy that a role has. Nothing is judged here.

https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count
from typing import Any

import contract
from injector.decision.roles import ARN
from podrole.iam.documents import Policy, PolicyError, read_statements, read_values

PROVIDER = re.compile(r"arn:(?P<partition>aws[a-z-]*):iam::(?P<account>\d{12}):oidc-provider/(?P<issuer>.+)", re.ASCII)
NAME = re.compile(r"[a-z0-9*]([a-z0-9.*-]*[a-z0-9*])?", re.ASCII)

WEB_IDENTITY_ACTION = "sts:AssumeRoleWithWebIdentity"
ROLE_ACTION = "sts:AssumeRole"
TAG_ACTION = "sts:TagSession"
"""Needed beside the others where a session has tags: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html"""

SUBJECT_PREFIX = "system:serviceaccount:"
WEB_IDENTITY_SID = "Podrole"
CHAINED_ROLE_SID = "PodroleAssumeThrough"


@dataclass(frozen=True, slots=True)
class Provider:
    """A cluster's OIDC provider in IAM. It must be in the role's own account."""

    issuer: str
    """As IAM names it: without https://."""

    account_id: str
    partition: str = "aws"

    @property
    def arn(self) -> str:
        """What a trust policy names as its Federated principal."""
        return f"arn:{self.partition}:iam::{self.account_id}:oidc-provider/{self.issuer}"


@dataclass(frozen=True, slots=True)
class ChainedRole:
    """A role that the pods' web identities assume first, to assume the pod's role from it."""

    role_arn: str
    external_id: str | None = None
    has_tags: bool = False


@dataclass(frozen=True, slots=True)
class TrustRequirements:
    """Who must be able to assume a role."""

    role_arn: str
    subjects: frozenset[str] = frozenset()
    """By web identity: `system:serviceaccount:<namespace>:<name>`, where `*` stands for anything."""

    chained_roles: frozenset[ChainedRole] = frozenset()


def build_subject(namespace: str, service_account: str) -> str:
    """The subject of an account's tokens; `*` stands for anything. Raises PolicyError."""
    for kind, name in (("namespace", namespace), ("ServiceAccount", service_account)):
        if not NAME.fullmatch(name):
            raise PolicyError(f"{name!r} is no name of a {kind}: it has a-z, 0-9, - and ., or * for anything")
    return f"{SUBJECT_PREFIX}{namespace}:{service_account}"


def parse_issuer(url: str) -> str:
    """The name that IAM gives an issuer: its URL without the scheme; a slash at the end belongs to it."""
    issuer = re.sub(r"^https?://", "", url.strip())
    if not re.fullmatch(r"[!-~]+", issuer) or issuer.startswith("/") or "?" in issuer:
        raise PolicyError(f"{url!r} is no issuer: give the URL that your tokens have as iss, https://host/path")
    return issuer


def find_provider(role_arn: str, issuer: str) -> Provider:
    """The provider that a role must trust: that of the issuer in the role's own account."""
    arn = ARN.fullmatch(role_arn)
    if arn is None:
        raise PolicyError(f"{role_arn!r} is no ARN of a role, such as arn:aws:iam::111122223333:role/name")
    return Provider(issuer, arn["account"], arn["partition"])


def parse_provider(arn: str) -> Provider | None:
    """The provider of an ARN; None where it is no provider's."""
    match = PROVIDER.fullmatch(arn)
    return Provider(match["issuer"], match["account"], match["partition"]) if match else None


def build_trust_policy(needs: TrustRequirements, issuer: str) -> Policy:
    """The policy of a role that only these may assume."""
    return {"Version": "2012-10-17", "Statement": _number(build_statements(needs, issuer))}


def build_statements(needs: TrustRequirements, issuer: str) -> list[Policy]:
    """One statement for all web identities, and one for each role that is assumed before this one."""
    statements = []
    if needs.subjects:
        statements.append(_build_web_identity(find_provider(needs.role_arn, issuer), needs.subjects))
    order = sorted(
        needs.chained_roles,
        key=lambda chained_role: (chained_role.role_arn, chained_role.external_id or "", chained_role.has_tags),
    )
    return [*statements, *(_build_chained_role(chained_role) for chained_role in order)]


def merge(policy: Policy, statements: Iterable[Policy]) -> Policy:
    """The policy with these statements, all others kept. What is there already is not added a second time."""
    merged = read_statements(policy)
    for statement in statements:
        extended = [_extend(other, statement) for other in merged]
        if any(_normalize(statement) == _normalize(other) for other in merged):
            continue
        if any(extended):
            merged = [new or old for new, old in zip(extended, merged, strict=True)]
        else:
            merged.append(statement)
    return {"Version": "2012-10-17", **policy, "Statement": _number(merged)}


def _build_web_identity(provider: Provider, subjects: Iterable[str]) -> Policy:
    audience: Policy = {f"{provider.issuer}:aud": contract.TOKEN_AUDIENCE}
    ordered = sorted(subjects)
    subject: Policy = {f"{provider.issuer}:sub": ordered[0] if len(ordered) == 1 else ordered}
    has_wildcard = any("*" in one for one in ordered)
    condition = (
        {"StringEquals": audience, "StringLike": subject} if has_wildcard else {"StringEquals": audience | subject}
    )
    return {
        "Sid": WEB_IDENTITY_SID,
        "Effect": "Allow",
        "Principal": {"Federated": provider.arn},
        "Action": WEB_IDENTITY_ACTION,
        "Condition": condition,
    }


def _build_chained_role(chained_role: ChainedRole) -> Policy:
    statement: Policy = {
        "Sid": CHAINED_ROLE_SID,
        "Effect": "Allow",
        "Principal": {"AWS": chained_role.role_arn},
        "Action": [ROLE_ACTION, TAG_ACTION] if chained_role.has_tags else ROLE_ACTION,
    }
    if chained_role.external_id is not None:
        statement["Condition"] = {"StringEquals": {"sts:ExternalId": chained_role.external_id}}
    return statement


def _extend(other: Policy, statement: Policy) -> Policy | None:
    """One statement for the subjects of both, where `other` was built here too and for the same provider."""
    provider = parse_provider(str(statement["Principal"].get("Federated")))
    if provider is None or not str(other.get("Sid")).startswith(WEB_IDENTITY_SID):
        return None
    subjects = _read_subjects(other, provider)
    if not subjects or _normalize(other) != _normalize(_build_web_identity(provider, subjects)):
        return None  # another's, or edited by hand: it stays as it is, beside ours
    both = subjects | _read_subjects(statement, provider)
    return {**_build_web_identity(provider, both), "Sid": other["Sid"]}


def _read_subjects(statement: Policy, provider: Provider) -> frozenset[str]:
    condition = statement.get("Condition")
    operators = condition.values() if isinstance(condition, dict) else ()
    keys = [keys for keys in operators if isinstance(keys, dict)]
    return frozenset(subject for one in keys for subject in read_values(one.get(f"{provider.issuer}:sub")))


def _normalize(value: Any) -> Any:
    """Two statements of which this is equal say the same, whatever their Sid and the order of their lists."""
    if isinstance(value, list):
        return _normalize(value[0]) if len(value) == 1 else sorted(value, key=str)
    if isinstance(value, dict):
        return {key: _normalize(element) for key, element in value.items() if key != "Sid"}
    return value


def _number(statements: Iterable[Policy]) -> list[Policy]:
    """A Sid may stand once in a policy."""
    numbered: list[Policy] = []
    taken: set[str] = set()
    for statement in statements:
        sid = str(statement.get("Sid", ""))
        names = (f"{sid}{number}" for number in count(2))
        free = (
            sid
            if sid not in taken or not sid.startswith(WEB_IDENTITY_SID)
            else next(n for n in names if n not in taken)
        )
        taken.add(free)
        numbered.append({**statement, "Sid": free} if free else statement)
    return numbered
